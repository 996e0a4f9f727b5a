"""The race that matters: a user runs a cell in the moments around the removal of its kernel.

    python tests/soak/race.py --tries 4000

Real kernels and a real server with the extension; the cells come from another process, as a page's
do, or around the server from a client of the kernel's own. Each try lets a kernel become idle, and
runs a cell at a random moment around its removal. What may come of it:

- kept: the cell was seen, and nothing was removed;
- refused: the kernel was removed, and the cell never began (a page shows it as waiting);
- after: the cell began only when the kernel would have been dead;
- lost: the cell began, and the kernel was removed all the same. This must not be.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from jupyter_client import BlockingKernelClient
from websocket import WebSocketTimeoutException

from auto_shutdown.local_studio.ports import PORTS, free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http
from auto_shutdown.local_studio.server import TOKEN, JupyterServerApp, KernelClient

HERE = Path(__file__).resolve().parent

#: A kernel is idle after so long. One behind a gateway is first asked for work in the background,
#: which takes some tenths of a second, and the answer must be fresh.
LIMIT_SECONDS = 0.4
GATEWAY_LIMIT_SECONDS = 2.4

#: How far from a moment at which kernels were removed before a cell is sent, in seconds.
BEFORE, AFTER = 0.06, 0.04

#: A cell that has not begun by then never will.
REFUSED_SECONDS = 0.6

SIDES = ("local-page", "local-direct", "gateway-page", "gateway-direct")


class Client(Protocol):
    """Somebody who runs cells. ``heard`` is when the kernel said busy and idle, by message."""

    heard: dict[str, dict[str, float]]

    def send(self, code: str) -> str: ...

    def listen(self, seconds: float) -> None: ...

    def close(self) -> None: ...


def take(heard: dict[str, dict[str, float]], message: Any) -> None:
    if message["header"]["msg_type"] != "status":
        return
    at = message["header"]["date"]
    stamp = at if isinstance(at, datetime) else datetime.fromisoformat(at.replace("Z", "+00:00"))
    states = heard.setdefault(message["parent_header"].get("msg_id", ""), {})
    states[message["content"]["execution_state"]] = stamp.timestamp()


class Page(KernelClient):
    """Through the websocket of a server, as a page."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 20.0)
        self.heard: dict[str, dict[str, float]] = {}

    def send(self, code: str) -> str:
        return self.ask("execute_request", code=code, silent=False, store_history=False,
                        allow_stdin=False)  # fmt: skip

    def listen(self, seconds: float) -> None:
        self._connection.settimeout(max(seconds, 0.001))
        with suppress(WebSocketTimeoutException):
            take(self.heard, json.loads(self._connection.recv()))

    def close(self) -> None:
        self._connection.close()


class Direct:
    """Straight to the kernel's own sockets: ``jupyter console --existing``."""

    def __init__(self, connection_file: Path) -> None:
        self.heard: dict[str, dict[str, float]] = {}
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        self._client.start_channels(stdin=False, hb=False)
        self._client.wait_for_ready(timeout=30)

    def send(self, code: str) -> str:
        return str(self._client.execute(code, store_history=False, allow_stdin=False))

    def listen(self, seconds: float) -> None:
        with suppress(queue.Empty):
            take(self.heard, self._client.get_iopub_msg(timeout=max(seconds, 0.001)))

    def close(self) -> None:
        self._client.stop_channels()


@dataclass
class Removals:
    """What the sparing managers note."""

    path: Path

    def since(self, kernel_id: str, at: float) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.path.read_text().splitlines()[-2000:] if line]
        return [r for r in found if r["kernel"] == kernel_id and r["called_at"] > at]


@dataclass
class Tally:
    """What came of the tries of one side; ``lost`` are the instants of the lost cells' sending,
    in seconds from the call that shuts the kernel down."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[float] = field(default_factory=list)
    dying: list[float] = field(default_factory=list)

    @property
    def tries(self) -> int:
        return sum(self.counts.values())

    def row(self, side: str) -> str:
        c = self.counts
        dying = sorted(self.dying)
        death = f"{dying[len(dying) // 2] * 1000:.1f}" if dying else "-"
        where = f"{min(self.lost) * 1000:+.1f} to {max(self.lost) * 1000:+.1f}" if self.lost else ""
        return (
            f"| {side} | {self.tries} | {c['kept']} | {c['refused']} | {c['after']} | {c['lost']} "
            f"| {where} | {death} |"
        )


HEAD = (
    "| client | tries | kept | refused | began after | **lost** | sent, ms from the shutdown "
    "| call to death, median ms |\n|---|---|---|---|---|---|---|---|"
)


class Try:
    """Tries on one kernel, one after another."""

    def __init__(self, kernel_id: str, client: Client, removals: Removals, seed: int) -> None:
        self._kernel, self._client, self._removals = kernel_id, client, removals
        self._random = random.Random(seed)
        self._delays: list[float] = []

    def _run(self, code: str, seconds: float) -> tuple[str, dict[str, float]]:
        """Send a cell; what was heard of it when it is done, or when it never will be."""
        asked = self._client.send(code)
        deadline = time.time() + seconds
        while time.time() < deadline:
            self._client.listen(deadline - time.time())
            states = self._client.heard.get(asked, {})
            if "idle" in states:
                return asked, states
            if "busy" in states:
                deadline = time.time() + 20.0
        return asked, self._client.heard.get(asked, {})

    def prime(self) -> float:
        """Use the kernel; when its cell ended."""
        for _ in range(20):
            _, states = self._run("1", 2.0)
            if "idle" in states:
                return states["idle"]
        raise TimeoutError("the kernel takes no cells")

    def learn(self) -> None:
        """How long after its last cell a kernel is removed."""
        idle_at = self.prime()
        deadline = time.time() + 20.0
        while time.time() < deadline:
            found = self._removals.since(self._kernel, idle_at)
            if found:
                self._delays.append(found[0]["called_at"] - idle_at)
                return
            time.sleep(0.01)
        raise TimeoutError("the kernel was never removed")

    def once(self, tally: Tally) -> None:
        if len(self._delays) < 3:
            self.learn()
        idle_at = self.prime()
        delay = self._random.choice(self._delays[-20:]) + self._random.uniform(-BEFORE, AFTER)
        time.sleep(max(0.0, idle_at + delay - time.time()))
        sent_at = time.time()
        code = self._random.choice(["1", "import time; time.sleep(0.05)"])
        _, states = self._run(code, REFUSED_SECONDS)
        time.sleep(0.02)  # what was called for before the cell ended is noted by now
        ended_at = states.get("idle", time.time())
        removed = [
            r for r in self._removals.since(self._kernel, idle_at) if r["called_at"] <= ended_at
        ]
        if not removed:
            tally.counts["kept" if states else "nothing happened"] += 1
            return
        first = removed[0]
        self._delays.append(first["called_at"] - idle_at)
        tally.dying.append(first["dead_at"] - first["called_at"])
        if "busy" not in states:
            tally.counts["refused"] += 1
        elif states["busy"] > first["dead_at"]:
            tally.counts["after"] += 1
        else:
            tally.counts["lost"] += 1
            tally.lost.append(sent_at - first["called_at"])


def _environment(root: Path, lines: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AWS"))}
    path = os.pathsep.join([str(HERE), kept.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {
        **kept,
        "HOME": str(root),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "PYTHONPATH": path,
        "RACE_LINES": str(lines),
    }


@contextmanager
def gateway(root: Path, env: dict[str, str]) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [
        sys.executable,
        "-m",
        PORTS,
        "kernel_gateway",
        "--KernelGatewayApp.ip=127.0.0.1",
        f"--KernelGatewayApp.port={port}",
        "--JupyterWebsocketPersonality.list_kernels=True",
    ]
    process = Leashed(argv, root / "gateway.log", env, root)
    try:
        wait_for_http(url + "/api", process)
        yield url
    finally:
        process.stop()


@contextmanager
def server(root: Path, env: dict[str, str], gateway_url: str | None) -> Iterator[JupyterServerApp]:
    port = free_port()
    manager = "SparingGatewayKernels" if gateway_url else "SparingKernels"
    config: dict[str, Any] = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "allow_root": True,
            "root_dir": str(root),
            "kernel_manager_class": f"sparing.{manager}",
            "jpserver_extensions": {"auto_shutdown": True},
        },
        "IdentityProvider": {"token": TOKEN},
        "AutoShutdown": {
            "metadata_path": str(root / "none.json"),
            "min_idle_timeout_minutes": 0.001,
            "idle_timeout_minutes": (GATEWAY_LIMIT_SECONDS if gateway_url else LIMIT_SECONDS) / 60,
            "warn_minutes": 0,
            "grace_minutes": 0,
            "poll_interval_seconds": 0.2,
        },
    }
    if gateway_url:
        config["GatewayClient"] = {"url": gateway_url}
    path = root / f"config-{manager}.json"
    path.write_text(json.dumps(config))
    argv = [sys.executable, "-m", PORTS, "jupyter_server", f"--config={path}"]
    log = root / f"server-{manager}.log"

    def start() -> Leashed:
        process = Leashed(argv, log, env, root)
        wait_for_http(f"http://127.0.0.1:{port}/api", process)
        return process

    found = JupyterServerApp(f"http://127.0.0.1:{port}/", start)
    try:
        yield found
    finally:
        found.stop()


def run(
    side: str,
    tries: int,
    kernels: int,
    root: Path,
    seed: int,
    enough: Callable[[Tally], bool] = lambda _tally: False,
) -> Tally:
    """``tries`` tries of one side on ``kernels`` kernels at once; fewer when ``enough`` says so."""
    lines = root / "removals.jsonl"
    lines.touch()
    env = _environment(root, lines)
    tally = Tally()
    failures: list[BaseException] = []
    left = iter(range(tries))
    turn = threading.Lock()
    with ExitStack() as stack:
        behind = stack.enter_context(gateway(root, env)) if side.startswith("gateway") else None
        app = stack.enter_context(server(root, env, behind))

        def client(kernel_id: str) -> Client:
            if side.endswith("page"):
                base, query = app.url, f"?token={TOKEN}"
            elif behind is not None:
                base, query = behind + "/", ""
            else:
                return Direct(root / "runtime" / f"kernel-{kernel_id}.json")
            return Page(base.replace("http", "ws", 1) + f"api/kernels/{kernel_id}/channels{query}")

        def work(number: int) -> None:
            kernel_id = app.request("POST", "api/kernels", {"name": "python3"})["id"]
            user = client(kernel_id)
            one = Try(kernel_id, user, Removals(lines), seed + number)
            try:
                while True:
                    with turn:
                        if failures or enough(tally) or next(left, None) is None:
                            return
                    one.once(tally)
            except BaseException as error:
                failures.append(error)
            finally:
                user.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(kernels)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise RuntimeError(app.log[-3000:]) from failures[0]
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tries", type=int, default=1000, help="of each side")
    parser.add_argument("--kernels", type=int, default=6, help="at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", action="append", choices=SIDES)
    given = parser.parse_args()
    print(HEAD)
    lost = 0
    for side in given.side or SIDES:
        with tempfile.TemporaryDirectory() as root:
            tally = run(side, given.tries, given.kernels, Path(root), given.seed)
        print(tally.row(side), flush=True)
        lost += tally.counts["lost"] if side.endswith("page") else 0
        assert set(tally.counts) <= {"kept", "refused", "after", "lost"}, tally.counts
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

"""Race a user's cell against the removal of its kernel.

    python tests/soak/race.py --tries 4000

The kernels and the server with the extension are real. This process sends the cells through the
server's websocket, as a page does, or directly to the kernel or gateway. Each try lets a kernel
become idle and sends a cell at a random moment around the kernel's removal. The possible results:

- kept: the extension saw the cell and did not remove the kernel;
- refused: the extension removed the kernel, and the cell never began (a page shows it waiting);
- after: the cell began after the kernel would have ended;
- lost: the cell began, and the extension removed the kernel. No cell of a page may be lost.
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

#: The idle timeout. It is longer for a kernel behind a gateway: the extension first asks that
#: kernel about background work, which takes some tenths of a second, and uses only a fresh answer.
LIMIT_SECONDS = 0.4
GATEWAY_LIMIT_SECONDS = 2.4

#: A cell is sent at a random moment in this window around the expected removal, in seconds.
BEFORE, AFTER = 0.06, 0.04

#: A cell that has not begun after this time never begins.
REFUSED_SECONDS = 0.6

SIDES = ("local-page", "local-direct", "gateway-page", "gateway-direct")


class Client(Protocol):
    """Runs cells. ``states`` holds, for each message id, when the kernel reported busy and idle."""

    states: dict[str, dict[str, float]]

    def send(self, code: str) -> str: ...

    def listen(self, seconds: float) -> None: ...

    def close(self) -> None: ...


def note_state(states_by_id: dict[str, dict[str, float]], message: Any) -> None:
    """Store the time of a status message under the id of its request."""
    if message["header"]["msg_type"] != "status":
        return
    at = message["header"]["date"]
    stamp = at if isinstance(at, datetime) else datetime.fromisoformat(at.replace("Z", "+00:00"))
    states = states_by_id.setdefault(message["parent_header"].get("msg_id", ""), {})
    states[message["content"]["execution_state"]] = stamp.timestamp()


class Page(KernelClient):
    """Sends cells through the websocket of a server, as a page does."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 20.0)
        self.states: dict[str, dict[str, float]] = {}

    def send(self, code: str) -> str:
        return self.ask("execute_request", code=code, silent=False, store_history=False,
                        allow_stdin=False)  # fmt: skip

    def listen(self, seconds: float) -> None:
        self._connection.settimeout(max(seconds, 0.001))
        with suppress(WebSocketTimeoutException):
            note_state(self.states, json.loads(self._connection.recv()))

    def close(self) -> None:
        self._connection.close()


class Direct:
    """Sends cells to the kernel's own sockets, as ``jupyter console --existing`` does."""

    def __init__(self, connection_file: Path) -> None:
        self.states: dict[str, dict[str, float]] = {}
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        self._client.start_channels(stdin=False, hb=False)
        self._client.wait_for_ready(timeout=30)

    def send(self, code: str) -> str:
        return str(self._client.execute(code, store_history=False, allow_stdin=False))

    def listen(self, seconds: float) -> None:
        with suppress(queue.Empty):
            note_state(self.states, self._client.get_iopub_msg(timeout=max(seconds, 0.001)))

    def close(self) -> None:
        self._client.stop_channels()


@dataclass
class Removals:
    """The removals that the kernel managers of ``sparing.py`` recorded."""

    path: Path

    def since(self, kernel_id: str, at: float) -> list[dict[str, Any]]:
        newest = [json.loads(line) for line in self.path.read_text().splitlines()[-2000:] if line]
        return [r for r in newest if r["kernel"] == kernel_id and r["called_at"] > at]


@dataclass
class Tally:
    """The results of one side's tries. ``lost`` holds when each lost cell was sent, and ``dying``
    how long each kernel took to end, both in seconds from the call that shuts the kernel down."""

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
        """Send a cell, and wait until it ended or can no longer begin. Returns its message id and
        the times of its states."""
        message_id = self._client.send(code)
        deadline = time.time() + seconds
        while time.time() < deadline:
            self._client.listen(deadline - time.time())
            states = self._client.states.get(message_id, {})
            if "idle" in states:
                return message_id, states
            if "busy" in states:
                deadline = time.time() + 20.0
        return message_id, self._client.states.get(message_id, {})

    def prime(self) -> float:
        """Run a cell. Returns when it ended."""
        for _ in range(20):
            _, states = self._run("1", 2.0)
            if "idle" in states:
                return states["idle"]
        raise TimeoutError("the kernel takes no cells")

    def learn(self) -> None:
        """Measure how long after its last cell the kernel is removed."""
        idle_at = self.prime()
        deadline = time.time() + 20.0
        while time.time() < deadline:
            removed = self._removals.since(self._kernel, idle_at)
            if removed:
                self._delays.append(removed[0]["called_at"] - idle_at)
                return
            time.sleep(0.01)
        raise TimeoutError("the kernel was never removed")

    def once(self, tally: Tally) -> None:
        """Make one try, and count its result in ``tally``."""
        if len(self._delays) < 3:
            self.learn()
        idle_at = self.prime()
        delay = self._random.choice(self._delays[-20:]) + self._random.uniform(-BEFORE, AFTER)
        time.sleep(max(0.0, idle_at + delay - time.time()))
        sent_at = time.time()
        code = self._random.choice(["1", "import time; time.sleep(0.05)"])
        _, states = self._run(code, REFUSED_SECONDS)
        time.sleep(0.02)  # by now, every removal that began before the cell ended is recorded
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

    app = JupyterServerApp(f"http://127.0.0.1:{port}/", start)
    try:
        yield app
    finally:
        app.stop()


def run(
    side: str,
    tries: int,
    kernels: int,
    root: Path,
    seed: int,
    enough: Callable[[Tally], bool] = lambda _tally: False,
) -> Tally:
    """Make ``tries`` tries of one side on ``kernels`` kernels at once. Stops earlier when
    ``enough`` returns True."""
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
    options = parser.parse_args()
    print(HEAD)
    lost = 0
    for side in options.side or SIDES:
        with tempfile.TemporaryDirectory() as root:
            tally = run(side, options.tries, options.kernels, Path(root), options.seed)
        print(tally.row(side), flush=True)
        lost += tally.counts["lost"] if side.endswith("page") else 0
        assert set(tally.counts) <= {"kept", "refused", "after", "lost"}, tally.counts
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

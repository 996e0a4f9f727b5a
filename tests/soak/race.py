"""Race a user's cell against the removal of its kernel.

    python tests/soak/race.py --tries 4000

The kernels and the server with the extension are real. This process sends the cells through the
server's websocket, as a page does, or directly to the kernel or gateway. Each try lets a kernel
become idle and sends a cell at a random moment around the kernel's removal. The possible results:

- kept: the extension saw the cell and did not remove the kernel;
- refused: the extension removed the kernel, and the cell never began (a page shows it waiting);
- after: the cell began after the kernel would have ended;
- lost: the cell began, and the extension removed the kernel. No cell of a page may be lost;
- vanished: the cell never began, and the extension did not remove the kernel. This may never be.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from race_clients import Client, Direct, Page
from race_servers import environment, gateway, server

from auto_shutdown.local_studio.deadline import Deadline
from auto_shutdown.local_studio.server import TOKEN

#: A cell is sent at a random moment in this window around the expected removal, in seconds.
BEFORE, AFTER = 0.06, 0.04

#: If a cell has not begun after this number of seconds, a later request asks whether it ever will.
ASK_SECONDS = 0.6

#: Only a machine or a product that hangs takes longer for one step.
STEP_SECONDS = 60.0

SIDES = ("local-page", "local-direct", "gateway-page", "gateway-direct")

#: The results that a page may see.
ALLOWED = {"kept", "refused", "after"}


@dataclass
class Removals:
    """The removals that the kernel managers of ``recording_kernels.py`` recorded."""

    path: Path

    def since(self, kernel_id: str, at: float) -> list[dict[str, Any]]:
        """The removals of a kernel that were called after ``at``, oldest first. One that is still
        in progress has no ``dead_at``; one that failed has the value None."""
        by_call: dict[float, dict[str, Any]] = {}
        whole_lines = self.path.read_text().rpartition("\n")[0]
        for line in whole_lines.split("\n")[-2000:]:
            removal = json.loads(line) if line else {}
            if removal.get("kernel") == kernel_id and removal["called_at"] > at:
                by_call.setdefault(removal["called_at"], {}).update(removal)
        return list(by_call.values())

    def first_between(self, kernel_id: str, at: float, until: float) -> dict[str, Any] | None:
        """The first removal that was called after ``at`` and not after ``until``, and that did not
        fail. Waits for its end."""
        deadline = Deadline(STEP_SECONDS)
        while not deadline.has_passed:
            called = [r for r in self.since(kernel_id, at) if r["called_at"] <= until]
            if all("dead_at" in removal for removal in called):
                return next((r for r in called if r["dead_at"] is not None), None)
            time.sleep(0.01)
        raise TimeoutError("a removal does not end")


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
            f"| {c['vanished']} | {where} | {death} |"
        )


HEAD = (
    "| client | tries | kept | refused | began after | **lost** | **vanished** "
    "| lost: sent, ms from the shutdown | call to death, median ms |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


class Try:
    """Tries on one kernel, one after another. ``sync`` returns after a request to the server: by
    then the server has recorded each removal that it called before."""

    def __init__(
        self,
        kernel_id: str,
        client: Client,
        removals: Removals,
        sync: Callable[[], object],
        seed: int,
    ) -> None:
        self._kernel, self._client = kernel_id, client
        self._removals, self._sync = removals, sync
        self._random = random.Random(seed)
        self._delays: list[float] = []

    def once(self, tally: Tally) -> None:
        """Make one try, and count its result in ``tally``."""
        while len(self._delays) < 3:
            self._measure_delay()
        idle_at = self._become_idle()
        delay = self._random.choice(self._delays[-20:]) + self._random.uniform(-BEFORE, AFTER)
        time.sleep(max(0.0, idle_at + delay - time.time()))
        sent_at = time.time()
        states = self._run(self._random.choice(["1", "import time; time.sleep(0.05)"]))
        ended_at = states.get("idle", time.time())
        self._sync()
        removal = self._removals.first_between(self._kernel, idle_at, ended_at)
        if removal is None:
            tally.counts["kept" if states else "vanished"] += 1
            return
        self._delays.append(removal["called_at"] - idle_at)
        tally.dying.append(removal["dead_at"] - removal["called_at"])
        if not states:
            tally.counts["refused"] += 1
        elif states["busy"] > removal["dead_at"]:
            tally.counts["after"] += 1
        else:
            tally.counts["lost"] += 1
            tally.lost.append(sent_at - removal["called_at"])

    def _measure_delay(self) -> None:
        """Measure how long after its last cell the kernel is removed."""
        idle_at = self._become_idle()
        deadline = Deadline(STEP_SECONDS)
        while not deadline.has_passed:
            removals = self._removals.since(self._kernel, idle_at)
            if removals:
                self._delays.append(removals[0]["called_at"] - idle_at)
                return
            time.sleep(0.01)
        raise TimeoutError("the kernel was never removed")

    def _become_idle(self) -> float:
        """Run a cell. Returns when it ended. A removal may refuse the first ones."""
        for _ in range(20):
            states = self._run("1")
            if states:
                return states["idle"]
        raise TimeoutError("the kernel takes no cells")

    def _run(self, code: str) -> dict[str, float]:
        """Send a cell, and wait until it has ended or never begins. Returns the times of its states
        (empty: it never began).

        The requests of one connection reach the kernel's shell in the order in which they were
        sent. So when the kernel has answered a later request, a cell that has not begun was
        dropped. While a removal holds the cell back, it also holds back the later request, and may
        drop it, too; then another one is sent.
        """
        cell = self._client.execute(code)
        later_requests: list[str] = []
        deadline, asked_at = Deadline(STEP_SECONDS), time.monotonic()
        while not deadline.has_passed:
            self._client.listen(0.05)
            states = self._client.states.get(cell, {})
            if "idle" in states:
                return states
            if states:
                continue
            if any("idle" in self._client.states.get(later, {}) for later in later_requests):
                return {}
            if time.monotonic() - asked_at > ASK_SECONDS:
                later_requests.append(self._client.ask_info())
                asked_at = time.monotonic()
        raise TimeoutError("the kernel answers neither the cell nor a later request")


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
    env = environment(root, lines)
    tally = Tally()
    failures: list[BaseException] = []
    left = iter(range(tries))
    turn = threading.Lock()
    with ExitStack() as stack:
        behind = stack.enter_context(gateway(root, env)) if side.startswith("gateway") else None
        app = stack.enter_context(server(root, env, behind))

        def connect(kernel_id: str) -> Client:
            if side.endswith("page"):
                base, query = app.url, f"?token={TOKEN}"
            elif behind is not None:
                base, query = behind + "/", ""
            else:
                return Direct(root / "runtime" / f"kernel-{kernel_id}.json")
            return Page(base.replace("http", "ws", 1) + f"api/kernels/{kernel_id}/channels{query}")

        def work(number: int) -> None:
            try:
                kernel_id = app.request("POST", "api/kernels", {"name": "python3"})["id"]
                client = connect(kernel_id)
                sync = lambda: app.request("GET", "api")  # noqa: E731
                one = Try(kernel_id, client, Removals(lines), sync, seed + number)
                try:
                    while True:
                        with turn:
                            if failures or enough(tally) or next(left, None) is None:
                                return
                        one.once(tally)
                finally:
                    client.close()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(kernels)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise RuntimeError(app.log[-3000:]) from failures[0]
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tries", type=int, default=1000, help="of each side")
    parser.add_argument("--kernels", type=int, default=6, help="at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--side", action="append", choices=SIDES)
    options = parser.parse_args()
    print(HEAD)
    failed = False
    for side in options.side or SIDES:
        with tempfile.TemporaryDirectory() as root:
            tally = run(side, options.tries, options.kernels, Path(root), options.seed)
        print(tally.row(side), flush=True)
        # Clients that do not pass the server may lose cells; a cell never vanishes.
        allowed = ALLOWED if side.endswith("page") else ALLOWED | {"lost"}
        failed = failed or not set(tally.counts) <= allowed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""What Jupyter reports of the simulated kernels: the state of the kernel manager, and the messages
that the product receives.

The manager's state is that of the last status message, whatever request it belongs to. So it is
wrong in the same way as in a real server. The product's own class ``KernelSource`` follows the
messages, which come from the simulation and not from a socket.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from truth import MINUTE, Cell, Thing

from auto_shutdown.core.model import Kernel
from auto_shutdown.world.kernels import KernelSource

#: Requests that a kernel answers while it runs a cell. Each answer ends with a status "idle".
MEANWHILE = ("create_subshell_request", "usage_request", "comm_info_request", "debug_request")


class NoManager:
    """A kernel manager. The product uses it only for kernels without messages."""

    def get_kernel(self, kernel_id: str) -> Any:
        raise KeyError(kernel_id)


class Jupyter:
    """Messages and managers' states. ``after`` schedules a later event of the simulation."""

    def __init__(self, rng: random.Random, counts: Counter[str]) -> None:
        self.rng, self.counts = rng, counts
        self.after: Callable[[float, Callable[[], Any]], None] = lambda *_: None
        self.source = KernelSource(NoManager(), None)
        #: Whether the product follows messages and queries shells. False tests the oracle.
        self.follows = True
        self._states: dict[str, str] = {}
        self._number = 0

    def server_starts(self) -> None:
        """A new server has observed nothing yet."""
        self.source = KernelSource(NoManager(), None)

    # -- what a kernel does --------------------------------------------------------------------

    def cell_begins(self, kernel: Thing, cell: Cell, on_iopub: bool) -> None:
        """A client sends a cell, or a queue of three cells."""
        requests = self.source._requests.of(kernel.id)
        requests.on_iopub = on_iopub
        queue = [self._request(cell) for _ in range(3 if self.rng.random() < 0.2 else 1)]
        if kernel.connections:
            for parent in queue:
                requests.sent(parent)
        part = (cell.ends - cell.began) / len(queue)
        for number, parent in enumerate(queue):
            turn = self._turn(kernel, cell, parent, queue[number - 1] if number else None)
            self.after(part * number, turn) if number else turn()
        self._answer_others(kernel, cell)

    def _request(self, cell: Cell) -> dict[str, Any]:
        self._number += 1
        parent: dict[str, Any] = {"msg_type": "execute_request", "msg_id": str(self._number)}
        return {**parent, "subshell_id": "sub"} if cell.in_subshell else parent

    def _turn(self, kernel: Thing, cell: Cell, parent: Any, before: Any) -> Callable[[], None]:
        def begin() -> None:
            if kernel.cell is not cell and before is not None:
                return  # the cell has ended early
            if before is not None:
                self._status(kernel, "idle", before)
            self._status(kernel, "busy", parent)
            cell.parent = parent
            if cell.waits and self.receives_messages(kernel):
                self.source._requests.of(kernel.id).asks_for_input(parent["msg_id"])

        return begin

    def _answer_others(self, kernel: Thing, cell: Cell) -> None:
        """While the cell runs, the kernel sometimes answers another request. The manager then
        reports idle."""

        def answer() -> None:
            if kernel.cell is not cell or kernel.gone is not None:
                return
            parent = {"msg_type": self.rng.choice(MEANWHILE), "msg_id": "other"}
            self._status(kernel, "busy", parent)
            self._status(kernel, "idle", parent)
            self.counts["busy kernels that read idle"] += 1
            self._answer_others(kernel, cell)

        if self.rng.random() < 0.8:
            self.after(self.rng.expovariate(1 / (8 * MINUTE)), answer)

    def cell_ends(self, kernel: Thing, cell: Cell) -> None:
        self._status(kernel, "idle", cell.parent)

    def ends(self, kernel: Thing) -> None:
        """The process of the kernel ended."""
        self._states.pop(kernel.id, None)
        self.source._requests.of(kernel.id).ended()

    def answers_a_question(self, kernel: Thing) -> None:
        """The kernel answers the product's usage_request. Its manager then reports idle."""
        self._states[kernel.id] = "idle"

    def _status(self, kernel: Thing, state: str, parent: Any) -> None:
        self._states[kernel.id] = state
        if self.receives_messages(kernel):
            self.source._requests.of(kernel.id).has_status(state, parent)

    def receives_messages(self, kernel: Thing) -> bool:
        """Whether the messages of the kernel reach the product."""
        return self.source._requests.of(kernel.id).on_iopub or kernel.connections > 0

    def is_end_unseen(self, thing: Thing) -> bool:
        """Whether the product does not know that a cell of ``thing`` has ended."""
        requests = self.source._requests.known(thing.id)
        return requests is not None and (requests.end_unseen or requests.shell_silent)

    def is_wait_unseen(self, thing: Thing) -> bool:
        """Whether ``thing`` waits in ``input()``, but the product only knows that it is busy. A
        server that was restarted since, or a page that was closed, has missed the question."""
        if thing.cell is None or not thing.cell.waits:
            return False
        requests = self.source._requests.known(thing.id)
        return requests is None or not requests.asked_for_input

    # -- what the product sees -----------------------------------------------------------------

    def observed(self, thing: Thing, kernel: Kernel) -> Kernel:
        """The kernel as the product sees it. ``kernel`` has the state of the manager."""
        requests = self.source._requests.of(kernel.id)
        if not thing.connections and not requests.on_iopub:
            requests.last_client_left()
        if not self.follows:
            return kernel
        seen = self.source.observed(kernel)
        self.counts["looks that the messages corrected"] += seen.state != kernel.state
        return seen

    def updated(self, kernel: Kernel) -> Kernel:
        """The kernel with what its messages have shown since it was observed. The product dates a
        request by the real clock, so that date is left out."""
        return replace(self.source.updated(kernel), request_sent_at=None)

    def state(self, thing: Thing) -> str:
        """The state that the kernel manager reports."""
        return self._states.get(thing.id, "idle") if thing.state == "idle" else thing.state

    def shell_answers(self, thing: Thing) -> bool:
        """Whether the shells of the kernel answer the product's query."""
        if thing.state == "starting":
            return False
        requests = self.source._requests.of(thing.id)
        in_subshell = thing.cell is not None and thing.cell.in_subshell
        free = thing.cell is None or (in_subshell and "sub" not in requests.unwatched_subshells)
        if not self.follows:
            return True
        if free:
            requests.shell_answered(time.monotonic(), one_by_one=True)
        else:
            self.counts["shells that were silent"] += 1
            requests.shell_is_silent("")
        return free

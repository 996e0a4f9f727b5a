"""What changed since the last pass, as far as the signals of this server tell.

A full pass compares what it sees with the last snapshot. A change that no signal told is counted:
on a server that gives all signals it is a defect, because people saw an old report until then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..core.model import Snapshot
from ..core.partial import changed_without_signal

#: A signal may follow the change by so many seconds: two sockets tell of one message.
LATE_SECONDS = 1.0


class Signals:
    """Belongs to the event loop of one server. ``now`` is monotonic."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._woken = asyncio.Event()
        self._kernels: set[str] = set()
        self._everything = False
        #: Since the last full pass.
        self._explained: set[str] = set()
        self._explains_all = True
        self._suspects: set[str] = set()
        self._suspected_at = 0.0
        self._unsignalled = 0

    def kernel_changed(self, kernel_id: str) -> None:
        """One kernel began or ended work, came or went."""
        self._kernels.add(kernel_id)
        self._explained.add(kernel_id)
        if self._suspects and self._now() - self._suspected_at <= LATE_SECONDS:
            self._suspects.discard(kernel_id)
        self._woken.set()

    def anything_changed(self) -> None:
        """Something else: only a look at everything shows it."""
        self._everything = self._explains_all = True
        self._suspects.clear()
        self._woken.set()

    async def wait(self) -> None:
        """Until there is a signal that no pass has taken."""
        await self._woken.wait()

    def take(self) -> frozenset[str] | None:
        """The kernels of which signals told since this was last called. None: anything."""
        kernels, everything = frozenset(self._kernels), self._everything
        self._kernels.clear()
        self._everything = False
        self._woken.clear()
        return None if everything or not kernels else kernels

    def full_pass_begins(self) -> Callable[[Snapshot, Snapshot], None]:
        """Returns what to call with the snapshots before and after the pass. A signal that comes
        while it runs may tell of what it sees already."""
        explained, all_of_it = set(self._explained), self._explains_all

        def compare(before: Snapshot, after: Snapshot) -> None:
            self._unsignalled, self._suspects = self.unsignalled_changes, set()
            if not (all_of_it or self._explains_all):
                self._suspects = changed_without_signal(before, after, self._explained)
                self._suspected_at = self._now()
            self._explained -= explained
            self._explains_all = self._explains_all and not all_of_it

        return compare

    @property
    def unsignalled_changes(self) -> int:
        """How many changes only a look at everything has found."""
        late = self._now() - self._suspected_at > LATE_SECONDS
        return self._unsignalled + (len(self._suspects) if late else 0)

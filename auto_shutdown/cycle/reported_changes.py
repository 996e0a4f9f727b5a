"""The changes since the last pass that this server's change signals reported.

A change signal starts a pass (world/change_signals.py). It is not evidence of activity; the names
of that are in core/signals.py.

A full pass compares its snapshot with the last one, and counts each change that no change signal
reported. On a server that sends all change signals, such a change is a defect: until the pass, the
report was wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable

from ..core.model import Snapshot
from ..core.partial import changed_without_signal

#: A signal may arrive this many seconds after its change, because it comes over another socket.
LATE_SECONDS = 1.0


class ReportedChanges:
    """The changes that the change signals of one server reported. All methods must be called on its
    event loop. ``now`` returns monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._woken = asyncio.Event()
        #: A signal came since the full pass in progress began.
        self._signalled = asyncio.Event()
        self._kernels: set[str] = set()
        self._everything = False
        #: How many signals since the last full pass named each kernel. None: they may explain any
        #: change.
        self._signals: Counter[str | None] = Counter([None])
        #: The ids whose change no signal has reported yet, and when a full pass found the change.
        self._suspects: dict[str, float] = {}
        self._unsignalled = 0

    def kernel_changed(self, kernel_id: str) -> None:
        """Note that one kernel began or ended work, started or ended."""
        self._kernels.add(kernel_id)
        self._signals[kernel_id] += 1
        self._count_late_suspects()
        self._suspects.pop(kernel_id, None)
        self._woken.set()
        self._signalled.set()

    def anything_changed(self) -> None:
        """Note another change, which only a full pass can find."""
        self._everything = True
        self._signals[None] += 1
        self._count_late_suspects()
        self._suspects.clear()
        self._woken.set()
        self._signalled.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a signal that no pass has taken, for at most ``seconds`` or until
        ``end_waiting``. Returns whether there is a signal."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        if not (self._kernels or self._everything):
            self._woken.clear()
            return False
        return True

    async def wait_for_signal(self) -> None:
        """Wait until a signal has come since the full pass in progress began."""
        await self._signalled.wait()

    def end_waiting(self) -> None:
        """Let ``wait`` return at once, because its caller may have to wait for a shorter time."""
        self._woken.set()

    def take(self) -> frozenset[str] | None:
        """The ids of the kernels that signals named since the last call. None: a full pass is
        needed."""
        kernels, everything = frozenset(self._kernels), self._everything
        self._kernels.clear()
        self._everything = False
        self._woken.clear()
        return None if everything or not kernels else kernels

    def full_pass_begins(self) -> Callable[[Snapshot, Snapshot], None]:
        """Returns a function to call with the snapshots before and after the pass. A signal during
        the pass may report a change that the pass has seen already."""
        self._signalled.clear()
        earlier = Counter(self._signals)

        def compare(before: Snapshot, after: Snapshot) -> None:
            self._count_late_suspects()
            if not self._signals[None]:
                # An earlier suspect keeps its time: the next full pass may follow at once.
                named = {kernel_id for kernel_id in self._signals if kernel_id is not None}
                for changed in changed_without_signal(before, after, named):
                    self._suspects.setdefault(changed, self._now())
            # A signal during the pass may be about a change that the next pass finds.
            self._signals -= earlier

        return compare

    @property
    def unsignalled_changes(self) -> int:
        """The number of changes that only full passes have found."""
        self._count_late_suspects()
        return self._unsignalled

    def _count_late_suspects(self) -> None:
        """Count the changes whose signal can no longer arrive in time."""
        now = self._now()
        for changed in [i for i, at in self._suspects.items() if now - at > LATE_SECONDS]:
            del self._suspects[changed]
            self._unsignalled += 1

"""How long a pass waits for its removals and for the stop switch.

Most removals take less than a second. If the pass waits for them, its next removals and its report
take their results into account. But while a pass waits, no row changes and no other removal
begins. So a pass stops waiting soon after a change signal. The removals continue while passes run.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .reported_changes import ReportedChanges

#: After the first change signal, all later waits of a pass share this time (seconds). It is not
#: zero, because the shutdown of a kernel causes a signal, too. Most shutdowns end within this time.
SIGNAL_SECONDS = 0.3


class PassPatience:
    """Limits how long one pass waits. Before a change signal, each wait has a limit of its own.
    After the first signal, all waits share ``SIGNAL_SECONDS``."""

    def __init__(self, changes: ReportedChanges) -> None:
        self._changes = changes
        #: When the pass stops waiting, because a signal came (monotonic seconds).
        self._give_up_at: float | None = None

    async def wait_for(self, task: asyncio.Future[Any], seconds: float) -> bool:
        """Wait until ``task`` ends, ``seconds`` are over, or this pass may wait no longer. Returns
        whether ``task`` has ended. If it has not, it goes on."""
        give_up_at = time.monotonic() + max(seconds, 0.0)
        if self._give_up_at is None and await self._signal_came_before(task, give_up_at):
            self._give_up_at = time.monotonic() + SIGNAL_SECONDS
        if self._give_up_at is not None and not task.done():
            left = min(give_up_at, self._give_up_at) - time.monotonic()
            await asyncio.wait({task}, timeout=max(left, 0.0))
        return task.done()

    async def _signal_came_before(self, task: asyncio.Future[Any], give_up_at: float) -> bool:
        """Wait for ``task`` until ``give_up_at``. Returns True, before that, if a signal comes."""
        signal = asyncio.ensure_future(self._changes.wait_for_signal())
        left = max(give_up_at - time.monotonic(), 0.0)
        try:
            await asyncio.wait({task, signal}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            return signal.done() and not task.done()
        finally:
            signal.cancel()

"""The passes that have begun and not ended: begin one, watch it, cancel it where it hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from .health import Health
from .reporter import Reporter
from .watchdog import GIVE_UP_SECONDS, LATE_SECONDS, Watchdog

#: Seconds between two looks at a pass that has not ended.
WATCH_SECONDS = 5.0


class PassTasks:
    """The passes of one server. Several may have begun: one runs, the others wait for it. ``now``
    returns the current instant (aware UTC)."""

    def __init__(
        self,
        watchdog: Watchdog,
        health: Health,
        reporter: Reporter,
        now: Callable[[], datetime],
    ) -> None:
        self._watchdog = watchdog
        self._health = health
        self._reporter = reporter
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, one_pass: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``one_pass`` in a task. The caller need not wait for it."""
        task = asyncio.ensure_future(one_pass)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if error is not None:
                # The error came after the pass itself. PassRunner has reported all other errors.
                self._health.pass_ended(error, self._now())

        task.add_done_callback(ended)
        return task

    async def watch(self, running: asyncio.Task[None]) -> None:
        """Wait for the pass ``running``. A late pass becomes a fault, and a pass that does not end
        is cancelled with all others."""
        while not running.done():
            await asyncio.wait({running}, timeout=WATCH_SECONDS)
            seconds = self._watchdog.seconds
            if running.done() or seconds < LATE_SECONDS:
                continue
            now = self._now()
            self._health.pass_is_late(self._watchdog.waiting_for, seconds, now)
            self._reporter.settle_faults(now)
            if seconds >= GIVE_UP_SECONDS:
                self.cancel_all()

    def cancel_all(self) -> set[asyncio.Task[None]]:
        """Cancel all passes. Returns their tasks, which may take a moment to end."""
        for task in self._tasks:
            task.cancel()
        return set(self._tasks)

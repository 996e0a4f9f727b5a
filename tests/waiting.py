"""Wait for a condition instead of for a time that may be too short on a busy machine.

The deadlines are generous, and longer on a busy machine (``Deadline``): only a test that would
never pass reaches them.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any

from auto_shutdown.local_studio.deadline import Deadline

#: How long a condition may take, in seconds, before the test fails.
DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of ``condition``; else TimeoutError, which names ``what``."""
    deadline = Deadline(seconds)
    while not (value := condition()):
        if deadline.has_passed:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)
    return value


async def eventually(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS
) -> Any:
    """As ``wait_until``, on the event loop; ``condition`` may be a coroutine function."""
    deadline = Deadline(seconds)
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if deadline.has_passed:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(0.01)


class StalledError(Exception):
    """The machine ran a test too rarely: what the test keeps in use was rightly taken for idle."""


class Pace:
    """For a test that has to act every ``seconds`` to keep something in use."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def check(self) -> None:
        """Call it after each action, before the assertion that relies on it; StalledError when the
        previous call was longer ago than ``seconds``."""
        now = time.monotonic()
        if now - self._last > self._seconds:
            raise StalledError(f"{now - self._last:.1f} s without a turn, {self._seconds} allowed")
        self._last = now


Test = Callable[..., Coroutine[Any, Any, None]]


def again_after_a_stall(test: Test) -> Test:
    """Start such a test anew, up to five times, when the machine stalled. Other failures count."""

    @functools.wraps(test)
    async def attempts(*arguments: Any, **named: Any) -> None:
        for attempt in range(5):
            try:
                return await test(*arguments, **named)
            except StalledError:
                if attempt == 4:
                    raise
        return None

    return attempts

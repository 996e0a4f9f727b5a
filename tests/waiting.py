"""Wait for a condition instead of for a time that may be too short on a busy machine.

The deadlines are generous: only a test that would never pass reaches them.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

#: How long a condition may take, in seconds, before the test fails.
DEADLINE_SECONDS = 60.0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of ``condition``; else TimeoutError, which names ``what``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)
    return value


async def eventually(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS
) -> Any:
    """As ``wait_until``, on the event loop; ``condition`` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        await asyncio.sleep(0.01)

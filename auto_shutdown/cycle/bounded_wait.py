"""Wait for a bounded time, so that a call that hangs delays neither a request nor the server's
end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def acquired(lock: asyncio.Lock, seconds: float) -> bool:
    """Take ``lock`` if that is possible within ``seconds``. Returns whether it was taken."""
    try:
        await asyncio.wait_for(lock.acquire(), seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def finish_within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Run ``work``, and wait for it for at most ``seconds``. After that it goes on by itself.
    Raises what ``work`` raises within that time."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        task.result()

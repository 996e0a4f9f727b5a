"""A thread for file access, with a time limit for each call.

It does not use the event loop's default executor: other extensions share its threads and may block
all of them, and Python waits for them when the server ends.
"""

from __future__ import annotations

import asyncio
import errno
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from ..core.translatable import sentence
from .worker_thread import ClosedError, Worker

T = TypeVar("T")

#: A file system that has not answered after this many seconds is a fault. EFS takes a few seconds
#: when it is throttled.
FILE_SECONDS = 15.0


class FileThread:
    """Runs functions that read and write files, one after another, in its own thread."""

    def __init__(self, name: str, seconds: float = FILE_SECONDS) -> None:
        self._worker = Worker(f"auto-shutdown-{name}")
        self._seconds = seconds
        # Ends the thread also if nobody calls ``close`` (a test, a server that could not start).
        weakref.finalize(self, self._worker.close).atexit = False

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """The function's result, or its exception. Raises TimeoutError (an OSError) after the time
        limit; the function may still be running then. Raises OSError after ``close``."""
        try:
            return await self._worker.run(lambda: function(*arguments), self._seconds)
        except asyncio.TimeoutError:
            limit = timedelta(seconds=self._seconds)
            text = sentence("the file system did not answer within %1", limit)
            raise OSError(errno.ETIMEDOUT, text) from None
        except ClosedError:
            raise OSError(errno.ESHUTDOWN, "the server is stopping") from None

    def close(self) -> None:
        """Accept no more calls. Does not wait for the one that runs."""
        self._worker.close()

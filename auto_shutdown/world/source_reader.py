"""Read the sources of a snapshot, each within a time limit. A source that fails becomes unread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from ..core.model import Unread
from ..core.translatable import sentence

#: A source that has not answered after this time (seconds) counts as unread. The next pass asks it
#: again.
SOURCE_SECONDS = 45.0

#: A call that has not ended after this time (seconds) is cancelled, and the next pass begins a new
#: one. Without this a manager that hangs once would keep everything until the server restarts.
ABANDON_SECONDS = 600.0

_REMEDY = sentence(
    "The next pass tries again. If the fault stays, see the messages of the managers in the "
    "server's log."
)

T = TypeVar("T")


def _take_error(call: asyncio.Future[Any]) -> None:
    if not call.cancelled():
        call.exception()


class SourceReader:
    """Reads sources, and remembers the calls that have not ended."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._pending: dict[str, tuple[asyncio.Future[Any], float]] = {}

    async def read(
        self, source: str, read: Callable[[], Awaitable[T]], last: T, unread: dict[str, Unread]
    ) -> T:
        """The result of ``read``. If it fails or takes too long: ``last``, and an entry for
        ``source`` in ``unread``. A late call goes on, and no second call begins beside it for
        :data:`ABANDON_SECONDS`."""
        pending, began_at = self._unfinished(source) or (asyncio.ensure_future(read()), self._now())
        await asyncio.wait({pending}, timeout=SOURCE_SECONDS)
        try:
            if pending.done():
                result: T = pending.result()
                return result
            # Nobody may wait for the late call. Its error must not appear in the log.
            pending.add_done_callback(_take_error)
            self._pending[source] = pending, began_at
            limit = timedelta(seconds=SOURCE_SECONDS)
            text = sentence("The %1 have not been listed within %2.", source, limit)
            code = "TimedOut"
        except Exception as error:
            code = type(error).__name__
            text = sentence("Cannot list the %1: %2.", source, code)
        unread[source] = Unread(source, code, text, _REMEDY)
        return last

    def _unfinished(self, source: str) -> tuple[asyncio.Future[Any], float] | None:
        """The call of an earlier pass that goes on, and the time of its start."""
        late = self._pending.pop(source, None)
        if late is None or late[0].done():
            return None
        if self._now() - late[1] < ABANDON_SECONDS:
            return late
        late[0].cancel()
        return None

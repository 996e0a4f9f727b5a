"""Read the sources of a snapshot, each within a time limit. A source that fails becomes unread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..core.model import Unread
from ..core.texts import sentence

#: A source that has not answered after this time (seconds) counts as unread. The next pass asks it
#: again.
SOURCE_SECONDS = 45.0

_REMEDY = sentence(
    "The next pass tries again. If it stays, the server's log says what its managers do."
)

T = TypeVar("T")


class SourceReader:
    """Reads sources, and remembers the calls that have not ended."""

    def __init__(self) -> None:
        self._pending: dict[str, asyncio.Future[Any]] = {}

    async def read(
        self, source: str, read: Callable[[], Awaitable[T]], last: T, unread: dict[str, Unread]
    ) -> T:
        """The result of ``read``. If it fails or takes too long: ``last``, and an entry for
        ``source`` in ``unread``. A late call is not cancelled, because it may ignore this, and no
        second call begins before it ends."""
        pending = self._pending.pop(source, None)
        if pending is None or pending.done():
            pending = asyncio.ensure_future(read())
        await asyncio.wait({pending}, timeout=SOURCE_SECONDS)
        try:
            if pending.done():
                result: T = pending.result()
                return result
            self._pending[source] = pending
            limit = f"{SOURCE_SECONDS:g}"
            text = sentence("The %1 have not been listed within %2 s.", source, limit)
            code = "TimedOut"
        except Exception as error:
            code = type(error).__name__
            text = sentence("Cannot list the %1: %2.", source, code)
        unread[source] = Unread(source, code, text, _REMEDY)
        return last

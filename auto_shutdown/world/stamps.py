"""The time stamps that Jupyter servers and gateways write: how to read them, and which of them a
question of this extension has moved."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Generic, TypeVar

from ..core.translatable import sentence

Key = TypeVar("Key")

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):?(\d\d))?"
)


def parse_stamp(value: Any) -> datetime | None:
    """An instant in UTC from a ``datetime`` or ISO 8601 text; None where there is none.

    Jupyter omits the fraction of a whole second, and gateways write 3 or 6 decimals, and ``Z`` or
    ``+00:00``. ``fromisoformat`` of Python 3.9 reads only some of these. A stamp without a timezone
    is in UTC, as all stamps of Jupyter are. Raises ValueError on anything else, because a stamp
    that cannot be read must not count as "no activity".
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, datetime):
            utc = timezone.utc
            return value.astimezone(utc) if value.tzinfo else value.replace(tzinfo=utc)
        if isinstance(value, str):
            return _parse(value)
    except OverflowError:
        pass  # the year 1 of another zone, for example
    raise ValueError(sentence("not a time stamp: %1", f"{value!r:.60}"))


@lru_cache(maxsize=4096)  # an idle resource has the same stamp in each pass
def _parse(value: str) -> datetime:
    match = _STAMP.fullmatch(value)
    if match is None:
        raise ValueError(sentence("not a time stamp: %1", f"{value!r:.60}"))
    *numbers, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    instant = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=timezone.utc)
    if sign is None:
        return instant
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return instant - offset if sign == "+" else instant + offset


class MovedStamps(Generic[Key]):
    """The ``last_activity`` stamps that this extension's own questions to kernels have moved. A key
    identifies a kernel.

    On servers before jupyter_server 2.15 a question moves the stamp as a cell does. The question
    must not count as activity: otherwise asking an idle kernel would keep it running."""

    def __init__(self) -> None:
        self._moved: dict[Key, tuple[datetime, datetime | None]] = {}

    def note(self, key: Key, before: datetime | None, after: datetime | None) -> None:
        """A question has moved the stamp from ``before`` to ``after`` (None: the stamp is not
        known, so nothing is noted)."""
        if after is not None and after != before:
            self._moved[key] = after, before

    def without(self, key: Key, stamp: datetime | None) -> datetime | None:
        """The stamp from before the question, if ``stamp`` is the one that the question left. Else
        ``stamp`` itself: somebody has used the kernel since."""
        after, before = self._moved.get(key, (None, None))
        return before if after is not None and after == stamp else stamp

    def keep_only(self, keys: Collection[Key]) -> None:
        """Forget all other kernels."""
        for key in self._moved.keys() - set(keys):
            del self._moved[key]

"""Reading the time stamps that Jupyter servers and gateways write."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?:[Zz]|([+-])(\d\d):?(\d\d))?"
)


def parse_stamp(value: Any) -> datetime | None:
    """An instant in UTC from a ``datetime`` or ISO 8601 text; None where there is none.

    Jupyter drops the fraction on a whole second, gateways write 3 or 6 decimals, ``Z`` or
    ``+00:00``, and Python 3.9's ``fromisoformat`` takes only some of these. A stamp without a
    zone is UTC, as all of Jupyter's are. Raises ValueError on anything else, because a
    stamp that is not understood must not count as "no activity".
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
    raise ValueError(f"not a time stamp: {value!r:.60}")


@lru_cache(maxsize=4096)  # an idle resource has the same stamp in each pass
def _parse(value: str) -> datetime:
    match = _STAMP.fullmatch(value)
    if match is None:
        raise ValueError(f"not a time stamp: {value!r:.60}")
    *numbers, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    instant = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=timezone.utc)
    if sign is None:
        return instant
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return instant - offset if sign == "+" else instant + offset

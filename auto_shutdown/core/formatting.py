"""Format durations, instants and names for people and for the report."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache


def duration(span: timedelta) -> str:
    """``45 s``, ``12 m``, ``1 h 12 m``, ``3 d 4 h``: seconds only below a minute, two units at
    most, rounded down."""
    return _duration(max(0, int(span.total_seconds())))


@lru_cache(maxsize=4096)  # a pass formats the same few durations for many resources
def _duration(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes:02d} m" if minutes else f"{hours} h"
    return f"{minutes} m"


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and ``Z``, the format of every instant in the API."""
    if instant is None:
        return None
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """``text`` on one line and without control characters.

    Users choose the names of kernels and notebooks. Such a name must not add a line to a log or
    move a terminal's cursor.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

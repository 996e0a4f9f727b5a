"""Text for people: lines, tables and colours. Names are chosen by users, so everything that is
written goes through ``printable``; colours only on a terminal, and not with NO_COLOR."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TextIO

from ..core.words import duration, printable

COLOURS = {"good": "32", "notice": "33", "bad": "31", "dim": "2", "strong": "1"}

#: A cell, and the style it is written in.
Cell = tuple[str, str]

#: Below this a column is not cut, however narrow the terminal.
NARROWEST = 12


class Page:
    """Where text goes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        terminal = self._stream.isatty()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colours = terminal and not plain
        self._width = shutil.get_terminal_size().columns if terminal else None

    def line(self, text: str = "", style: str = "") -> None:
        self._write(self._styled(printable(text), style))

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Cell]], wide: int) -> None:
        """Columns aligned; the one numbered ``wide`` is cut where the terminal is too narrow."""
        cells = [[(printable(text), style) for text, style in row] for row in rows]
        titles = [(title, "dim") for title in header]
        widths = [max(map(columns, texts)) for texts in _by_column([titles, *cells])]
        if self._width is not None:
            excess = sum(widths) + 2 * (len(widths) - 1) - self._width
            if excess > 0:
                widths[wide] = max(widths[wide] - excess, NARROWEST)
        for row in [titles, *cells]:
            parts = [
                self._styled(fitted(text, width), style)
                for (text, style), width in zip(row, widths)
            ]
            self._write("  ".join(parts).rstrip())

    def json(self, value: Any) -> None:
        self._write(json.dumps(value, indent=2))

    def _styled(self, text: str, style: str) -> str:
        if not self._colours or not style or not text.strip():
            return text
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")


def _by_column(rows: Sequence[Sequence[Cell]]) -> Iterable[list[str]]:
    return ([text for text, _ in column] for column in zip(*rows))


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fitted(text: str, width: int) -> str:
    """``text`` in exactly ``width`` columns, cut with an ellipsis or filled with blanks."""
    if columns(text) > width:
        while text and columns(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - columns(text))


def instant(text: Any) -> datetime | None:
    """An instant of the report."""
    if not text:
        return None
    return datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def local_time(text: Any) -> str:
    """When, on the reader's own clock."""
    at = instant(text)
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def left_until(text: Any, now: datetime) -> str:
    """How long until an instant of the report, ``now`` when it is over."""
    at = instant(text)
    if at is None:
        return ""
    return duration(at - now) if at > now else "now"


def now_of(report: Mapping[str, Any]) -> datetime:
    """The server's clock is what its instants are measured by."""
    return instant(report.get("now")) or datetime.now(timezone.utc)

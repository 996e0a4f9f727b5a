"""Prints lines and tables for people. Users choose names, so every text goes through ``printable``,
which escapes control characters. Colours appear only on a terminal, and not with NO_COLOR."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TextIO

from ..core.formatting import duration, printable

#: The ANSI code of each style.
COLOURS = {"good": "32", "notice": "33", "bad": "31", "dim": "2", "strong": "1"}

#: The text of a cell, and its style: a key of COLOURS, or empty.
Cell = tuple[str, str]

#: The width below which no column is cut, even on a narrow terminal.
NARROWEST = 8

#: The fewest terminal columns in which a sentence is wrapped beside the rest of its row. In a
#: narrower column it goes below its row.
READABLE = 30

INDENT = "    "


@dataclass(frozen=True)
class Column:
    """A column that becomes narrower on a narrow terminal. A text that is too long is cut; with
    ``keep_end`` it keeps its end, as paths need. A column of ``sentences`` is never cut: they are
    wrapped inside the column, or go below their rows. A table can have one such column."""

    title: str
    sentences: bool = False
    keep_end: bool = False


class Page:
    """Writes lines and tables to a stream. If the stream is a terminal, it uses colours and fits
    the width of the terminal. Every text goes through ``printable``."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        terminal = self._stream.isatty()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self._colours = terminal and not plain
        self._width = shutil.get_terminal_size().columns if terminal else None

    @property
    def width(self) -> int | None:
        """The number of columns of the terminal; None if the stream is no terminal."""
        return self._width

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line in a style (a key of COLOURS). On a terminal it is wrapped between
        words."""
        text = printable(text)
        for part in [text] if self._width is None else wrapped(text, self._width):
            self._write(self._styled(part, style))

    def rows(
        self, header: Sequence[Column | str], rows: Iterable[Sequence[Cell]], nothing: str
    ) -> None:
        """Write a table of ``rows``, or the line ``nothing`` if there is no row."""
        cells = list(rows)
        if cells:
            self.table(header, cells)
        else:
            self.line(nothing)

    def table(self, header: Sequence[str | Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Write a table with aligned columns. It has no header if all titles are empty. If the
        terminal is too narrow, the columns that are a ``Column`` become narrower. If that is not
        enough, each row becomes a list of its cells, one below the other."""
        titles = [each if isinstance(each, Column) else Column(each) for each in header]
        flexible = [isinstance(each, Column) for each in header]
        cells = [[(printable(text), style) for text, style in row] for row in rows]
        table = [[(column.title, "dim") for column in titles], *cells]
        widths = [max(map(columns, texts)) for texts in _by_column(table)]
        below = self._fit(widths, titles, flexible)
        if self._excess([width for index, width in enumerate(widths) if index != below]) > 0:
            self._write_lists(titles, cells)
            return
        for row in table if any(column.title for column in titles) else cells:
            head = [part for index, part in enumerate(zip(row, widths, titles)) if index != below]
            self._write_row(head)
            if below is not None and row is not table[0]:
                text, style = row[below]
                self.line(INDENT + text, style)

    def _write_lists(self, titles: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        """Write the cells of each row below each other, each after the title of its column."""
        for number, row in enumerate(rows):
            if number and any(column.title for column in titles):
                self._write("")
            for column, (text, style) in zip(titles, row):
                label = f"{column.title}: " if column.title else ""
                if text.strip():
                    self.line(label + text, style)

    def _write_row(self, parts: Sequence[tuple[Cell, int, Column]]) -> None:
        """Write the cells of a row, each with its width and its column. Sentences may take several
        lines. A row of empty cells, which can be left of a row whose sentence goes below it, is
        not written."""
        texts = [
            wrapped(text, width) if column.sentences else [fitted(text, width, column.keep_end)]
            for (text, _), width, column in parts
        ]
        if not any(text.strip() for lines in texts for text in lines):
            return
        for number in range(max(map(len, texts))):
            line = [
                self._styled(fitted(lines[number] if number < len(lines) else "", width), style)
                for lines, ((_, style), width, _) in zip(texts, parts)
            ]
            self._write("  ".join(line).rstrip())

    def _fit(
        self, widths: list[int], titles: Sequence[Column], flexible: Sequence[bool]
    ) -> int | None:
        """Change ``widths`` so that a row fits the terminal. Returns the index of the column whose
        sentences go below their rows; None if there is none."""
        excess = self._excess(widths)
        below = next((i for i, column in enumerate(titles) if column.sentences), None)
        if excess <= 0:
            return None
        if below is not None:
            if widths[below] - excess >= READABLE:
                widths[below] -= excess
                return None
            excess -= widths[below] + 2
        for index in sorted(range(len(widths)), key=lambda i: -widths[i]):  # the widest first
            if flexible[index] and index != below and excess > 0:
                cut = min(excess, max(widths[index] - NARROWEST, 0))
                widths[index] -= cut
                excess -= cut
        return below

    def _excess(self, widths: Sequence[int]) -> int:
        """By how many columns a row with these widths is wider than the terminal."""
        if self._width is None:
            return 0
        return sum(widths) + 2 * (len(widths) - 1) - self._width

    def json(self, value: Any) -> None:
        """Write ``value`` as JSON, indented on a terminal and otherwise on one line. Python's
        indented output is slow: it takes seconds for the report of a large domain."""
        self._write(json.dumps(value, indent=None if self._width is None else 2))

    def _styled(self, text: str, style: str) -> str:
        if not self._colours or not style or not text.strip():
            return text
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")


def _by_column(rows: Sequence[Sequence[Cell]]) -> Iterable[list[str]]:
    return ([text for text, _ in column] for column in zip(*rows))


def columns(text: str) -> int:
    """The number of terminal columns of ``text``. A wide character has two, a combining one
    none."""
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def fitted(text: str, width: int, keep_end: bool = False) -> str:
    """``text`` in exactly ``width`` terminal columns: filled with blanks, or cut with an ellipsis
    at its end (with ``keep_end`` at its beginning)."""
    if columns(text) > width:
        while text and columns(text) > width - 1:
            text = text[1:] if keep_end else text[:-1]
        text = "…" + text if keep_end else text + "…"
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` terminal columns, broken between words. Each line has
    the indentation of the first. A word that is longer than a line is broken. Blanks inside a line
    stay, because a file name may contain several."""
    indent = text[: len(text) - len(text.lstrip())]
    lines, line = [], indent
    for blanks, word in re.findall(r"(\s*)(\S+)", text.strip()):
        if line.strip() and columns(line + blanks + word) > width:
            lines.append(line)
            line = indent
        line += (blanks if line.strip() else "") + word
        while columns(line) > width > len(indent) + 1:
            end = len(line)
            while columns(line[:end]) > width:
                end -= 1
            lines.append(line[:end])
            line = indent + line[end:]
    return [*lines, line]


def instant(text: Any) -> datetime | None:
    """An instant of a report (ISO 8601) as an aware datetime; None for an empty one."""
    if not text:
        return None
    return datetime.fromisoformat(str(text).replace("Z", "+00:00"))


def local_time(text: Any) -> str:
    """An instant of a report in the local time zone of this machine; empty for an empty one."""
    at = instant(text)
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def left_until(text: Any, now: datetime) -> str:
    """The time from ``now`` until an instant of a report; the word ``now`` when it has passed."""
    at = instant(text)
    if at is None:
        return ""
    return duration(at - now) if at > now else "now"


def now_of(report: Mapping[str, Any]) -> datetime:
    """The time on the server's clock when it made the report. All instants of the report are of
    this clock."""
    return instant(report.get("now")) or datetime.now(timezone.utc)

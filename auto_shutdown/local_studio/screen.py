"""The output of the demo: a table that is updated in place on a terminal, else lines."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

#: The colours by the first word of a state: kept (in use, or kept on request), idle (not yet for
#: long enough), stops (a notice was given) and removed.
COLOURS = {"kept": "green", "idle": "default", "stops": "yellow", "removed": "red"}

#: The widths of the first two columns. All names and states of the demo fit.
WHAT_WIDTH, STATE_WIDTH = 20, 13


@dataclass(frozen=True)
class Row:
    """One row of the table. ``state`` begins with a key of ``COLOURS``."""

    name: str
    state: str
    reason: str
    why: str

    @property
    def style(self) -> str:
        return COLOURS[self.state.split()[0]]


class Screen:
    """Prints the output. ``console`` knows its width, its colours and whether it is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._live: Live | None = None
        self._rows: dict[str, Row] = {}
        self._shown: dict[str, tuple[str, str]] = {}

    def say(self, text: str = "") -> None:
        """Print a text. On a terminal it is wrapped; a file has whole lines."""
        whole = not self.console.is_terminal
        self.console.print(text, highlight=False, markup=False, soft_wrap=whole)

    def step(self, text: str) -> None:
        """Print a step that begins now, with the seconds since the start."""
        self._indented(f"{time.monotonic() - self._began:3.0f} s ", text + " …")

    def points(self, lines: Iterable[tuple[str, str, str]]) -> None:
        """Print lines; each has a mark, the style of the mark, and a text."""
        for mark, style, text in lines:
            self._indented(mark, text, style)

    def _indented(self, mark: str, text: str, style: str = "") -> None:
        """Print ``text`` after ``mark``, with a hanging indent."""
        if not self.console.is_terminal:
            self.console.print(f"{mark} {text}", highlight=False, markup=False, soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(mark, style=style, no_wrap=True), Text(text))
        self.console.print(grid)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which ``show`` updates one table in place."""
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4) as self._live:
            yield
        self._live = None

    def show(self, report: Mapping[str, Any]) -> None:
        """Show the extension's report. Resources that it no longer lists stay visible as
        removed."""
        now = _instant(report["now"])
        rows = {
            f"{r['kind']}/{r['id']}": _row(r, now)
            for r in _apps_before_their_kernels(report["resources"])
            if r["state"] != "Deleted"
        }
        for key, row in self._rows.items():
            if key not in rows and row.state != "removed":
                why = _why_removed(report, key, row.why)
                self._rows[key] = Row(row.name, "removed", row.reason, why)
        for key, row in rows.items():
            removed = row.state == "removed"
            self._rows[key] = (
                replace(row, why=_why_removed(report, key, row.why)) if removed else row
            )
        leaving = [row for row in self._rows.values() if row.state.startswith("stops")]
        names = ", ".join(row.name.strip() for row in leaving)
        notice = f"Notice: stops soon, unless somebody keeps it: {names}." if names else ""
        if self._live is not None:
            table = self._table(report["health"]["state"])
            self._live.update(Group(table, Text(notice, style="yellow")))
        else:
            self._show_changes()

    def _show_changes(self) -> None:
        for key, row in self._rows.items():
            change = (row.state.split()[0], row.reason)
            if self._shown.get(key) != change:
                self._shown[key] = change
                self.say(f"  {row.name.strip()}: {row.state}. {row.why}")

    def _table(self, health: str) -> Table:
        title = f"auto_shutdown is watching, health: {health}"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
        table.add_column("WHAT", no_wrap=True, width=WHAT_WIDTH)
        table.add_column("STATE", no_wrap=True, width=STATE_WIDTH)
        table.add_column("WHY", no_wrap=True)
        width = max(20, self.console.width - WHAT_WIDTH - STATE_WIDTH - 3)
        for row in self._rows.values():
            # The text is cut between two words, so that no word is broken.
            why = textwrap.shorten(row.why, width, placeholder=" …")
            table.add_row(row.name, Text(row.state, style=row.style), why)
        return table


def name_of(resource: Mapping[str, Any]) -> str:
    """The name of a resource for people: the notebook of a kernel, the instance type of an app."""
    if resource["kind"] == "app":
        return f"app on {resource['instance_type']}"
    return str(resource["paths"][0] if resource["paths"] else resource["name"])


def _apps_before_their_kernels(resources: Iterable[Any]) -> list[Any]:
    def place(resource: Any) -> tuple[str, bool]:
        own = resource["id"] if resource["kind"] == "app" else resource.get("app") or ""
        return own, resource["kind"] != "app"

    return sorted(resources, key=place)


def _row(resource: Mapping[str, Any], now: datetime) -> Row:
    name = name_of(resource) if resource["kind"] == "app" else f"  {name_of(resource)}"
    due, warn = resource["due_at"], resource["warn_at"]
    if resource["state"] == "Deleting":
        state = "removed"
    elif resource["action"] == "remove" or (due and _instant(due) <= now):
        state = "stops now"
    elif due and warn and _instant(warn) <= now:
        state = f"stops in {math.ceil((_instant(due) - now).total_seconds())} s"
    elif due and not resource["kept_until"]:
        state = "idle"
    else:
        state = "kept"
    return Row(name, state, resource["reason"], resource["detail"])


def _why_removed(report: Mapping[str, Any], key: str, otherwise: str) -> str:
    """Why the resource was removed: the sentence of its last outcome, else ``otherwise``."""
    for outcome in reversed(report["outcomes"]):
        if f"{outcome['kind']}/{outcome['id']}" == key:
            return str(outcome["detail"])
    return otherwise


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))

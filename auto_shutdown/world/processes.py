"""The process table of this host, from ``/proc``: no package of the host's environment is needed.

Where there is no ``/proc`` (macOS, Windows) the table is empty, and nothing can be told from it.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Process:
    """One line of the table. ``cpu`` is processor time in seconds, with that of the children it
    has waited for; ``foreground`` is the foreground process group of its terminal (-1: none)."""

    pid: int
    parent: int
    group: int
    foreground: int
    started: int
    cpu: float
    command: str
    state: str = "S"

    @property
    def key(self) -> tuple[int, int]:
        """A process id is used again; with the start it is unique."""
        return self.pid, self.started


Table = Mapping[int, Process]


def read_table() -> dict[int, Process]:
    """All processes that can be seen. Reads a small file for each: not for the event loop."""
    try:
        names = os.listdir(PROC)
    except OSError:
        return {}
    found = (read_process(int(name)) for name in names if name.isdigit())
    return {process.pid: process for process in found if process is not None}


def read_process(pid: int) -> Process | None:
    """One process; None when it is not there (any more)."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The command stands in parentheses and may hold any character (proc(5)).
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    try:
        return Process(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            foreground=int(fields[5]),
            started=int(fields[19]),
            cpu=sum(int(ticks) for ticks in fields[11:15]) / _TICKS,
            command=head.partition("(")[2],
            state=fields[0],
        )
    except (IndexError, ValueError):
        return None


def tree(table: Table, roots: Iterable[int]) -> list[Process]:
    """The processes ``roots`` and all their descendants."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: dict[int, Process] = {}
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = table[pid]
            waiting += children.get(pid, [])
    return list(found.values())


def environment_has(pid: int, entry: str) -> bool:
    """Whether the environment that ``pid`` was started with holds ``NAME=value``. The rest of it
    (it can hold secrets) is not looked at."""
    try:
        entries = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return entry.encode() in entries


def used_between(before: Mapping[Hashable, float], after: Mapping[Hashable, float]) -> float:
    """Processor time in seconds used from one sample to the next, each by process. One that is
    new counts in full; one that has ended counts with the parent that waited for it."""
    return sum(max(0.0, cpu - before.get(key, 0.0)) for key, cpu in after.items())

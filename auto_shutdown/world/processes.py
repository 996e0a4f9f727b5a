"""A process of this host as a value, and its relatives: its descendants and its ancestors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """One line of the process table. Every counter is a total since the process started.

    ``started`` is the start time (clock ticks since boot), ``cpu`` the processor time in seconds,
    with that of the children it has waited for. ``waited`` is the part of those children, and
    ``child_faults`` counts their page faults, so it grows whenever a child has ended. ``session``
    is the POSIX session, ``terminal`` the number of the controlling terminal (0: none),
    ``foreground`` its foreground process group (-1: none).
    """

    pid: int
    parent: int
    group: int
    foreground: int
    started: int
    cpu: float
    command: str
    state: str = "S"
    session: int = 0
    terminal: int = 0
    child_faults: int = 0
    waited: float = 0.0

    @property
    def key(self) -> tuple[int, int]:
        """The process id and the start time. Together they are unique; the system uses a process id
        again."""
        return self.pid, self.started

    @property
    def has_ended(self) -> bool:
        """Whether only its exit status is left (a zombie)."""
        return self.state in "ZX"

    @property
    def is_stopped(self) -> bool:
        """Whether job control has stopped it (Ctrl-Z, or a read from the terminal in the
        background). A process that a debugger has stopped is in the state ``t``."""
        return self.state == "T"

    @property
    def is_in_front(self) -> bool:
        """Whether it is in the foreground of its terminal, so that it may read and print there."""
        return self.group == self.foreground


#: The processes by process id.
Table = Mapping[int, Process]

#: The process ids of the children, by the process id of the parent.
Children = Mapping[int, "list[int]"]


def children_of(table: Table) -> Children:
    """The children of each process that has any."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    return children


def tree(table: Table, roots: Iterable[int], children: Children | None = None) -> list[Process]:
    """The processes ``roots`` and all their descendants. For many trees of one table, pass its
    ``children`` (:func:`children_of`)."""
    children = children_of(table) if children is None else children
    members: dict[int, Process] = {}
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in members:
            members[pid] = table[pid]
            waiting += children.get(pid, [])
    return list(members.values())


def ancestors(table: Table, pid: int) -> set[int]:
    """The process ``pid`` and all its ancestors."""
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found

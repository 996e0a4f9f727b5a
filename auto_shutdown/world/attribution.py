"""Who started a process: which kernel or terminal of this server, or some other part of Jupyter.

Today's parent is not enough: a job of ``nohup``, ``setsid``, tmux or screen is re-parented to
process 1 (which may be the Jupyter server itself). So the history counts, too: the POSIX session,
what was seen earlier, and the environment that Jupyter gives to its kernels (``JPY_PARENT_PID``,
``JPY_SESSION_NAME``) and terminals (``JUPYTER_SERVER_URL``), which every descendant inherits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..core.model import Kernel, Kind, Ref, Resource
from . import processes
from .processes import Process, Table

#: The kernel's server, and the notebook or console of its session (jupyter_client, jupyter_server).
KERNEL_PARENT = "JPY_PARENT_PID"
KERNEL_SESSION = "JPY_SESSION_NAME"

#: The address of the server that opened a terminal (jupyter_server_terminals).
TERMINAL_SERVER = "JUPYTER_SERVER_URL"

VARIABLES = (KERNEL_PARENT, KERNEL_SESSION, TERMINAL_SERVER)

#: Between fork and exec a process still has its parent's environment, so what is read of a process
#: this young is read again (seconds).
SETTLED_SECONDS = 5.0

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Attribution:
    """``owners``: the kernel or terminal that started each process, by process id, where it is
    known and still there. ``adrift``: jobs that some kernel or terminal started (of this server or
    another one), which one is not known or it is gone. ``from_terminals``: those of ``adrift``
    that came from a terminal of this server."""

    owners: Mapping[int, Ref] = field(default_factory=dict)
    adrift: frozenset[int] = frozenset()
    from_terminals: frozenset[int] = frozenset()

    def of(self, table: Table, ref: Ref) -> list[Process]:
        """The processes of one kernel or terminal."""
        return [table[pid] for pid, owner in self.owners.items() if owner == ref]


class ProcessHistory:
    """Attributes processes, and remembers it. ``server_url`` is what this server gives its
    terminals as ``JUPYTER_SERVER_URL``. Blocking: belongs to a worker thread."""

    def __init__(
        self,
        server_url: str,
        now: Callable[[], float],
        own_environment: Environment | None = None,
        read_environment: Callable[[int, Iterable[str]], Environment] | None = None,
    ) -> None:
        self._server_url = server_url
        self._now = now
        self._own = os.environ if own_environment is None else own_environment
        self._read = read_environment or processes.read_environment
        self._owners: dict[tuple[int, int], Ref] = {}
        self._environments: dict[tuple[int, int], tuple[float, Environment]] = {}

    def attribute(
        self, table: Table, roots: Mapping[Ref, int], resources: Iterable[Resource], server: int
    ) -> Attribution:
        """Attribute every process of ``table``. ``roots`` are the processes of the kernels and
        terminals on this host, ``resources`` all that this server has, ``server`` is its process.
        Raises OSError when an environment cannot be read for want of file descriptors."""
        paths = {
            resource.paths[0]: resource.ref
            for resource in resources
            if isinstance(resource, Kernel) and len(resource.paths) == 1
        }
        owners = self._known(table, roots)
        adrift: set[int] = set()
        from_terminals: set[int] = set()
        environments = self._environments_of(table, set(owners) | {server})
        for pid, marks in environments.items():
            if not self._is_of_jupyter(marks):
                continue
            owner = paths.get(marks.get(KERNEL_SESSION, ""))
            if owner is not None and marks.get(KERNEL_PARENT) == str(server):
                owners[pid] = owner
            else:
                adrift.add(pid)
                if self._server_url and marks.get(TERMINAL_SERVER) == self._server_url:
                    from_terminals.add(pid)
        for pid, remembered in ((p.pid, self._owners.get(p.key)) for p in table.values()):
            if pid not in owners and remembered is not None:
                adrift.add(pid)  # its kernel or terminal is gone
                if remembered.kind is Kind.TERMINAL:
                    from_terminals.add(pid)
        self._remember(table, owners)
        return Attribution(owners, frozenset(adrift) - owners.keys(), frozenset(from_terminals))

    def _known(self, table: Table, roots: Mapping[Ref, int]) -> dict[int, Ref]:
        """By parent, by POSIX session, and by what was seen earlier; and all descendants."""
        owners: dict[int, Ref] = {}
        for ref, root in roots.items():
            if root not in table:
                continue
            begun = table[root].started
            members = {root}
            for process in table.values():
                in_session = process.session == root and process.started >= begun
                if in_session or self._owners.get(process.key) == ref:
                    members.add(process.pid)
            owners.update((process.pid, ref) for process in processes.tree(table, members))
        return owners

    def _environments_of(self, table: Table, known: set[int]) -> dict[int, Environment]:
        now = self._now()
        kept: dict[tuple[int, int], tuple[float, Environment]] = {}
        for process in table.values():
            if process.pid in known:
                continue
            first, marks = self._environments.get(process.key, (now, None))
            if marks is None or now - first < SETTLED_SECONDS:
                marks = self._read(process.pid, VARIABLES)
            kept[process.key] = first, marks
        self._environments = kept
        return {pid: marks for (pid, _), (_, marks) in kept.items()}

    def _is_of_jupyter(self, marks: Environment) -> bool:
        """Whether a kernel or terminal gave it its environment. What this server itself was
        started with, every helper process of it has, too."""
        return any(name in marks and marks[name] != self._own.get(name) for name in VARIABLES)

    def _remember(self, table: Table, owners: Mapping[int, Ref]) -> None:
        """Of each living process, the last owner known."""
        there = {process.key for process in table.values()}
        self._owners = {key: ref for key, ref in self._owners.items() if key in there}
        self._owners.update((table[pid].key, ref) for pid, ref in owners.items())

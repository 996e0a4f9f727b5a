"""Who started a process: which kernel or terminal of this server, or some other part of Jupyter.

The parent process does not show it: a job of ``nohup``, ``setsid``, tmux or screen is re-parented
to process 1 (which may be the Jupyter server itself). So this module also uses the POSIX session,
earlier observations, and the environment variables that Jupyter sets for its kernels
(``JPY_PARENT_PID``, ``JPY_SESSION_NAME``) and terminals (``JUPYTER_SERVER_URL``). Every descendant
inherits these variables.

A job that is started with ``env -i setsid nohup JOB &`` has none of these traces. But its nearly
empty environment is evidence, too: no other program on this host has such an environment
(docs/decisions/006).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..core.model import Kernel, Kind, Ref, Resource
from . import proc_files, processes
from .processes import Process, Table

#: The kernel's server, and the notebook or console of its session (jupyter_client, jupyter_server).
KERNEL_PARENT = "JPY_PARENT_PID"
KERNEL_SESSION = "JPY_SESSION_NAME"

#: The address of the server that opened a terminal (jupyter_server_terminals).
TERMINAL_SERVER = "JUPYTER_SERVER_URL"

VARIABLES = (KERNEL_PARENT, KERNEL_SESSION, TERMINAL_SERVER)

#: Variables that every environment has unless somebody cleared it (``env -i``, also with some
#: variables: ``env -i HOME="$HOME"``).
ALWAYS_SET = ("HOME", "PATH")

#: Every environment has one of these, too, where process 1 has one: a container gives ``HOSTNAME``
#: to its processes; a login, ``su``, ``sudo`` and cron set ``LOGNAME`` or ``USER``.
SET_BY_A_CONTAINER_OR_LOGIN = ("HOSTNAME", "LOGNAME", "USER")

#: The process that adopts a process whose parent has ended.
INIT = 1

#: Between fork and exec a process has its parent's environment. So the environment of a process
#: that is younger than this (seconds) is read again later.
SETTLED_SECONDS = 5.0

#: The variables that this module reads.
NAMES = (*VARIABLES, *ALWAYS_SET, *SET_BY_A_CONTAINER_OR_LOGIN)

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Attribution:
    """Who started each process. Processes are given by their process ids.

    - ``owners``: the kernel or terminal that started the process, if it is known and still exists.
    - ``ownerless``: the jobs that a kernel or terminal of this or of another server started, if
      that kernel or terminal is unknown or gone; and the jobs whose environment somebody cleared.
    - ``from_terminals``: the part of ``ownerless`` that a terminal of this server started.
    """

    owners: Mapping[int, Ref] = field(default_factory=dict)
    ownerless: frozenset[int] = frozenset()
    from_terminals: frozenset[int] = frozenset()

    def of(self, table: Table, ref: Ref) -> list[Process]:
        """The processes of one kernel or terminal."""
        return [table[pid] for pid, owner in self.owners.items() if owner == ref]


class ProcessHistory:
    """Attributes processes to kernels and terminals, and remembers the result. ``server_url`` is
    the ``JUPYTER_SERVER_URL`` of this server's terminals. Blocks: call it in a worker thread."""

    def __init__(
        self,
        server_url: str,
        now: Callable[[], float],
        own_environment: Environment | None = None,
        read_environment: Callable[[int, Iterable[str]], Environment] | None = None,
        is_of_another_user: Callable[[int], bool] | None = None,
    ) -> None:
        self._server_url = server_url
        self._now = now
        self._own = os.environ if own_environment is None else own_environment
        self._read = read_environment or proc_files.read_environment
        self._is_of_another_user = is_of_another_user or proc_files.is_of_another_user
        self._owners: dict[tuple[int, int], Ref] = {}
        self._environments: dict[tuple[int, int], tuple[float, Environment]] = {}

    def attribute(
        self, table: Table, roots: Mapping[Ref, int], resources: Iterable[Resource], server: int
    ) -> Attribution:
        """Attribute every process of ``table``. ``roots`` are the processes of the kernels and
        terminals on this host, ``resources`` all kernels and terminals of this server, ``server``
        is its process. Raises OSError when no file descriptor is left to read an environment."""
        paths = {
            resource.paths[0]: resource.ref
            for resource in resources
            if isinstance(resource, Kernel) and len(resource.paths) == 1
        }
        owners = self._known(table, roots)
        ownerless: set[int] = set()
        from_terminals: set[int] = set()
        environments = self._environments_of(table, set(owners) | {server})
        for pid, marks in environments.items():
            if not self._is_of_jupyter(marks):
                continue
            owner = paths.get(marks.get(KERNEL_SESSION, ""))
            if owner is not None and marks.get(KERNEL_PARENT) == str(server):
                owners[pid] = owner
            else:
                ownerless.add(pid)
                if self._server_url and marks.get(TERMINAL_SERVER) == self._server_url:
                    from_terminals.add(pid)
        for pid, remembered in ((p.pid, self._owners.get(p.key)) for p in table.values()):
            if pid not in owners and remembered is not None:
                ownerless.add(pid)  # its kernel or terminal is gone
                if remembered.kind is Kind.TERMINAL:
                    from_terminals.add(pid)
        ownerless |= self._cleared(table, environments, server)
        self._remember(table, owners)
        return Attribution(owners, frozenset(ownerless) - owners.keys(), frozenset(from_terminals))

    def _known(self, table: Table, roots: Mapping[Ref, int]) -> dict[int, Ref]:
        """The owners by parent, by POSIX session and by earlier observations, with all
        descendants."""
        in_session: dict[int, list[Process]] = {}
        remembered: dict[Ref, set[int]] = {}
        for process in table.values():
            in_session.setdefault(process.session, []).append(process)
            owner = self._owners.get(process.key)
            if owner is not None:
                remembered.setdefault(owner, set()).add(process.pid)
        children = processes.children_of(table)
        owners: dict[int, Ref] = {}
        for ref, root in roots.items():
            if root not in table:
                continue
            begun = table[root].started
            members = {p.pid for p in in_session.get(root, ()) if p.started >= begun}
            members |= {root} | remembered.get(ref, set())
            owners.update((p.pid, ref) for p in processes.tree(table, members, children))
        return owners

    def _environments_of(self, table: Table, known: set[int]) -> dict[int, Environment]:
        now = self._now()
        kept: dict[tuple[int, int], tuple[float, Environment]] = {}
        for process in table.values():
            if process.pid in known:
                continue
            first, marks = self._environments.get(process.key, (now, None))
            if marks is None or now - first < SETTLED_SECONDS:
                marks = self._read(process.pid, NAMES)
            kept[process.key] = first, marks
        self._environments = kept
        return {pid: marks for (pid, _), (_, marks) in kept.items()}

    def _is_of_jupyter(self, marks: Environment) -> bool:
        """Whether the process has its environment from a kernel or terminal. Variables with which
        this server itself was started do not show it, because every helper process has them."""
        return any(name in marks and marks[name] != self._own.get(name) for name in VARIABLES)

    def _cleared(
        self, table: Table, environments: Mapping[int, Environment], server: int
    ) -> set[int]:
        """Jobs that somebody detached with a cleared environment, and their descendants.

        Such a job is an orphan with a session of its own, younger than this server. This user runs
        it: the environment of another user's process cannot be read. Raises OSError."""
        if server not in table:
            return set()
        # A server that lacks a variable itself expects it of no job.
        groups = [{name} for name in ALWAYS_SET if name in self._own]
        first = self._own if server == INIT else environments.get(INIT, {})
        if all(_has_one_of(SET_BY_A_CONTAINER_OR_LOGIN, marks) for marks in (self._own, first)):
            groups.append(set(SET_BY_A_CONTAINER_OR_LOGIN))
        begun = table[server].started
        jobs = {
            pid
            for pid, marks in environments.items()
            if not all(_has_one_of(names, marks) for names in groups)
            and table[pid].parent == INIT
            and table[pid].started > begun
            and (table[pid].session == pid or table[pid].session not in table)
            and not table[pid].has_ended
            and not self._is_of_another_user(pid)
        }
        return {process.pid for process in processes.tree(table, jobs)} if jobs else set()

    def _remember(self, table: Table, owners: Mapping[int, Ref]) -> None:
        """Remember the last known owner of each living process."""
        there = {process.key for process in table.values()}
        self._owners = {key: ref for key, ref in self._owners.items() if key in there}
        self._owners.update((table[pid].key, ref) for pid, ref in owners.items())


def _has_one_of(names: Iterable[str], environment: Environment) -> bool:
    return any(name in environment for name in names)

"""Observe all processes of this host at one time: who started each of them, which programs run in
the foreground of a terminal, and which kernels and Jupyter servers belong to other programs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from ..core.model import Kernel, Kind, Ref, Resource, Snapshot
from . import (
    cron_jobs,
    foreground,
    foreign_kernels,
    proc_files,
    process_table,
    processes,
    server_files,
)
from .attribution import Attribution, ProcessHistory
from .connections import have_connection, remote_connections
from .cron_jobs import CronJobs
from .foreground import MULTIPLEXERS, Arguments, foreground_programs
from .foreign_kernels import ForeignKernel, OtherFiles
from .listening_kernels import ConnectionFiles
from .outside_programs import Members, Outside, ProgramWatch, is_new_own_kernel
from .process_counters import Sample, sample_of
from .process_table import UnreadableError
from .processes import Process, Table
from .server_files import OtherServer


@dataclass(frozen=True)
class Survey:
    """The processes of this host at one time.

    - ``table``: all processes; ``attribution``: which kernel or terminal started each of them.
    - ``programs``: the programs in the foreground of a terminal. An idle shell of this server's
      terminals is not among them.
    - ``kernels``, ``servers``: those of other programs. ``kernels`` may be empty because they were
      not looked for (:meth:`Surveyor.look`).
    - ``helpers``: the processes of the other servers themselves, and those that their extensions
      started.
    - ``connections``: the inodes of the open connections to other hosts.
    - ``cron``: the processes of cron daemons.
    """

    table: Table
    attribution: Attribution
    programs: tuple[Process, ...] = ()
    kernels: tuple[ForeignKernel, ...] = ()
    servers: tuple[OtherServer, ...] = ()
    helpers: frozenset[int] = frozenset()
    connections: frozenset[int] = frozenset()
    cron: CronJobs = field(default_factory=CronJobs)

    def of(self, ref: Ref) -> list[Process]:
        """The process of a kernel or terminal, and all processes that it has started. If a terminal
        of this server started a process, and nobody knows which terminal, the process belongs to
        each of them."""
        members = set(self.attribution.of(self.table, ref))
        if ref.kind is Kind.TERMINAL:
            members |= {self.table[pid] for pid in self.attribution.from_terminals}
        return self._without_helpers(members)

    @cached_property
    def members(self) -> Members:
        """The processes of each program."""
        return Members(self.table)

    @property
    def ownerless(self) -> list[Process]:
        """The jobs whose kernel or terminal is unknown or gone."""
        return self._without_helpers({self.table[pid] for pid in self.attribution.ownerless})

    @property
    def jobs(self) -> list[Process]:
        """All processes that a kernel or terminal started, whether it is still known or not."""
        pids = self.attribution.ownerless | self.attribution.owners.keys()
        return self._without_helpers({self.table[pid] for pid in pids})

    def _without_helpers(self, members: Collection[Process]) -> list[Process]:
        return [
            process
            for process in members
            if process.pid not in self.helpers
            and process.pid not in self.cron.everything
            and process.command not in MULTIPLEXERS
        ]

    def programs_of(
        self, members: Collection[Process], interpreter_of: int | None = None
    ) -> list[Process]:
        """Those of these processes that are in the foreground of a terminal.

        Kernels for bash and Octave run their interpreter in a terminal of its own. The interpreter
        of the kernel with the process id ``interpreter_of`` is left out, because the state of that
        kernel shows its work.
        """
        pids = {process.pid for process in members}
        return [
            program
            for program in self.programs
            if program.pid in pids
            and (interpreter_of is None or parent_of_session(self.table, program) != interpreter_of)
        ]

    def is_connected(self, members: Collection[Process], root: int | None) -> bool:
        """Whether one of these processes has a connection to another host open. The kernel or shell
        itself (``root``) does not count: it may keep a connection open for later use, which is no
        work. Raises OSError."""
        return have_connection(members, self.connections, (root,))

    def sample(self, members: Collection[Process]) -> Sample:
        """The counters of these processes. Raises UnreadableError."""
        try:
            return sample_of(members)
        except OSError as error:
            raise process_table.unreadable(error) from error


def parent_of_session(table: Table, process: Process) -> int | None:
    """The process that started the session of ``process``."""
    leader = table.get(process.session)
    return leader.parent if leader is not None else None


@dataclass
class Surveyor:
    """Makes surveys, and remembers who started each process. All its methods block: call them in a
    worker thread.

    - ``server_url``: the ``JUPYTER_SERVER_URL`` that this server sets for its terminals.
    - ``runtime_directory``: the directory of this server's runtime file (None: do not look for
      other servers).
    """

    server_url: str = ""
    runtime_directory: Path | None = None
    now: Callable[[], float] = time.monotonic
    server: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self._history = ProcessHistory(self.server_url, self.now)
        self._other_files = OtherFiles(self.now)
        self._listening = ConnectionFiles()

    def look(self, roots: Mapping[Ref, int], snapshot: Snapshot, for_own_app: bool) -> Survey:
        """Observe all processes. ``roots`` are the processes of this server's kernels and
        terminals. ``for_own_app``: the question is about this server's own app. In this case, and
        if there are other servers, look for kernels of other programs, too. Raises
        UnreadableError."""
        table = process_table.read_table()
        try:
            found = self._history.attribute(table, roots, snapshot.resources, self.server)
            arguments = lru_cache(maxsize=None)(proc_files.read_arguments)
            directories, servers = self._servers(table, arguments)
            kernels: list[ForeignKernel] = []
            if for_own_app or servers:
                ids = {kernel.id for kernel in snapshot.kernels}
                pids = _pids(roots, Kind.KERNEL)
                kernels = self._kernels(table, directories, pids, ids, arguments)
            programs = self._programs(table, roots, servers, kernels, arguments)
            return Survey(
                table,
                found,
                tuple(programs),
                tuple(kernels),
                tuple(servers),
                self._helpers(table, servers, kernels),
                remote_connections(),
                self._cron_jobs(table, roots, servers),
            )
        except OSError as error:
            raise process_table.unreadable(error) from error

    def look_around(
        self,
        roots: Mapping[Ref, int],
        resources: Collection[Resource],
        watch: ProgramWatch | None,
    ) -> list[OtherServer]:
        """The other Jupyter servers. This is cheaper than :meth:`look`, so that each pass can call
        it.

        It remembers who started each process, because a job may lose its parent and its environment
        (``sudo``) before the next survey. With ``watch``, it also passes the programs outside of
        this server's kernels and terminals to ``watch``. ``resources`` are all kernels and
        terminals of this server. Raises UnreadableError.
        """
        try:
            table = process_table.read_table()
            arguments = lru_cache(maxsize=None)(proc_files.read_arguments)
            directories, servers = self._servers(table, arguments)
            self._history.attribute(table, roots, resources, self.server)
            if watch is not None:
                ids = {resource.ref.id for resource in resources if isinstance(resource, Kernel)}
                pids = _pids(roots, Kind.KERNEL)
                kernels = self._kernels(table, directories, pids, ids, arguments)
                watch.look(self._outside(table, roots, servers, kernels, arguments))
            return servers
        except OSError as error:
            raise process_table.unreadable(error) from error

    def _outside(
        self,
        table: Table,
        roots: Mapping[Ref, int],
        servers: list[OtherServer],
        found: list[ForeignKernel],
        arguments: Arguments,
    ) -> Outside:
        """The programs and kernels that run in no kernel or terminal of this server. ``found`` are
        the kernels of other programs."""
        sessions = _pids(roots, Kind.TERMINAL)
        kernel_pids = _pids(roots, Kind.KERNEL)
        programs = [
            program
            for program in self._programs(table, roots, servers, found, arguments)
            if program.session not in sessions
            and parent_of_session(table, program) not in kernel_pids
        ]
        kernels = [kernel for kernel in found if not is_new_own_kernel(kernel, self.server)]
        connections = remote_connections() if programs or kernels else frozenset()
        return Outside(table, programs, kernels, connections)

    def _programs(
        self,
        table: Table,
        roots: Mapping[Ref, int],
        servers: list[OtherServer],
        kernels: list[ForeignKernel],
        arguments: Arguments,
    ) -> list[Process]:
        """The programs in the foreground of any terminal, also of the terminals of other servers.

        Another server that runs alone in the foreground is left out, with what only started it:
        only its kernels and terminals count. A program that started it may work itself, so it is
        not left out. The interpreters of its kernels are left out, because their shells are asked.
        """
        shells = _pids(roots, Kind.TERMINAL)
        pids = [server.pid for server in servers]
        left_out = _server_processes(table, pids, kernels)
        for pid in pids:
            line = [table[each] for each in processes.ancestors(table, pid)]
            left_out |= {each.pid for each in line if _only_starts_servers(each, arguments)}
        groups = {p.group for p in table.values() if p.pid not in left_out and not p.has_ended}
        below = {process.pid for process in processes.tree(table, pids)} if pids else set()
        with_interpreter = {kernel.process.pid for kernel in kernels} & below
        return [
            program
            for program in foreground_programs(table, self.server, arguments=arguments)
            if program.pid not in shells
            and program.group in groups
            and parent_of_session(table, program) not in with_interpreter
        ]

    def _kernels(
        self,
        table: Table,
        directories: Iterable[Path],
        own_pids: Collection[int],
        own_ids: Collection[str],
        arguments: Arguments,
    ) -> list[ForeignKernel]:
        """The kernels of other programs. ``directories`` are the runtime directories of the servers
        of this home. Raises OSError."""
        listening = self._listening.kernels(table, directories, own_ids, arguments)
        return foreign_kernels.find(
            table, {*own_pids, self.server}, own_ids, arguments, self._other_files, listening
        )

    def _servers(self, table: Table, arguments: Arguments) -> tuple[list[Path], list[OtherServer]]:
        """Where the servers of this home keep their runtime files, and the other servers. Raises
        OSError."""
        if self.runtime_directory is None:
            return [], []
        home = os.environ.get("HOME", "")
        directories, hidden = server_files.runtime_directories(
            table, self.runtime_directory, home, arguments
        )
        return directories, server_files.find(table, directories, self.server, hidden)

    def _cron_jobs(
        self, table: Table, roots: Mapping[Ref, int], servers: list[OtherServer]
    ) -> CronJobs:
        others = [server.pid for server in servers]
        below = [pid for pid in others if pid not in processes.ancestors(table, self.server)]
        return cron_jobs.find(table, [self.server, *others], [*roots.values(), *below])

    def _helpers(
        self, table: Table, servers: list[OtherServer], kernels: list[ForeignKernel]
    ) -> frozenset[int]:
        """Those processes of other servers that are in none of their kernels or terminals."""
        line = processes.ancestors(table, self.server)
        return frozenset(
            _server_processes(table, {server.pid for server in servers} - line, kernels)
        )


def _only_starts_servers(process: Process, arguments: Arguments) -> bool:
    """Whether this ancestor of a server is no program of a person: a shell, a launcher, or another
    server (JupyterHub). Raises OSError."""
    if foreground.only_starts_others(process, arguments):
        return True
    return server_files.is_server(arguments(process.pid))


def _server_processes(
    table: Table, servers: Iterable[int], kernels: Iterable[ForeignKernel]
) -> set[int]:
    """The process ids of ``servers``, and of what their extensions started. Kernels, and processes
    in another terminal than the server's own, do not belong to them, nor do the descendants of
    these."""
    apart = {kernel.process.pid for kernel in kernels}
    children = processes.children_of(table)
    found: set[int] = set()
    for server in servers:
        terminals = (0, table[server].terminal)
        waiting = [server]
        while waiting:
            pid = waiting.pop()
            if pid not in found and pid not in apart and table[pid].terminal in terminals:
                found.add(pid)
                waiting += children.get(pid, [])
    return found


def _pids(roots: Mapping[Ref, int], kind: Kind) -> set[int]:
    return {pid for ref, pid in roots.items() if ref.kind is kind}


__all__ = ["Survey", "Surveyor", "UnreadableError"]

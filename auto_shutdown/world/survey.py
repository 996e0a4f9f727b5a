"""One look at the processes of this host: who started them, which programs are in the foreground
of a terminal, which kernels and which Jupyter servers are not ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.model import Kind, Ref, Snapshot
from . import foreign_kernels, other_servers, processes
from .attribution import Attribution, ProcessHistory
from .evidence import Sample, sample_of
from .foreground import MULTIPLEXERS, foreground_programs
from .foreign_kernels import ForeignKernel
from .other_servers import OtherServer
from .processes import Process, Table, UnreadableError


@dataclass(frozen=True)
class Survey:
    """The result of one look at the processes.

    ``programs`` run in the foreground of a terminal that is not one of this server's prompts.
    ``kernels`` and ``servers`` belong to other programs; they are looked for only when the question
    is about this server's own app. ``helpers`` are the other servers' own processes and the
    processes that their extensions started."""

    table: Table
    attribution: Attribution
    programs: tuple[Process, ...] = ()
    kernels: tuple[ForeignKernel, ...] = ()
    servers: tuple[OtherServer, ...] = ()
    helpers: frozenset[int] = frozenset()
    connections: frozenset[int] = frozenset()

    def of(self, ref: Ref) -> list[Process]:
        """The processes that a kernel or terminal has started, itself among them. A terminal has
        those, too, that came from one of this server's terminals, nobody knows which."""
        members = set(self.attribution.of(self.table, ref))
        if ref.kind is Kind.TERMINAL:
            members |= {self.table[pid] for pid in self.attribution.from_terminals}
        return self._without_helpers(members)

    @property
    def adrift(self) -> list[Process]:
        """The jobs whose kernel or terminal is unknown or gone."""
        return self._without_helpers({self.table[pid] for pid in self.attribution.adrift})

    @property
    def jobs(self) -> list[Process]:
        """All processes that a kernel or terminal started, whether it is still known or not."""
        pids = self.attribution.adrift | self.attribution.owners.keys()
        return self._without_helpers({self.table[pid] for pid in pids})

    def _without_helpers(self, members: Collection[Process]) -> list[Process]:
        return [
            process
            for process in members
            if process.pid not in self.helpers and process.command not in MULTIPLEXERS
        ]

    def program_of(
        self, members: Collection[Process], interpreter_of: int | None = None
    ) -> Process | None:
        """A program of these processes that is in the foreground of a terminal. Not the
        interpreter that the kernel ``interpreter_of`` runs in a terminal of its own, as kernels
        for bash and Octave do: what it does shows in the state of that kernel."""
        pids = {process.pid for process in members}
        return next(
            (
                program
                for program in self.programs
                if program.pid in pids
                and (interpreter_of is None or self._parent_of_session(program) != interpreter_of)
            ),
            None,
        )

    def _parent_of_session(self, program: Process) -> int | None:
        leader = self.table.get(program.session)
        return leader.parent if leader is not None else None

    def connected(self, members: Collection[Process], root: int | None) -> Process | None:
        """One of these processes that has a connection to another host open. Not the kernel or
        shell itself (``root``): what it keeps open for later is no work. Raises OSError."""
        if not self.connections:
            return None
        for process in members:
            if process.pid != root and processes.read_sockets(process.pid) & self.connections:
                return process
        return None

    def sample(self, members: Collection[Process]) -> Sample:
        """The counters of these processes. Raises UnreadableError."""
        try:
            return sample_of(members)
        except OSError as error:
            raise processes.unreadable(error) from error


@dataclass
class Surveyor:
    """Makes surveys, and remembers who started what. All its methods block: call them in a worker
    thread. ``server_url`` is what this server gives its terminals, ``runtime_directory`` is where
    it keeps its runtime file (None: other servers are not looked for)."""

    server_url: str = ""
    runtime_directory: Path | None = None
    now: Callable[[], float] = time.monotonic
    server: int = field(default_factory=os.getpid)

    def __post_init__(self) -> None:
        self._history = ProcessHistory(self.server_url, self.now)

    def look(self, roots: Mapping[Ref, int], snapshot: Snapshot, beyond: bool) -> Survey:
        """Look at all processes. ``roots`` are the processes of this server's kernels and
        terminals; with ``beyond`` also for what is not this server's. Raises UnreadableError."""
        table = processes.read_table()
        try:
            found = self._history.attribute(table, roots, snapshot.resources, self.server)
            own_shells = {pid for ref, pid in roots.items() if ref.kind is Kind.TERMINAL}
            programs = foreground_programs(table, self.server)
            programs = [p for p in programs if p.pid not in own_shells]
            survey = Survey(table, found, tuple(programs))
            connections = processes.remote_connections()
            return self._beyond(survey, roots, snapshot, connections, beyond)
        except OSError as error:
            raise processes.unreadable(error) from error

    def _beyond(
        self,
        survey: Survey,
        roots: Mapping[Ref, int],
        snapshot: Snapshot,
        connections: frozenset[int],
        beyond: bool,
    ) -> Survey:
        servers = self.other_servers(survey.table)
        kernels: list[ForeignKernel] = []
        if beyond or servers:
            pids = {pid for ref, pid in roots.items() if ref.kind is Kind.KERNEL}
            ids = {kernel.id for kernel in snapshot.kernels}
            kernels = foreign_kernels.find(survey.table, pids, ids)
        helpers = self._helpers(survey.table, servers, kernels)
        return Survey(
            survey.table,
            survey.attribution,
            survey.programs,
            tuple(kernels),
            tuple(servers),
            helpers,
            connections,
        )

    def other_servers(self, table: Table) -> list[OtherServer]:
        """The Jupyter servers of this home that run beside this one. Raises OSError."""
        if self.runtime_directory is None:
            return []
        directories = other_servers.runtime_directories(
            table, self.runtime_directory, os.environ.get("HOME", "")
        )
        return other_servers.find(table, directories, self.server)

    def servers_now(self) -> list[OtherServer]:
        """The same, by a look of its own. Raises UnreadableError."""
        try:
            return self.other_servers(processes.read_table())
        except OSError as error:
            raise processes.unreadable(error) from error

    def _helpers(
        self, table: Table, servers: list[OtherServer], kernels: list[ForeignKernel]
    ) -> frozenset[int]:
        """Of another server's processes, those that are in none of its kernels or terminals."""
        line = processes.ancestors(table, self.server)
        roots = {server.pid for server in servers} - line
        in_servers = processes.tree(table, roots)
        in_kernels = {p.pid for p in processes.tree(table, [k.process.pid for k in kernels])}
        terminals = {table[pid].terminal for pid in roots}
        return frozenset(
            process.pid
            for process in in_servers
            if process.pid not in in_kernels
            and (not process.terminal or process.terminal in terminals)
        )


__all__ = ["Survey", "Surveyor", "UnreadableError"]

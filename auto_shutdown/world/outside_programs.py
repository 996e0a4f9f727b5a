"""Programs in the server's own app that no kernel or terminal of this server shows.

They are kernels that another program started, and programs in the foreground of a terminal that
another program opened (a pane of tmux or screen, an IDE). This module watches since when each of
them has shown no sign of work, and makes the rows of the report.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cached_property

from ..core.marks import STUCK_CPU
from ..core.model import Program
from . import proc_files, processes
from .connections import have_connection
from .evidence import WORK_CORES, Use, use_between
from .foreground import VIEWERS
from .foreign_kernels import ForeignKernel
from .process_counters import Sample, sample_of
from .processes import Process, Table
from .shell_probe import ShellAnswer

KERNEL, TERMINAL = "kernel", "terminal"

Key = tuple[int, int]

#: Counters are compared over this time (seconds). In less time one tick of the processor's clock
#: (10 ms), or one heartbeat of a cluster of workers, would look like work.
WINDOW = 60.0

#: A timer may fire a moment early, so a little less than the window is enough.
ENOUGH = 0.95 * WINDOW

#: The report shows the answer of a kernel's shell for this time (seconds).
RECENT = 600.0

#: A kernel that this server has just started may not be on its list yet (seconds).
YOUNG = 15.0

#: The wall-clock time of a moment changes only if the two clocks have moved apart by more than this
#: (seconds). It is compared with that of the pass before.
STEADY = timedelta(seconds=1)

#: The major device number of pseudo-terminals (devices.txt of Linux).
PSEUDO_TERMINAL = 136


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class _Watched:
    """One program and its last sample. Times are monotonic seconds, but ``input_at`` and
    ``output_at`` are the times of the terminal's device (seconds since the epoch). ``io_at`` is the
    time of the last weak sign of work: a little data, or a connection to another host."""

    program: Program
    quiet_since: float
    sampled_at: float
    sample: Sample
    input_at: float | None = None
    output_at: float | None = None
    printed_at: float | None = None
    io_at: float | None = None
    io_unknown: bool = False


class Members:
    """Finds the processes of each program in one process table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._children = processes.children_of(table)
        self._sessions: dict[int, list[int]] = {}
        for process in table.values():
            self._sessions.setdefault(process.session, []).append(process.pid)

    def of(self, process: Process, kind: str) -> list[Process]:
        """The processes of a program. For a kernel, these are the kernel and its descendants. For a
        program in a terminal, these are all processes of the terminal's session, with their
        descendants."""
        session = self._sessions.get(process.session, [])
        roots = [process.pid] if kind == KERNEL else session
        return processes.tree(self._table, roots, self._children)

    def without_viewers(self, members: Sequence[Process]) -> list[Process]:
        """The ``members`` of a terminal without the programs that only display something
        (``VIEWERS``) in its foreground, and without their children. The loop in
        ``tail -f log | while read x`` stays."""
        viewers = [
            process.pid
            for process in members
            if process.command in VIEWERS and (process.is_in_front or process.is_stopped)
        ]
        shown = set(processes.tree(self._table, viewers, self._children))
        return [process for process in members if process not in shown]


@dataclass(frozen=True)
class Outside:
    """One look at the programs beside this server. ``foreground`` are those in a terminal,
    ``connections`` are the connections of this host to other hosts."""

    table: Table
    foreground: Sequence[Process] = ()
    kernels: Sequence[ForeignKernel] = ()
    connections: frozenset[int] = frozenset()

    @cached_property
    def members(self) -> Members:
        """The processes of each program."""
        return Members(self.table)


class ProgramWatch:
    """Watches the programs from look to look. ``now`` is monotonic seconds, ``wall_clock`` the
    current time in UTC."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._now = now
        self._wall_clock = wall_clock
        self._watched: dict[Key, _Watched] = {}
        self._answers: dict[str, tuple[float, ShellAnswer]] = {}
        self._instants: dict[float, datetime] = {}

    def look(self, outside: Outside) -> None:
        """Note which programs show a sign of work. Raises OSError; see :meth:`note_unreadable`."""
        watched: dict[Key, _Watched] = {}
        for process in outside.foreground:
            watched[process.key] = self._look_at(outside, process, _of_terminal(process))
        for kernel in outside.kernels:
            watched[kernel.process.key] = self._look_at(outside, kernel.process, _of_kernel(kernel))
        self._watched = watched
        moments = {
            at
            for each in watched.values()
            for at in (each.quiet_since, each.printed_at, each.io_at)
        }
        # A copy, because another thread may ask for a time meanwhile.
        self._instants = {at: t for at, t in list(self._instants.items()) if at in moments}

    def _look_at(self, outside: Outside, process: Process, program: Program) -> _Watched:
        now, members = self._now(), outside.members.of(process, program.kind)
        sample = sample_of(members)
        input_at, output_at = _device_times(process) if program.kind == TERMINAL else (None, None)
        known = self._watched.get(process.key)
        if known is None:
            return _Watched(program, now, now, sample, input_at, output_at)
        known.program = replace(
            program, started_at=_steady(known.program.started_at, program.started_at)
        )
        elapsed = now - known.sampled_at
        seconds = max(elapsed, WINDOW)
        use = use_between(known.sample, sample, seconds)
        known.io_unknown = use.is_hidden
        works = input_at != known.input_at
        if program.kind == TERMINAL and process.command in VIEWERS:
            # Its redraws, children and connections are no work, but those of others here are.
            works = works or use.cores >= WORK_CORES
            members = outside.members.without_viewers(members)
            use = use_between(known.sample, sample, seconds, {each.key for each in members})
        is_in_front = program.kind == TERMINAL and any(each.is_in_front for each in members)
        if output_at != known.output_at and is_in_front:
            known.printed_at = now
        is_window_over = elapsed >= ENOUGH
        may_be_work = _may_be_work(program.kind, use, is_window_over)
        works = works or (may_be_work and (use.cores >= STUCK_CPU or use.is_work()))
        if works:
            known.quiet_since = now
        if (may_be_work and use.is_sign_of_life) or _is_connected(outside, members):
            known.io_at = now
        if works or is_window_over:
            known.sample, known.sampled_at = sample, now
        known.input_at, known.output_at = input_at, output_at
        return known

    def note_unreadable(self) -> None:
        """Start the quiet time of each program again, because :meth:`look` could not read the
        processes, and each program may have worked meanwhile."""
        for watched in self._watched.values():
            watched.quiet_since = self._now()

    def answered(self, answers: Mapping[ForeignKernel, ShellAnswer]) -> None:
        """Note what the shells of the kernels have answered."""
        now = self._now()
        self._answers = {kernel.kernel_id: (now, shell) for kernel, shell in answers.items()}

    def __len__(self) -> int:
        return len(self._watched)

    def ids_of(self, found: Collection[Process]) -> tuple[tuple[str, ...], datetime | None]:
        """The ids of these programs, and the time of their latest sign of work or output. Nothing
        if the last look did not see one of them, because nobody knows when it last worked."""
        known = [self._watched.get(process.key) for process in found]
        if not known or None in known:
            return (), None
        watched = [each for each in known if each is not None]
        latest = max(
            max(each.quiet_since, each.printed_at or 0.0, each.io_at or 0.0) for each in watched
        )
        return tuple(sorted(each.program.id for each in watched)), self._instant(latest)

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs of the last look."""
        return tuple(map(self._shown, self._watched.values()))

    def _shown(self, watched: _Watched) -> Program:
        program = watched.program
        state = program.state
        asked_at, shell = self._answers.get(program.id, (0.0, None))
        if program.kind == KERNEL and shell is not None and self._now() - asked_at < RECENT:
            state = "idle" if shell.free else "unanswered" if shell.failure else "busy"
        return Program(
            program.id,
            program.kind,
            program.name,
            program.started_by,
            state,
            program.started_at,
            self._instant(watched.quiet_since),
            None if watched.printed_at is None else self._instant(watched.printed_at),
            None if watched.io_at is None else self._instant(watched.io_at),
            watched.io_unknown,
        )

    def _instant(self, at: float) -> datetime:
        """The wall-clock time of a moment, the same at each call."""
        instant = self._wall_clock() - timedelta(seconds=self._now() - at)
        self._instants[at] = steady = _steady(self._instants.get(at), instant) or instant
        return steady


def _steady(known: datetime | None, fresh: datetime | None) -> datetime | None:
    """``known``, unless ``fresh`` differs from it by more than the time between two clock reads."""
    if known is not None and fresh is not None and abs(fresh - known) <= STEADY:
        return known
    return fresh


def is_new_own_kernel(kernel: ForeignKernel, server: int) -> bool:
    """Whether this is probably a kernel that ``server`` (a process id) has just started."""
    started_at = proc_files.started_at(kernel.process)
    if kernel.process.parent != server or started_at is None:
        return False
    return datetime.now(timezone.utc) - started_at < timedelta(seconds=YOUNG)


def _of_kernel(kernel: ForeignKernel) -> Program:
    process = kernel.process
    return Program(
        kernel.kernel_id,
        KERNEL,
        process.command,
        kernel.program,
        "unanswered" if kernel.connection is None else "running",
        started_at=proc_files.started_at(process),
    )


def _of_terminal(process: Process) -> Program:
    device = _device_of(process) or f"terminal-{process.terminal}"
    return Program(device, TERMINAL, process.command, started_at=proc_files.started_at(process))


def _may_be_work(kind: str, use: Use, is_window_over: bool) -> bool:
    """Whether ``use`` may be that of work, and not that of an idle cluster. Until the window is
    over, only a use that no idle cluster has may be. A kernel here runs a cell, which may work with
    a cluster."""
    if use.is_low and not is_window_over:
        return False
    return kind == KERNEL or not use.may_be_idle_cluster


def _is_connected(outside: Outside, members: Collection[Process]) -> bool:
    """Whether a member has a connection to another host. A kernel's own connection is none: it
    keeps that open for later."""
    kernels = {kernel.process.pid for kernel in outside.kernels}
    return have_connection(members, outside.connections, kernels)


def _device_of(process: Process) -> str | None:
    """``pts/3`` for a process in a pseudo-terminal (proc_pid_stat(5), tty_nr)."""
    major, minor = os.major(process.terminal), os.minor(process.terminal)
    return f"pts/{minor}" if major == PSEUDO_TERMINAL else None


def _device_times(process: Process) -> tuple[float | None, float | None]:
    """When a key last reached the process's terminal, and when something was last printed there,
    both in seconds since the epoch. Two Nones where its device cannot be seen."""
    device = _device_of(process)
    try:
        status = os.stat(f"/dev/{device}") if device else None
    except FileNotFoundError:
        return None, None  # the terminal of another container
    return (None, None) if status is None else (status.st_atime, status.st_mtime)

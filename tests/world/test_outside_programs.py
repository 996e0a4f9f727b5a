"""Programs beside this server: their processes, and their rows in the report."""

from __future__ import annotations

import os
import pty
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hand_clock import Clock
from watched_programs import HOUR, KERNEL, PANE, TABLE, Host, look, quiet_for

from auto_shutdown.core.model import Program, Snapshot, Terminal
from auto_shutdown.world import outside_programs, proc_files, process_table, processes
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.outside_programs import Members, Outside, ProgramWatch, is_new_own_kernel
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.process_survey import Surveyor
from auto_shutdown.world.processes import Process
from auto_shutdown.world.shell_probe import ShellAnswer


def test_another_program_in_the_same_terminal_starts_anew(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    clock.now += HOUR
    other = Process(51, 1, 51, 51, 9, 0.0, "vim", session=51, terminal=PANE.terminal)
    host.readings[other.key] = Reading()
    watch.look(Outside({51: other}, [other]))
    assert [(p.id, p.name) for p in watch.programs] == [("pts/3", "vim")]
    assert quiet_for(watch, "pts/3") == 0


def test_the_processes_of_a_program() -> None:
    beside = replace(PANE, pid=51, group=51)  # another job of the same terminal
    child, kernel = replace(PANE, pid=52, parent=51, session=52), KERNEL.process
    alike = replace(kernel, pid=61, session=kernel.session)
    members = Members({p.pid: p for p in (PANE, beside, child, kernel, alike)})
    assert {p.pid for p in members.of(PANE, "terminal")} == {50, 51, 52}
    assert members.of(kernel, "kernel") == [kernel]


def test_a_look_reads_the_family_tree_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table may have thousands of processes and many programs."""
    read: list[int] = []

    def children_of(table: Any) -> Any:
        read.append(len(table))
        return original(table)

    original = processes.children_of
    monkeypatch.setattr(processes, "children_of", children_of)
    panes = [replace(PANE, pid=pid, session=pid) for pid in (51, 52, 53)]
    host.readings.update({pane.key: Reading() for pane in panes})
    table = {**TABLE, **{pane.pid: pane for pane in panes}}
    ProgramWatch(Clock()).look(Outside(table, panes, [KERNEL]))
    assert read == [5]


@pytest.mark.parametrize(
    ("shell", "age", "state"),
    [
        (ShellAnswer(True, ""), 0, "idle"),
        (ShellAnswer(False, ""), 0, "busy"),
        (ShellAnswer(False, "no connection file"), 0, "unanswered"),
        (ShellAnswer(True, ""), outside_programs.RECENT, "running"),
    ],
)
def test_the_state_of_a_kernel_is_the_last_answer_of_its_shell(
    host: Host, shell: ShellAnswer, age: float, state: str
) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    watch.answered({KERNEL: shell})
    clock.now += age
    kernel = watch.programs[1]
    assert (kernel.kind, kernel.id, kernel.started_by) == ("kernel", "k9", "papermill")
    assert kernel.state == state


def test_a_kernel_without_a_connection_file_is_unanswered_before_it_is_asked(host: Host) -> None:
    kernel = replace(KERNEL, connection=None, failure="its connection file cannot be read")
    watch = ProgramWatch(Clock())
    watch.look(Outside(TABLE, [], [kernel]))
    assert [program.state for program in watch.programs] == ["unanswered"]


def test_the_programs_of_an_answer(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    clock.now += HOUR
    ids, worked_at = watch.ids_of([KERNEL.process, PANE])
    assert ids == ("k9", "pts/3")
    assert worked_at is not None
    assert datetime.now(timezone.utc) - worked_at >= timedelta(seconds=HOUR)
    stranger = Process(70, 1, 70, 70, 1, 0.0, "make")
    assert watch.ids_of([PANE, stranger]) == ((), None), "one that is new may work"


def test_the_times_are_the_same_at_each_read(host: Host) -> None:
    """A removal is rehearsed once for the same time since when a resource is idle."""
    clock = Clock()
    wall = datetime(2026, 3, 1, tzinfo=timezone.utc)
    watch = ProgramWatch(clock, lambda: wall)
    look(watch)
    clock.now += 1
    host.device = (0.0, 5.0)
    look(watch)
    first, answer = watch.programs, watch.ids_of([PANE])
    clock.now += 0.9  # the clocks differ
    look(watch)
    assert (watch.programs, watch.ids_of([PANE])) == (first, answer)
    clock.now += 0.2
    look(watch)
    (moved, _), (before, _) = watch.programs, first
    assert moved.quiet_since is not None
    assert before.quiet_since is not None
    assert before.quiet_since - moved.quiet_since > outside_programs.STEADY


WAITS = "import sys; print('ready', flush=True); sys.stdin.readline()"


@pytest.fixture
def terminal() -> Iterator[str]:
    """The device of a terminal, as of a pane of tmux, in which a program waits."""
    pid, device = pty.fork()
    if pid == 0:  # pragma: no cover
        os.execv(sys.executable, [sys.executable, "-S", "-c", WAITS])
    assert b"ready" in os.read(device, 100)
    yield os.readlink(f"/proc/{pid}/fd/0")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(device)


def test_each_look_remembers_who_started_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sudo`` clears the environment of a job, and the job may outlive its terminal. Perhaps no
    query for background work was sent while the terminal was open."""
    shell = Process(300, os.getpid(), 300, 300, 1, 0.0, "bash", session=300)
    job = Process(310, 300, 310, -1, 2, 0.0, "python", session=310)
    terminal = Terminal("1")
    surveyor = Surveyor()
    tables = [{300: shell, 310: job}, {310: replace(job, parent=1)}]
    monkeypatch.setattr(process_table, "read_table", lambda: tables.pop(0))
    monkeypatch.setattr(proc_files, "read_arguments", lambda _pid: ("bash",))
    surveyor._history._read = lambda _pid, _names: {}
    surveyor.look_around({terminal.ref: 300}, [terminal], None)
    survey = surveyor.look({}, Snapshot(), for_own_app=False)
    assert survey.attribution.from_terminals == {310}


@pytest.mark.skipif(not proc_files.PROC.exists(), reason="no /proc here")
def test_a_real_program_in_a_terminal(terminal: str) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)

    def row() -> Program:
        Surveyor().look_around({}, (), watch)
        name = terminal[len("/dev/") :]
        return next(program for program in watch.programs if program.id == name)

    assert row().name.startswith("python")
    started_at = row().started_at
    assert started_at is not None
    assert abs(datetime.now(timezone.utc) - started_at) < timedelta(minutes=5)
    clock.now += HOUR
    row()  # it may still have been starting
    clock.now += HOUR
    row()
    assert quiet_for(watch, row().id) >= HOUR
    os.utime(terminal, (1.0, 1.0))  # a key moves the time of the last access
    row()
    assert quiet_for(watch, row().id) < HOUR


def test_a_kernel_that_this_server_has_just_started_is_no_other_programs() -> None:
    uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME) * proc_files.TICKS)
    young = Process(60, 5, 60, -1, uptime, 0.0, "python3")
    kernel = ForeignKernel(young, Path("/r/kernel-x.json"), "jupyter-lab", None)
    assert is_new_own_kernel(kernel, 5)
    assert not is_new_own_kernel(kernel, 6)
    assert not is_new_own_kernel(ForeignKernel(KERNEL.process, Path("/r/k.json"), "", None), 59)

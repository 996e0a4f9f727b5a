"""Programs beside this server: which are found, and since when they show no sign of work."""

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

from auto_shutdown.core.model import Program, Snapshot, Terminal
from auto_shutdown.world import outside_programs, proc_files, process_table, processes
from auto_shutdown.world.evidence import Reading
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.outside_programs import Members, Outside, ProgramWatch, is_new_own_kernel
from auto_shutdown.world.processes import Process
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.survey import Surveyor

HOUR = 3600.0
PANE = Process(50, 1, 50, 50, 1, 0.0, "python", session=50, terminal=os.makedev(136, 3))
KERNEL = ForeignKernel(
    Process(60, 59, 60, -1, 1, 0.0, "python3"), Path("/r/kernel-k9.json"), "papermill", {}
)
TABLE = {50: PANE, 60: KERNEL.process}


class Clock:
    """A monotonic clock moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Host:
    """The counters and the devices of the programs, by values."""

    def __init__(self) -> None:
        self.readings = {PANE.key: Reading(), KERNEL.process.key: Reading()}
        self.device = (0.0, 0.0)
        self.sockets: dict[int, frozenset[int]] = {}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()

    def sample(members: Any) -> dict[Any, Reading]:
        return {process.key: host.readings[process.key] for process in members}

    monkeypatch.setattr(outside_programs, "sample_of", sample)
    monkeypatch.setattr(outside_programs, "_device_times", lambda _process: host.device)
    monkeypatch.setattr(proc_files, "read_sockets", lambda pid: host.sockets.get(pid, frozenset()))
    return host


def quiet_for(watch: ProgramWatch, program_id: str) -> float:
    """For how many seconds a program has shown no sign of work."""
    program = next(p for p in watch.programs if p.id == program_id)
    assert program.quiet_since is not None
    return round((datetime.now(timezone.utc) - program.quiet_since).total_seconds())


def look(watch: ProgramWatch, pane: Process = PANE, connections: Any = ()) -> None:
    watch.look(Outside({**TABLE, 50: pane}, [pane], [KERNEL], frozenset(connections)))


@pytest.mark.parametrize(
    ("command", "change", "works"),
    [
        ("python", {}, False),
        ("python", {"readings": Reading(cpu=HOUR / 100)}, True),
        ("python", {"readings": Reading(cpu=HOUR / 200)}, False),
        ("python", {"readings": Reading(bytes=2048)}, True),
        ("python", {"readings": Reading(bytes=2047)}, False),
        ("java", {"readings": Reading(bytes=19_000, written=16, is_jvm=True)}, False),  # Spark
        ("python", {"readings": Reading(child_faults=1)}, True),
        ("python", {"device": (1.0, 0.0)}, True),
        ("python", {"sockets": {50: frozenset({7})}}, True),
        # Redraws are no work, keys are.
        ("watch", {"readings": Reading(HOUR / 50, 10_000, 1), "device": (0.0, 9.0)}, False),
        ("watch", {"readings": Reading(cpu=HOUR / 20)}, True),
        ("watch", {"device": (1.0, 0.0)}, True),
        ("watch", {"sockets": {50: frozenset({7})}}, False),
    ],
)
def test_signs_of_work(host: Host, command: str, change: dict[str, Any], works: bool) -> None:
    clock, pane = Clock(), Process(50, 1, 50, 50, 1, 0.0, command, session=50, terminal=34819)
    watch = ProgramWatch(clock)
    look(watch, pane)
    clock.now += HOUR
    host.readings[PANE.key] = change.get("readings", Reading())
    host.device = change.get("device", host.device)
    host.sockets = change.get("sockets", {})
    look(watch, pane, connections={7})
    assert quiet_for(watch, "pts/3") == (0 if works else HOUR)


@pytest.mark.parametrize("name", ["less", "top", "htop", "watch", "tail", "cat", "vim"])
def test_redraws_of_a_program_that_only_displays_are_no_work(host: Host, name: str) -> None:
    clock, pane = Clock(), replace(PANE, command=name)
    watch = ProgramWatch(clock)
    for number in range(60):
        host.device = (0.0, float(number))
        host.readings[PANE.key] = Reading(number * 0.3, number * 10_000, number)
        clock.now = number * 60.0
        look(watch, pane)
    assert quiet_for(watch, "pts/3") == 59 * 60
    assert watch.programs[0].printed_at is None


@pytest.mark.parametrize("name", ["python", "node", "ruby"])
def test_a_prompt_or_web_server_that_nobody_uses_is_quiet(host: Host, name: str) -> None:
    clock, pane = Clock(), replace(PANE, command=name)
    watch = ProgramWatch(clock)
    for number in range(60):
        host.readings[PANE.key] = Reading(cpu=round(number * 0.12, 2))  # its event loop
        clock.now = number * 60.0
        look(watch, pane)
    assert quiet_for(watch, "pts/3") == 59 * 60


@pytest.mark.parametrize("hidden", [True, False])
def test_reads_and_writes_that_another_user_hides_are_no_sign_of_work(
    host: Host, hidden: bool
) -> None:
    """``sudo`` in a pane of tmux would otherwise keep the app for ever."""
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    clock.now += HOUR
    host.readings[PANE.key] = Reading(is_hidden=hidden)
    look(watch)
    assert quiet_for(watch, "pts/3") == HOUR
    assert [p.io_unknown for p in watch.programs] == [hidden, False]


def test_one_tick_between_two_close_looks_is_no_work(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    for tick in range(4):
        host.readings[PANE.key] = Reading(cpu=tick * 0.01)
        look(watch)
        clock.now += 1.0
    assert quiet_for(watch, "pts/3") == 4
    # But what adds up over a minute counts.
    for tick in range(4, 104):
        host.readings[PANE.key] = Reading(cpu=tick * 0.01)
        look(watch)
        clock.now += 0.6
    assert quiet_for(watch, "pts/3") < 10


@pytest.mark.parametrize("every", [1.0, 10.0, 59.0, 60.0])
@pytest.mark.parametrize(
    ("cores", "change", "quiet"),
    [
        # Measured: an idle dask LocalCluster with two workers reads 8 KB/s for each process.
        ((0.042, 0.029, 0.028), {"bytes": 8 * 1024}, True),
        ((0.042, 0.029, 0.028), {"bytes": 128 * 1024}, False),
        ((0.042, 0.029, 0.028), {"written": 64}, False),
        ((0.042, 0.029, 0.028), {"child_faults": 1}, False),
        ((0.06, 0.029, 0.028), {}, False),
        ((0.042, 0.0, 0.0), {}, False),  # one process is no cluster
        ((0.002, 0.002, 0.0), {}, True),
    ],
    ids=str,
)
def test_an_idle_cluster_in_a_pane_shows_no_sign_of_work(
    host: Host, every: float, cores: tuple[float, ...], change: dict[str, int], quiet: bool
) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    workers = [replace(PANE, pid=pid, parent=50) for pid in (51, 52)]
    table = {p.pid: p for p in (PANE, *workers)}
    for look_number in range(int(HOUR / every)):
        seconds = look_number * every
        used = {name: int(value * seconds) for name, value in change.items()}
        for process, share in zip(table.values(), cores):
            host.readings[process.key] = Reading(cpu=round(share * seconds, 2), **used)
        clock.now = seconds
        watch.look(Outside(table, [PANE]))
    if quiet:
        assert quiet_for(watch, "pts/3") == round(clock.now)
    else:
        assert quiet_for(watch, "pts/3") <= 60


def test_a_cell_of_another_programs_kernel_may_work_with_a_cluster(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    workers = [Process(pid, 60, 60, -1, 1, 0.0, "python") for pid in (61, 62)]
    table = {p.pid: p for p in (KERNEL.process, *workers)}
    for minute in range(10):
        clock.now = minute * 60.0
        for process in table.values():
            host.readings[process.key] = Reading(cpu=minute * 1.8)
        watch.look(Outside(table, (), [KERNEL]))
    assert quiet_for(watch, "k9") == 0


def test_a_program_that_begins_to_compute_is_seen_at_the_next_look(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    clock.now += HOUR
    look(watch)
    clock.now += 10.0
    host.readings[PANE.key] = Reading(cpu=5.0)
    look(watch)
    assert quiet_for(watch, "pts/3") == 0


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
    """The table may have thousands of processes, and many programs."""
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


def test_while_the_processes_cannot_be_read_each_program_may_work(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    clock.now += HOUR
    watch.note_unreadable()
    assert quiet_for(watch, "pts/3") == 0


def test_output_is_shown_apart_from_work(host: Host) -> None:
    clock = Clock()
    watch = ProgramWatch(clock)
    look(watch)
    assert watch.programs[0].printed_at is None
    clock.now += HOUR
    host.device = (0.0, 5.0)
    look(watch)
    assert watch.programs[0].printed_at is not None
    assert quiet_for(watch, "pts/3") == HOUR


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
    """``sudo`` clears the environment of a job, and the job may outlive its terminal. No question
    about background work may have been asked while the terminal was open."""
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

"""The time since which a program beside this server shows no sign of work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hand_clock import Clock
from watched_programs import HOUR, KERNEL, PANE, Host, look, quiet_for

from auto_shutdown.world.outside_programs import Outside, ProgramWatch
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.processes import Process


@pytest.mark.parametrize(
    ("command", "change", "works"),
    [
        ("python", {}, False),
        ("python", {"readings": Reading(cpu=HOUR / 100)}, True),
        ("python", {"readings": Reading(cpu=HOUR / 200)}, False),
        ("python", {"readings": Reading(bytes=2048)}, "weak"),
        ("python", {"readings": Reading(bytes=2047)}, False),
        ("java", {"readings": Reading(bytes=19_000, written=16, is_jvm=True)}, False),  # Spark
        ("python", {"readings": Reading(child_faults=1)}, True),
        ("python", {"device": (1.0, 0.0)}, True),
        ("python", {"sockets": {50: frozenset({7})}}, "weak"),
        # Redraws are no work, keys are.
        ("watch", {"readings": Reading(HOUR / 50, 10_000, 1), "device": (0.0, 9.0)}, False),
        ("watch", {"readings": Reading(cpu=HOUR / 20)}, True),
        ("watch", {"device": (1.0, 0.0)}, True),
        ("watch", {"sockets": {50: frozenset({7})}}, False),
    ],
)
def test_signs_of_work(host: Host, command: str, change: dict[str, Any], works: bool | str) -> None:
    """A weak sign may come from a monitor or an idle connection."""
    clock, pane = Clock(), Process(50, 1, 50, 50, 1, 0.0, command, session=50, terminal=34819)
    watch = ProgramWatch(clock)
    look(watch, pane)
    clock.now += HOUR
    host.readings[PANE.key] = change.get("readings", Reading())
    host.device = change.get("device", host.device)
    host.sockets = change.get("sockets", {})
    look(watch, pane, connections={7})
    assert quiet_for(watch, "pts/3") == (0 if works is True else HOUR)
    assert (watch.programs[0].io_at is not None) is (works == "weak")


@pytest.mark.parametrize(
    ("used", "quiet"),
    [({}, HOUR), ({"child_faults": 1}, 0), ({"bytes": 2 * 1024**3}, 0), ({"cpu": 40.0}, 0)],
)
def test_what_reads_from_a_viewer_is_judged_by_its_own_use(
    host: Host, used: dict[str, Any], quiet: float
) -> None:
    """The loop in ``tail -f queue | while read job; do ...`` works, and ``tail`` only displays."""
    clock, viewer = Clock(), replace(PANE, command="tail")
    loop = replace(PANE, pid=51, command="bash")
    table = {each.pid: each for each in (viewer, loop)}
    host.readings[loop.key] = Reading()
    watch = ProgramWatch(clock)
    watch.look(Outside(table, [viewer]))
    clock.now += HOUR
    host.readings[viewer.key] = Reading(HOUR / 50, 10_000, 1)
    host.readings[loop.key] = Reading(**used)
    host.device = (0.0, 9.0)
    watch.look(Outside(table, [viewer]))
    assert quiet_for(watch, "pts/3") == quiet
    assert watch.programs[0].printed_at is not None, "the loop may print"


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
        ((0.042, 0.029, 0.028), {"written": 80}, False),
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

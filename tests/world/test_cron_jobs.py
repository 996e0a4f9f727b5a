"""Jobs of cron by values: a long job counts for the server's own app; the daemon, its services and
what it starts for a moment never do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auto_shutdown.core.model import Answer, App, Kernel, Snapshot
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import cron_jobs, proc_files, process_survey, process_table
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.cron_jobs import (
    LONG_SECONDS,
    LONGEST_DELAY,
    REBOOT_SECONDS,
    CronJobs,
    StartDelay,
)
from auto_shutdown.world.local_work import LocalWork, Others, Question
from auto_shutdown.world.outside_programs import ProgramWatch
from auto_shutdown.world.proc_files import TICKS
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.process_survey import Survey, Surveyor
from auto_shutdown.world.processes import Process

SERVER = 100
WINDOW = 60.0
OWN = App("JupyterLab", "default", "InService", own=True)


def process(pid: int, parent: int, command: str = "python", started: float = 5000.0) -> Process:
    """A process that ``started`` so many seconds after the boot."""
    return Process(pid, parent, pid, -1, int(started * TICKS), 0.0, command, session=pid)


DAEMON = process(50, 1, "cron", started=10.0)
FORK = process(51, 50, "cron")
LEADER = process(60, 51, "sh")
JOB = process(61, 60)
HOST = (process(1, 0, "init"), process(SERVER, 1, "jupyter-lab"), process(70, 1, "agent"))


def find(
    *more: Process,
    age: float | None = LONG_SECONDS,
    of_others: tuple[int, ...] = (),
    server: int = SERVER,
    roots: tuple[int, ...] = (),
) -> CronJobs:
    table = {p.pid: p for p in (*HOST, *more)}
    return cron_jobs.find(table, [server], roots, lambda _process: age, of_others.__contains__)


@pytest.mark.parametrize("name", ["cron", "crond", "supercronic"])
def test_a_job_consists_of_every_process_that_the_daemon_forked(name: str) -> None:
    daemon, fork = replace(DAEMON, command=name), replace(FORK, command=name)
    found = find(daemon, fork, LEADER, JOB)
    assert found == CronJobs(*map(frozenset, ({50, 51, 60, 61}, {60, 61}, {60, 61})))


def test_a_daemon_that_forks_once_has_the_same_jobs() -> None:
    assert find(DAEMON, replace(LEADER, parent=50), JOB).long == {60, 61}


@pytest.mark.parametrize(
    ("change", "long"),
    [
        ({"age": LONG_SECONDS - 1}, False),
        ({"age": None}, True),  # nobody knows that it is short
        ({"of_others": (60,)}, False),
        ({"of_others": (61,)}, True),  # sudo in a job of this user
    ],
    ids=str,
)
def test_a_short_job_or_one_of_another_user_does_not_count(
    change: dict[str, Any], long: bool
) -> None:
    found = find(DAEMON, FORK, LEADER, JOB, **change)
    assert (61 in found.long, 61 in found.everything) == (long, True)


@pytest.mark.parametrize(
    ("seconds", "service"), [(REBOOT_SECONDS - 1, True), (REBOOT_SECONDS, False)]
)
def test_a_process_that_starts_with_the_daemon_is_a_service(seconds: float, service: bool) -> None:
    leader = process(60, 51, "sh", started=10.0 + seconds)
    assert (60 not in find(DAEMON, FORK, leader, JOB).jobs) is service


def test_a_server_that_cron_started_is_no_job_and_keeps_its_own_processes() -> None:
    """``@reboot jupyter lab``: the background work of its kernels belongs to the kernels."""
    server, kernel = process(200, 60, "jupyter-lab"), process(210, 200)
    job = process(70, 51, "sh")
    found = find(DAEMON, FORK, LEADER, server, kernel, job, process(71, 70), server=200)
    assert found == CronJobs(*map(frozenset, ({50, 51, 70, 71}, {70, 71}, {70, 71})))


def test_a_program_named_cron_below_a_kernel_belongs_to_the_kernel() -> None:
    kernel, scheduler = process(210, SERVER), process(220, 210, "cron")
    assert find(kernel, scheduler, process(221, 220), roots=(210,)) == CronJobs()


def test_a_survey_knows_the_server_and_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is a job of cron, and one of its kernels runs a program named ``cron``."""
    server, kernel = process(200, 60, "jupyter-lab"), process(210, 200)
    job, scheduler, task = process(220, 210), process(230, 210, "cron"), process(231, 230)
    host = (*HOST, DAEMON, FORK, LEADER, server, kernel, job, scheduler, task)
    table = {each.pid: each for each in host}
    monkeypatch.setattr(process_table, "read_table", lambda: table)
    monkeypatch.setattr(proc_files, "read_arguments", lambda _pid: ())
    monkeypatch.setattr(proc_files, "read_environment", lambda _pid, _names: {})
    monkeypatch.setattr(proc_files, "is_of_another_user", lambda _pid: False)
    ref = Kernel("k").ref
    found = Surveyor(server=200).look({ref: 210}, Snapshot(), for_own_app=True)
    assert {each.pid for each in found.of(ref)} == {210, 220, 230, 231}
    assert found.cron == CronJobs(frozenset({50, 51}))


def test_an_ended_job_and_a_host_without_cron_have_none() -> None:
    assert find(DAEMON, FORK, replace(LEADER, state="Z")).jobs == frozenset()
    assert find() == CronJobs()


class Desk:
    """The answers about the server's own app, one after each measuring window."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.readings: dict[int, Reading] = {}
        self.work = LocalWork(lambda: self.now, SERVER, ProgramWatch(lambda: self.now))
        monkeypatch.setattr(
            process_survey,
            "sample_of",
            lambda members: {p.key: self.readings.get(p.pid, Reading()) for p in members},
        )

    def judge(self, cron: CronJobs, ownerless: frozenset[int] = frozenset()) -> Answer:
        table = {p.pid: p for p in (*HOST, DAEMON, FORK, LEADER, JOB)}
        found = Survey(table, Attribution(ownerless=ownerless), cron=cron)
        answer = self.work.judge(Question(OWN.ref, OWN, WINDOW, None), found, Others())
        self.now += WINDOW
        return answer


EVERYTHING, JOBS = frozenset({50, 51, 60, 61}), frozenset({60, 61})
LONG, SHORT = CronJobs(EVERYTHING, JOBS, JOBS), CronJobs(EVERYTHING, JOBS)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


@pytest.mark.parametrize(
    ("use", "working", "low", "alive"),
    [
        ({"cpu": 6.0}, True, False, False),
        ({"cpu": 2.9}, True, True, False),
        ({"cpu": 1.7}, False, False, False),
        ({"bytes": 300 * 1024 * 60, "written": 300 * 1024 * 60}, True, False, False),
        ({"bytes": 4096, "written": 2048}, False, False, True),
        ({"child_faults": 9}, False, False, False),
    ],
    ids=str,
)
def test_a_long_job_counts_by_its_evidence_but_not_by_its_children(
    desk: Desk, use: dict[str, Any], working: bool, low: bool, alive: bool
) -> None:
    desk.judge(LONG)
    desk.readings = {JOB.pid: Reading(**use)}
    answer = desk.judge(LONG)
    assert (answer.working, answer.low_use) == (working, low)
    assert (Signal.BACKGROUND_IO in answer.activity) is alive


def test_a_short_job_is_unknown_and_counts_as_the_same_work_when_it_becomes_long(
    desk: Desk,
) -> None:
    desk.judge(SHORT)
    desk.readings = {JOB.pid: Reading(cpu=5.0)}
    answer = desk.judge(SHORT)
    assert (answer.working, answer.unread) == (False, True)
    answer = desk.judge(LONG)
    assert (answer.working, answer.unread) == (False, False)


@pytest.mark.parametrize("every", [1.0, 10.0, 60.0])
def test_short_jobs_at_every_look_delay_a_removal_for_some_minutes_only(every: float) -> None:
    """A cron tool runs for 50 seconds of each minute."""
    delay, looks = StartDelay(), int(LONGEST_DELAY / every)
    assert all(delay.is_due_to(SHORT, look * every) for look in range(looks))
    assert not any(delay.is_due_to(SHORT, (looks + more) * every) for more in range(looks))


@pytest.mark.parametrize("between", [LONG, CronJobs()], ids=["it became long", "it has ended"])
def test_a_short_job_after_that_delays_a_removal_again(between: CronJobs) -> None:
    delay = StartDelay()
    for at in range(0, 500, 60):
        delay.is_due_to(SHORT, float(at))
    assert not delay.is_due_to(between, 510.0)
    assert delay.is_due_to(SHORT, 520.0)


def test_short_jobs_in_observations_far_apart_are_unrelated() -> None:
    delay = StartDelay()
    assert all(delay.is_due_to(SHORT, hour * 3600.0) for hour in range(9))


def test_the_answer_on_the_app_follows_the_limit_of_the_delay(desk: Desk) -> None:
    answers = [desk.judge(SHORT) for _ in range(6)]
    assert [answer.unread for answer in answers] == [True] * 5 + [False]


def test_a_short_job_beside_work_does_not_make_it_unknown(desk: Desk) -> None:
    desk.judge(SHORT)
    desk.readings = {70: Reading(cpu=60.0)}
    assert desk.judge(SHORT, frozenset({70})).working


def test_a_program_that_waits_does_not_hide_a_short_job(desk: Desk) -> None:
    """Otherwise ``max_busy_minutes`` would end the hold of the program, and the job with it."""
    pager = process(80, 1, "less")
    table = {p.pid: p for p in (*HOST, DAEMON, FORK, LEADER, JOB, pager)}
    found = Survey(table, Attribution(), (pager,), cron=SHORT)
    question = Question(OWN.ref, OWN, WINDOW, None)
    desk.work.judge(question, found, Others())
    desk.now += WINDOW
    assert desk.work.judge(question, found, Others()).unread


def test_a_daemon_from_a_terminal_is_no_job_of_it(desk: Desk) -> None:
    """The environment of the terminal is that of the daemon and of each job."""
    ownerless = frozenset(EVERYTHING)
    desk.judge(SHORT, ownerless)
    desk.readings = {DAEMON.pid: Reading(child_faults=50), LEADER.pid: Reading(cpu=5.0)}
    assert not desk.judge(SHORT, ownerless).working

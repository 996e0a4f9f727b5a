"""The processes of this host: a waiting program must not hide the work beside it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from auto_shutdown.core.model import Answer, App, Kernel, Kind, Ref, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import outside_programs, proc_files, process_survey
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.local_work import LocalWork, Others, Question
from auto_shutdown.world.outside_programs import Outside, ProgramWatch
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.processes import Process

SERVER = 1
WINDOW = 60.0
PTS = os.makedev(136, 3)

SHELL = Process(40, SERVER, 40, 50, 1, 0.0, "bash", session=40, terminal=PTS)
PAGER = Process(50, 40, 50, 50, 1, 0.0, "less", session=40, terminal=PTS)
#: A ``nohup`` job that polls a remote training job, in a session of its own.
POLLER = Process(60, SERVER, 60, -1, 1, 0.0, "python", session=60)

APP = App("JupyterLab", "default", "InService", own=True)
KERNEL = Kernel("k", app=None)
PROMPT = Terminal("1")
SHOWS = Terminal("1", running_job="less", only_shows=True)


class Host:
    """The counters and connections of the processes, by values."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readings: dict[int, Reading] = {}
        self.connected: set[int] = set()

    def sample(self, members: Collection[Process]) -> dict[Any, Reading]:
        return {p.key: self.readings.get(p.pid, Reading()) for p in members}

    def sockets(self, pid: int) -> frozenset[int]:
        return frozenset({7} if pid in self.connected else ())


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(process_survey, "sample_of", host.sample)
    monkeypatch.setattr(outside_programs, "sample_of", host.sample)
    monkeypatch.setattr(outside_programs, "_device_times", lambda _process: (None, None))
    monkeypatch.setattr(proc_files, "read_sockets", host.sockets)
    return host


def look(resource: App | Kernel | Terminal, with_pager: bool) -> Survey:
    """The pager runs in a terminal of another program, or (for SHOWS) in the terminal itself."""
    table = {p.pid: p for p in (SHELL, PAGER, POLLER) if with_pager or p is not PAGER}
    owners: dict[int, Ref] = {}
    if not isinstance(resource, App):
        owners = dict.fromkeys(table, resource.ref)
    ownerless = frozenset({POLLER.pid}) if isinstance(resource, App) else frozenset()
    programs = (PAGER,) if with_pager else ()
    return Survey(table, Attribution(owners, ownerless), programs, connections=frozenset({7}))


def answer(host: Host, resource: App | Kernel | Terminal, with_pager: bool, **use: Any) -> Answer:
    """The answer after a measuring window in which the poller has used ``use``."""
    watch = ProgramWatch(lambda: host.now)
    work = LocalWork(lambda: host.now, SERVER, watch)
    root = None if isinstance(resource, App) else SHELL.pid
    question = Question(resource.ref, resource, WINDOW, root)
    found = look(resource, with_pager)
    watch.look(Outside(found.table, list(found.programs)))
    work.judge(question, found, Others())
    host.now += WINDOW
    host.connected = {POLLER.pid} if use.pop("connected", False) else set()
    host.readings = {POLLER.pid: Reading(**use)}
    return work.judge(question, found, Others())


RESOURCES = pytest.mark.parametrize(
    "resource", [APP, KERNEL, PROMPT, SHOWS], ids=["app", "kernel", "terminal", "pager in front"]
)


@RESOURCES
@pytest.mark.parametrize("with_pager", [False, True], ids=["alone", "beside a pager"])
@pytest.mark.parametrize("use", [{"bytes": 4096}, {"connected": True}], ids=["bytes", "connection"])
def test_a_job_that_polls_is_a_sign_of_life(
    host: Host, resource: Any, with_pager: bool, use: dict[str, Any]
) -> None:
    assert Signal.BACKGROUND_IO in answer(host, resource, with_pager, **use).activity


@RESOURCES
@pytest.mark.parametrize("with_pager", [False, True], ids=["alone", "beside a pager"])
def test_a_job_of_another_user_is_reported_as_unknown(
    host: Host, resource: Any, with_pager: bool
) -> None:
    found = answer(host, resource, with_pager, is_hidden=True)
    assert (found.io_unknown, found.activity) == (True, {})


@RESOURCES
def test_a_quiet_job_beside_a_pager_is_not_work(host: Host, resource: Any) -> None:
    found = answer(host, resource, True, bytes=100)
    assert Signal.BACKGROUND_IO not in found.activity
    assert found.programs == (() if resource is SHOWS else ("pts/3",))


@RESOURCES
@pytest.mark.parametrize(
    "use", [{"bytes": 300 * 1024 * 60}, {"child_faults": 1}, {"cpu": 3.0}], ids=str
)
def test_a_job_that_works_beside_a_pager_is_work(
    host: Host, resource: Any, use: dict[str, Any]
) -> None:
    found = answer(host, resource, True, **use)
    assert (found.working, found.programs) == (True, ())


@pytest.mark.parametrize(
    ("resource", "use", "low"),
    [
        (APP, {"cpu": 2.9}, True),
        (KERNEL, {"cpu": 2.9}, True),
        (PROMPT, {"cpu": 2.9}, True),
        (SHOWS, {"cpu": 2.9}, False),  # a command in the foreground
        (KERNEL, {"cpu": 3.0}, False),
        (KERNEL, {"cpu": 2.9, "bytes": 10**6, "written": 64 * 60 - 1}, True),
        (KERNEL, {"cpu": 2.9, "bytes": 64 * 60, "written": 64 * 60}, False),
        (KERNEL, {"cpu": 2.9, "bytes": 256 * 1024 * 60}, False),
        (KERNEL, {"cpu": 2.9, "child_faults": 1}, False),
        (KERNEL, {"cpu": 2.9, "connected": True}, False),
        (KERNEL, {"cpu": 2.9, "is_hidden": True}, False),
        (KERNEL, {"cpu": 1.7}, False),  # no work at all
    ],
)
def test_a_low_use_of_the_processor_may_be_an_idle_cluster(
    host: Host, resource: Any, use: dict[str, Any], low: bool
) -> None:
    found = answer(host, resource, resource is SHOWS, **use)
    assert (found.working, found.low_use) == (use["cpu"] > 1.8, low)


@pytest.mark.parametrize("resource", [APP, KERNEL, PROMPT], ids=["app", "kernel", "terminal"])
def test_a_low_use_beside_a_pager_does_not_hide_the_pager(host: Host, resource: Any) -> None:
    found = answer(host, resource, True, cpu=2.9)
    assert (found.working, found.low_use, found.programs) == (True, True, ("pts/3",))


@pytest.mark.parametrize(
    ("cores", "use", "low"),
    [
        # Measured: an idle dask LocalCluster with two workers.
        ((0.042, 0.029, 0.028), {"bytes": 8 * 1024 * 60}, True),
        ((0.06, 0.029, 0.028), {}, False),
        ((0.04, 0.009, 0.0), {}, False),  # one process, with a helper
        ((0.042, 0.029, 0.028), {"written": 64 * 60}, False),
        ((0.042, 0.029, 0.028), {"child_faults": 1}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("shows", [False, True], ids=["in front", "beside a pager in front"])
def test_an_idle_cluster_in_a_terminal_has_a_low_use(
    host: Host, cores: tuple[float, ...], use: dict[str, int], low: bool, shows: bool
) -> None:
    pids = (60, 61, 62)
    cluster = [Process(pid, 40, 60, 50, 1, 0.0, "python", session=40, terminal=PTS) for pid in pids]
    table = {p.pid: p for p in (SHELL, PAGER, *cluster)}
    terminal = SHOWS if shows else Terminal("1", running_job="python")
    found = Survey(table, Attribution(dict.fromkeys(table, terminal.ref)))
    work = LocalWork(lambda: host.now, SERVER, ProgramWatch(lambda: host.now))
    question = Question(terminal.ref, terminal, WINDOW, SHELL.pid)
    work.judge(question, found, Others())
    host.now += WINDOW
    host.readings = {pid: Reading(cpu=share * WINDOW, **use) for pid, share in zip(pids, cores)}
    last = work.judge(question, found, Others())
    assert (last.working, last.low_use) == (True, low)


def test_an_idle_cluster_in_a_pane_is_no_other_work_of_the_app(host: Host) -> None:
    """All its processes together use more than the container's processes may."""
    pane = Process(50, 40, 50, 50, 1, 0.0, "python", session=40, terminal=PTS)
    workers = [Process(pid, 50, 50, 50, 1, 0.0, "python", session=40) for pid in (61, 62, 63)]
    watch = ProgramWatch(lambda: host.now)
    work = LocalWork(lambda: host.now, SERVER, watch)
    last = Answer(APP.ref, False)
    for share in (0.0, 1.0):
        used = 0.04 * WINDOW * share
        table = {p.pid: replace(p, cpu=used) for p in (SHELL, pane, *workers)}
        host.readings = {pid: Reading(cpu=used) for pid in table}
        programs = (table[50],)
        watch.look(Outside(table, programs))
        found = Survey(table, Attribution(), programs)
        last = work.judge(Question(APP.ref, APP, WINDOW, None), found, Others())
        host.now += WINDOW
    assert (last.working, last.programs, last.low_use) == (True, ("pts/3",), False)


@pytest.mark.parametrize(
    "reading", [Reading(bytes=10**9), Reading(child_faults=9), Reading(cpu=1.0)], ids=str
)
def test_redraws_of_the_terminals_own_viewer_are_not_work(host: Host, reading: Reading) -> None:
    watch = ProgramWatch(lambda: host.now)
    work, found = LocalWork(lambda: host.now, SERVER, watch), look(SHOWS, True)
    question = Question(SHOWS.ref, SHOWS, WINDOW, SHELL.pid)
    work.judge(question, found, Others())
    host.now += WINDOW
    host.readings = {PAGER.pid: reading}
    last = work.judge(question, found, Others())
    assert (last.conclusive, last.working, last.cores, last.activity) == (True, False, 0.0, {})


def test_a_stopped_editor_does_not_hide_the_job_beside_it(host: Host) -> None:
    """The shell is then in the foreground, and the job is its child."""
    stopped = Process(50, 40, 50, 40, 1, 0.0, "vim", "T", session=40, terminal=PTS)
    shell = Process(40, SERVER, 40, 40, 1, 0.0, "bash", session=40, terminal=PTS)
    job = Process(60, 40, 60, 40, 1, 0.0, "python", session=40, terminal=PTS)
    table = {p.pid: p for p in (shell, stopped, job)}
    terminal = Terminal("1", running_job="vim", only_shows=True)
    found = Survey(table, Attribution({pid: Ref(Kind.TERMINAL, "1") for pid in table}))
    work = LocalWork(lambda: host.now, SERVER, ProgramWatch(lambda: host.now))
    question = Question(terminal.ref, terminal, WINDOW, 40)
    work.judge(question, found, Others())
    host.now += WINDOW
    host.readings = {60: Reading(bytes=4096)}
    assert Signal.BACKGROUND_IO in work.judge(question, found, Others()).activity

"""Work in the background on this host: gauges over a window, and the process table."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hand_clock import Clock
from tenants_by_pid import MINUTE, STAMP, FakeKernels, FakeTerminals

from auto_shutdown.core.model import Answer, App, Kernel, Ref, Snapshot
from auto_shutdown.world import foreign_kernels, other_servers, process_table
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.background_work import WorkSource
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.other_servers import Tenant
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.processes import Process
from auto_shutdown.world.server_files import OtherServer
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.work_answers import judge_tenants


@pytest.fixture
def hand() -> Clock:
    return Clock()


class KernelWithHost(FakeKernels):
    """A kernel behind a gateway, whose host uses this number of cores."""

    def __init__(self, host_cores: float) -> None:
        super().__init__()
        self.host_cores = host_cores

    def channels_of(self, _kernel_id: str) -> str | None:
        return "ws://gateway"

    async def ask_usage(self, _kernel_id: str) -> Usage:
        return Usage(0.0, self.host_cores)


@pytest.mark.parametrize("host_cores", [0.0, 1.0])
async def test_app_beside_another_server_works_if_its_host_does(
    hand: Clock, monkeypatch: pytest.MonkeyPatch, host_cores: float
) -> None:
    """The other server reports nothing that works in the app."""
    app = App("KernelGateway", "a", "InService", shared=True)
    snapshot = Snapshot((Kernel("k", state="idle", app=app.id),), (), (app,))
    source = WorkSource(KernelWithHost(host_cores), FakeTerminals(), now=hand)  # type: ignore[arg-type]

    async def ask_here(*_: object) -> list[Answer]:
        return [judge_tenants(app.ref, [], "")]

    monkeypatch.setattr(source, "_ask_here", ask_here)
    answers: dict[Ref, Answer] = {}
    for _ in range(2):
        answers = {a.ref: a for a in await source.ask({app.ref: MINUTE}, snapshot)}
        hand.now += 60
    assert answers[app.ref].conclusive
    assert answers[app.ref].working is (host_cores > 0)


@pytest.mark.parametrize(("has_old_report", "code"), [(True, "OldReport"), (False, "NoExtension")])
async def test_kernel_of_no_known_server_is_a_fault_until_its_server_is_known(
    monkeypatch: Any, has_old_report: bool, code: str
) -> None:
    app = App("KernelGateway", "a", "InService", shared=True)
    server = OtherServer(500, "http://x/")
    kernel = Tenant(server, "k", "R", "kernel", STAMP, app="a", has_old_report=has_old_report)
    source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
    found = [kernel]

    async def tenants(_server: OtherServer) -> list[Tenant]:
        return found

    survey = Survey({}, Attribution(), servers=(server,))
    monkeypatch.setattr(other_servers, "tenants_of", tenants)
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    (answer,) = await source.ask({app.ref: MINUTE}, Snapshot((), (), (app,)))
    assert answer.unread
    (fault,) = source.faults(STAMP)
    assert (fault.source, fault.code) == ("other-servers", code)
    assert "Jupyter server at http://x/ (process 500)" in fault.message
    found = [replace(kernel, is_judged=True)]
    (answer,) = await source.ask({app.ref: MINUTE}, Snapshot((), (), (app,)))
    assert not answer.unread
    assert source.faults(STAMP) == []


async def test_two_apps_never_ask_another_server_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each question moves the stamps of the other server's kernels. The second app would take this
    for activity if it read them before the question of the first app is noted."""
    apps = [App("KernelGateway", name, "InService", shared=True) for name in ("a", "b")]
    source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
    server = OtherServer(500, "http://x/")
    now = most = 0

    async def tenants(_server: OtherServer) -> list[Tenant]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(20):
            await asyncio.sleep(0)
        now -= 1
        return []

    monkeypatch.setattr(other_servers, "tenants_of", tenants)
    survey = Survey({}, Attribution(), servers=(server, OtherServer(501, "http://y/")))
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    snapshot = Snapshot((), (), tuple(apps))
    both = await asyncio.gather(*(source.ask({app.ref: MINUTE}, snapshot) for app in apps))
    assert [answer.ref for answers in both for answer in answers] == [app.ref for app in apps]
    assert most == 1


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        (ShellAnswer(True), None),
        (ShellAnswer(False), None),  # the kernel itself counts as work
        (ShellAnswer(False, "its connection file cannot be read (PermissionError)"), "NoExtension"),
    ],
)
async def test_kernel_of_another_server_whose_shell_cannot_be_asked_may_run_a_cell(
    monkeypatch: Any, shell: ShellAnswer, code: str | None
) -> None:
    """A server of another user (``sudo jupyter lab``): its connection files cannot be read."""
    app = App("JupyterLab", "default", "InService", own=True)
    server = OtherServer(500, "http://x/")
    process = Process(501, 500, 501, 501, 1, 0.0, "python3")
    kernel = ForeignKernel(process, Path("/r/kernel-k.json"), "jupyter-lab", None)
    source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]

    async def tenants(_server: OtherServer) -> list[Tenant]:
        return [Tenant(server, "k", "python3", "kernel", STAMP)]

    survey = Survey({501: process}, Attribution(), (), (kernel,), (server,))
    monkeypatch.setattr(other_servers, "tenants_of", tenants)
    monkeypatch.setattr(foreign_kernels, "ask", lambda kernels, _: dict.fromkeys(kernels, shell))
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    (answer,) = await source.ask({app.ref: MINUTE}, Snapshot((), (), (app,)))
    assert answer.unread is (code is not None)
    assert [fault.code for fault in source.faults(STAMP)] == ([code] if code else [])


@pytest.mark.parametrize(
    ("shell", "is_old", "moves"),
    [
        (ShellAnswer(True), False, False),
        (ShellAnswer(True), True, True),
        (ShellAnswer(True, subshells=frozenset()), False, True),
        (ShellAnswer(False, subshells=frozenset("a")), False, True),
        (ShellAnswer(False, "no file"), True, False),
    ],
)
async def test_question_that_moves_the_stamp_of_a_kernel_is_not_its_use(
    monkeypatch: Any, shell: ShellAnswer, is_old: bool, moves: bool
) -> None:
    """Every server counts the request for the list of subshells, old ones every request."""
    app = App("JupyterLab", "default", "InService", own=True)
    server = OtherServer(500, "http://x/")
    process = Process(501, 500, 501, 501, 1, 0.0, "python3")
    kernel = ForeignKernel(process, Path("/r/kernel-k.json"), "jupyter-lab", None)
    tenant = Tenant(server, "k", "python3", "kernel", STAMP, asking_moves_stamp=is_old)
    source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
    noted: list[Tenant] = []

    async def tenants(_server: OtherServer) -> list[Tenant]:
        return [tenant]

    async def note(asked: list[Tenant], _begun: datetime) -> None:
        noted.extend(asked)

    survey = Survey({501: process}, Attribution(), (), (kernel,), (server,))
    monkeypatch.setattr(other_servers, "tenants_of", tenants)
    monkeypatch.setattr(foreign_kernels, "ask", lambda kernels, _: dict.fromkeys(kernels, shell))
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    monkeypatch.setattr(source._our_questions, "asked", note)
    await source.ask({app.ref: MINUTE}, Snapshot((), (), (app,)))
    assert noted == ([tenant] if moves else [])


async def test_a_look_beside_another_one_waits_for_its_result(hand: Clock) -> None:
    """A pass looks around while a removal looks for the last time. Without waiting, the removal
    would decide with what the look before has shown."""
    work = WorkSource(FakeKernels(), FakeTerminals(), now=hand)  # type: ignore[arg-type]
    reading, read_on = threading.Event(), threading.Event()

    def look_around(*_: object) -> list[str]:
        reading.set()
        assert read_on.wait(30)
        return ["another server"]

    work._surveyor.look_around = look_around  # type: ignore[method-assign, assignment]
    of_pass = asyncio.ensure_future(work.look_around((), (), True))
    await asyncio.to_thread(reading.wait, 30)
    of_removal = asyncio.ensure_future(work.look_around((), (), True))
    for _ in range(9):
        await asyncio.sleep(0)
    assert not of_removal.done()
    of_pass.cancel()  # the look goes on for the removal
    read_on.set()
    await of_removal
    assert work.is_beside_other_servers


@pytest.mark.parametrize("active_at", [None, STAMP])
async def test_kernel_that_another_server_reports_as_busy_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, active_at: datetime | None
) -> None:
    """Each answer ends with the status idle, which Jupyter takes for the state of the kernel, also
    while a subshell runs a cell."""
    app = App("JupyterLab", "default", "InService", own=True)
    server = OtherServer(500, "http://x/")
    process = Process(501, 500, 501, 501, 1, 0.0, "python3")
    kernel = ForeignKernel(process, Path("/r/kernel-k.json"), "jupyter-lab", {})
    source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
    asked: list[ForeignKernel] = []

    async def tenants(_server: OtherServer) -> list[Tenant]:
        return [Tenant(server, "k", "python3", "kernel", active_at)]

    def ask(kernels: list[ForeignKernel], _seconds: float) -> dict[ForeignKernel, ShellAnswer]:
        asked.extend(kernels)
        return dict.fromkeys(kernels, ShellAnswer(True))

    survey = Survey({501: process}, Attribution(), (), (kernel,), (server,))
    monkeypatch.setattr(other_servers, "tenants_of", tenants)
    monkeypatch.setattr(foreign_kernels, "ask", ask)
    monkeypatch.setattr(source._surveyor, "look", lambda *_: survey)
    (answer,) = await source.ask({app.ref: MINUTE}, Snapshot((), (), (app,)))
    assert answer.working is (active_at is None)
    assert asked == ([] if active_at is None else [kernel])


async def test_an_unexpected_error_of_the_worker_thread_is_a_fault(
    hand: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Any program can write what this server reads, so no error of the reader may end a pass."""
    work = WorkSource(FakeKernels(), FakeTerminals(), now=hand)  # type: ignore[arg-type]

    def fail() -> Any:
        raise ValueError("invalid literal")

    monkeypatch.setattr(process_table, "read_table", fail)
    for _ in range(2):
        await work.look_around((), (), True)
        assert work.is_beside_other_servers
        (fault,) = work.faults(STAMP)
        assert fault.code == "ValueError"
        assert "ValueError: invalid literal" in str(fault.message)
        hand.now += 60
    assert len([record for record in caplog.records if record.exc_info]) == 1
    monkeypatch.undo()
    await work.look_around((), (), True)
    assert work.faults(STAMP) == []

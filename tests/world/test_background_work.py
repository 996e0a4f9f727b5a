"""Processor time over a window: gauges, the process table, and what is made of the answers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from waiting import wait_until

from auto_shutdown.core.model import App, Kernel, Kind, Ref, Snapshot, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import background_work as work
from auto_shutdown.world import processes
from auto_shutdown.world.background_work import Gauge, WorkSource
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.processes import Process, read_process, read_table, tree, used_between

STAMP = datetime(2026, 1, 1, tzinfo=timezone.utc)
KERNEL = Kernel("k", app="KernelGateway/a")
LOCAL = Kernel("local")
APP = App("KernelGateway", "a", "InService")
MINUTE = timedelta(minutes=1)


class TestGauge:
    def gauge(self, *points: tuple[float, float], window: float = 60.0) -> float | None:
        gauge, found = Gauge(), None
        for at, cpu in points:
            found = gauge.add(at, {"p": cpu}, window)
        return found

    def test_nothing_before_a_whole_window(self) -> None:
        assert self.gauge((0, 0)) is None
        assert self.gauge((0, 0), (30, 30)) is None
        assert self.gauge((0, 0), (60, 30)) == 0.5

    def test_only_the_window_counts(self) -> None:
        """Work that has ended is not carried along for ever."""
        assert self.gauge((0, 0), (60, 60), (120, 60)) == 0.0
        assert self.gauge((0, 0), (60, 0), (120, 6)) == pytest.approx(0.1)

    def test_many_looks_within_a_window_are_one_window(self) -> None:
        points = [(float(second), second / 10) for second in range(0, 200, 5)]
        assert self.gauge(*points) == pytest.approx(0.1)

    def test_a_window_never_begins_long_ago(self) -> None:
        assert self.gauge((0, 0), (work.OLDEST + 1, 600)) is None

    def test_a_process_that_ended_takes_nothing_away(self) -> None:
        before = {(1, 0): 5.0, (2, 0): 50.0}
        assert used_between(before, {(1, 0): 6.0}) == 1.0
        assert used_between(before, {(1, 0): 6.0, (2, 0): 49.0}) == 1.0
        assert used_between(before, {(1, 0): 5.0, (2, 9): 1.0}) == 1.0, "another of that id"


def process(pid: int, parent: int, **more: Any) -> Process:
    found = {"group": pid, "foreground": -1, "started": 7, "cpu": 0.0, "command": "python", **more}
    return Process(pid, parent, **found)


class TestTable:
    def test_a_tree_is_what_descends(self) -> None:
        table = {p.pid: p for p in (process(1, 0), process(2, 1), process(3, 2), process(4, 1))}
        assert {p.pid for p in tree(table, [2])} == {2, 3}
        assert {p.pid for p in tree(table, [1])} == {1, 2, 3, 4}
        assert tree(table, [99]) == []

    @pytest.mark.skipif(not processes.PROC.exists(), reason="no /proc here")
    def test_this_process_is_in_it(self) -> None:
        own = read_table()[os.getpid()]
        assert own.parent == os.getppid()
        assert own.cpu > 0
        assert own.group == os.getpgrp()

    def test_a_command_may_hold_anything(self, tmp_path: Any, monkeypatch: Any) -> None:
        stat = "42 (a) b (c) S 1 40 40 34816 41 4194304 1 0 0 0 300 50 20 30 20 0 1 0 777 0 0"
        (tmp_path / "42").mkdir()
        (tmp_path / "42" / "stat").write_text(stat)
        (tmp_path / "43").mkdir()
        (tmp_path / "43" / "stat").write_text("43 (torn")
        monkeypatch.setattr(processes, "PROC", tmp_path)
        found = read_process(42)
        assert found is not None
        assert (found.command, found.parent, found.group, found.foreground) == (
            "a) b (c",
            1,
            40,
            41,
        )
        assert (found.started, found.cpu) == (777, pytest.approx(4.0))
        assert read_process(43) is None
        assert set(read_table()) == {42}

    def test_no_proc_no_table(self, tmp_path: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(processes, "PROC", tmp_path / "none")
        assert read_table() == {}


class FakeKernels:
    """Kernel source by values: processes of the local ones, usage of the others."""

    def __init__(self, usage: Usage | None = None, pids: Mapping[str, int] | None = None) -> None:
        self.usage, self.pids = usage, dict(pids or {})
        self.asked: list[str] = []

    def pid_of(self, kernel_id: str) -> int | None:
        return self.pids.get(kernel_id)

    def channels_of(self, kernel_id: str) -> str | None:
        return "ws://gateway" if self.usage is not None and kernel_id not in self.pids else None

    async def ask_usage(self, kernel_id: str) -> Usage:
        self.asked.append(kernel_id)
        assert self.usage is not None
        return self.usage


class FakeTerminals:
    def __init__(self, pids: Mapping[str, int] | None = None) -> None:
        self.pids = dict(pids or {})

    def pid_of(self, name: str) -> int | None:
        return self.pids.get(name)


class Hand:
    """A monotonic clock moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand() -> Hand:
    return Hand()


class TestByAsking:
    snapshot = Snapshot((KERNEL,), (), (APP,))

    async def ask(self, source: WorkSource, *refs: Ref) -> dict[Ref, Any]:
        answers = await source.ask(dict.fromkeys(refs, MINUTE), self.snapshot)
        return {answer.ref: answer for answer in answers}

    def source(self, usage: Usage | None, hand: Hand) -> tuple[WorkSource, FakeKernels]:
        kernels = FakeKernels(usage)
        return WorkSource(kernels, FakeTerminals(), now=hand), kernels  # type: ignore[arg-type]

    @pytest.mark.parametrize(("cores", "working"), [(0.02, False), (0.031, True), (1.0, True)])
    async def test_the_second_answer_tells(self, hand: Hand, cores: float, working: bool) -> None:
        source, kernels = self.source(Usage(kernel_cores=99.0, host_cores=0.0), hand)
        first = (await self.ask(source, KERNEL.ref))[KERNEL.ref]
        assert not first.conclusive, "what it did before is not known to be of now"
        hand.now += 60
        kernels.usage = Usage(cores, 0.0, stamps={Signal.LAST_ACTIVITY: STAMP}, others_heard=True)
        second = (await self.ask(source, KERNEL.ref))[KERNEL.ref]
        assert (second.conclusive, second.working) == (True, working)
        assert second.cores == pytest.approx(cores)
        assert (second.stamps, second.others_heard) == ({Signal.LAST_ACTIVITY: STAMP}, True)

    async def test_an_apps_host_is_asked_through_a_kernel_of_it_once(self, hand: Hand) -> None:
        source, kernels = self.source(Usage(0.0, 0.26), hand)
        await self.ask(source, APP.ref)
        hand.now += 60
        answers = await self.ask(source, APP.ref, KERNEL.ref)
        assert kernels.asked == ["k", "k"]
        assert answers[APP.ref].working
        assert not answers[KERNEL.ref].working

    async def test_a_kernel_asked_for_its_apps_sake_is_told_its_stamps(self, hand: Hand) -> None:
        source, _ = self.source(Usage(0.0, 0.0, stamps={Signal.LAST_ACTIVITY: STAMP}), hand)
        answers = await self.ask(source, APP.ref)
        assert answers[KERNEL.ref].stamps == {Signal.LAST_ACTIVITY: STAMP}
        assert not answers[KERNEL.ref].conclusive

    @pytest.mark.parametrize(
        "usage", [Usage(failure="it did not answer within 2 s"), Usage(), Usage(host_cores=1.0)]
    )
    async def test_what_does_not_say_is_untold(self, hand: Hand, usage: Usage) -> None:
        source, _ = self.source(usage, hand)
        answers = await self.ask(source, APP.ref, KERNEL.ref)
        assert [(a.conclusive, a.told) for a in answers.values()] == [(True, False)] * 2
        assert all(a.detail for a in answers.values())

    async def test_an_app_without_a_kernel_to_ask_is_untold(self, hand: Hand) -> None:
        source, _ = self.source(None, hand)
        answers = await self.ask(source, APP.ref, KERNEL.ref)
        assert {a.told for a in answers.values()} == {False}

    async def test_nothing_is_asked_that_is_not_there(self, hand: Hand) -> None:
        source, kernels = self.source(Usage(0.0, 0.0), hand)
        assert await self.ask(source, Ref(Kind.KERNEL, "gone")) == {}
        assert kernels.asked == []


@pytest.fixture
def burning() -> Iterator[int]:
    """A process at full load, started from a shell that waits for it."""
    child = f"{sys.executable} -c 'while True: pass'; true"
    shell = subprocess.Popen(["sh", "-c", child], start_new_session=True)
    yield shell.pid
    os.killpg(shell.pid, 9)
    shell.wait()


@pytest.fixture
def waiting() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.skipif(not processes.PROC.exists(), reason="no /proc here")
class TestByTheTable:
    async def until_conclusive(self, source: WorkSource, ref: Ref, snapshot: Snapshot) -> Any:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answers = await source.ask({ref: timedelta(seconds=0.5)}, snapshot)
            if answers[0].conclusive:
                return answers[0]
            await asyncio.sleep(0.1)
        raise TimeoutError

    async def test_a_child_at_full_load(self, burning: int) -> None:
        source = WorkSource(FakeKernels(pids={"local": burning}), FakeTerminals())  # type: ignore[arg-type]
        answer = await self.until_conclusive(source, LOCAL.ref, Snapshot((LOCAL,)))
        assert answer.working
        assert "its processes used" in answer.detail

    async def test_a_shell_that_waits(self, waiting: int) -> None:
        terminals = FakeTerminals({"1": waiting})
        source = WorkSource(FakeKernels(), terminals)  # type: ignore[arg-type]
        snapshot = Snapshot((), (Terminal("1"),))
        answer = await self.until_conclusive(source, Terminal("1").ref, snapshot)
        assert (answer.working, answer.cores) == (False, 0.0)

    async def test_the_own_app_is_everything_but_the_server(self, burning: int) -> None:
        own = App("JupyterLab", "default", "InService", own=True)
        source = WorkSource(FakeKernels(), FakeTerminals())  # type: ignore[arg-type]
        answer = await self.until_conclusive(source, own.ref, Snapshot((), (), (own,)))
        assert answer.working

    async def test_a_silent_job_in_a_pane_of_tmux_is_a_job(self, monkeypatch: Any) -> None:
        """Told by the foreground of the pane's shell."""
        pane = process(10, 1, command="bash", foreground=11)
        job = process(11, 10, command="sleep")
        source = WorkSource(FakeKernels(), FakeTerminals({"1": os.getpid()}), "http://x/")  # type: ignore[arg-type]
        monkeypatch.setattr(source, "_detached", lambda _table: [pane, job])
        answers = await source.ask({Terminal("1").ref: MINUTE}, Snapshot((), (Terminal("1"),)))
        assert (answers[0].working, answers[0].detail) == (True, "sleep, detached, runs")

    def test_a_detached_process_is_known_by_its_environment(self) -> None:
        mark = {"JUPYTER_SERVER_URL": "http://here/"}
        ours = subprocess.Popen(["sleep", "60"], env={**os.environ, **mark})
        try:
            entry = "JUPYTER_SERVER_URL=http://here/"
            # Until it is another program, it has our own environment.
            wait_until(lambda: processes.environment_has(ours.pid, entry), "its environment")
            assert not processes.environment_has(ours.pid, "JUPYTER_SERVER_URL=http://here")
            assert not processes.environment_has(os.getpid(), entry)
        finally:
            ours.kill()
            ours.wait()

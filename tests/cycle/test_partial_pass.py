"""A partial pass reads the kernels that change signals named. It removes and postpones nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import MINUTE, START, Bench
from waiting import eventually

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import IOPubActivity, Kernel, Snapshot
from auto_shutdown.cycle.reported_changes import LATE_SECONDS, ReportedChanges


def begin_cell(bench: Bench, kernel_id: str = "k") -> None:
    kernel = bench.world.kernels[kernel_id]
    bench.world.kernels[kernel_id] = replace(kernel, state="busy", last_activity=bench.clock.now)


class Announced:
    """An observer that counts the changes of the report."""

    def __init__(self) -> None:
        self.changes = 0

    def changed(self, sequence: int) -> None:
        self.changes += 1

    def notice(self, notice: Any) -> None: ...

    def removal(self, outcome: Any) -> None: ...

    def fault(self, fault: Any) -> None: ...


@pytest.fixture
def watched(bench: Bench) -> Bench:
    """Two kernels in one app, and one in another."""
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.kernel("beside", app)
    bench.world.kernel("other", bench.world.app("b"))
    return bench


async def first_pass(bench: Bench) -> None:
    await bench.controller.run_pass()
    bench.clock.advance(timedelta(seconds=10))


async def test_a_partial_pass_sees_that_a_cell_began(watched: Bench) -> None:
    await first_pass(watched)
    looks, observer = watched.world.full_looks, Announced()
    watched.controller.announcer.add(observer)
    begin_cell(watched)
    await watched.controller.run_pass(kernels={"k"})
    assert watched.world.full_looks == looks
    assert watched.resource("k")["reason"] == "busy"
    assert watched.resource("KernelGateway/a")["reason"] == "in-use"
    assert watched.resource("beside")["reason"] == "recent-activity"
    assert watched.world.reported_at_work == [watched.clock.now], (
        "the host's own idle shutdown gets a report"
    )
    assert observer.changes == 1
    await watched.controller.run_pass(kernels={"k"})
    assert observer.changes == 1, "nothing new"


async def test_the_use_of_a_kernel_counts_for_its_app_alone(watched: Bench) -> None:
    await first_pass(watched)
    begin_cell(watched)
    await watched.controller.run_pass(kernels={"k"})
    watched.world.kernels["k"] = replace(watched.world.kernels["k"], state="idle")
    watched.clock.advance(MINUTE / 2)
    await watched.controller.run_pass(kernels={"k"})
    since = {r["id"]: r["idle_since"] for r in watched.controller.report()["resources"]}
    assert since["k"] == since["KernelGateway/a"] > since["beside"] == since["KernelGateway/b"]


async def test_a_partial_pass_does_not_postpone_the_full_pass(watched: Bench) -> None:
    await first_pass(watched)
    clock = watched.controller._clock
    due = clock.next_at
    last = watched.controller.report()["health"]["last_pass"]
    for _ in range(3):
        begin_cell(watched)
        await watched.controller.run_pass(kernels={"k"})
        watched.clock.advance(timedelta(seconds=10))
        assert clock.next_at == due
    assert watched.controller.report()["health"]["last_pass"] == last


async def test_a_partial_pass_moves_the_next_pass_to_an_earlier_due_time(watched: Bench) -> None:
    """A kernel that became idle again has new instants."""
    await first_pass(watched)
    await watched.controller.requests.patch_settings({"idle_timeout_minutes": 10})
    begin_cell(watched)
    await watched.controller.run_pass()
    watched.controller._clock.next_at = watched.clock.monotonic + 3600
    watched.world.kernels["k"] = replace(watched.world.kernels["k"], state="idle")
    await watched.controller.run_pass(kernels={"k"})
    left = watched.controller._clock.next_at - watched.clock.monotonic
    assert left <= 10 * 60


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: bench.world.kernel("k", bench.world.apps["KernelGateway/b"]),
        lambda bench: bench.world.kernels.pop("k"),
        lambda bench: bench.world.kernel("k", unreadable="TraitError"),
        lambda bench: bench.clock.step(timedelta(hours=1)),
    ],
    ids=["in another app", "gone", "unreadable", "a step of the clock"],
)
async def test_a_change_that_is_not_simple_needs_a_full_pass(
    watched: Bench, change: Callable[[Bench], Any]
) -> None:
    await first_pass(watched)
    looks = watched.world.full_looks
    change(watched)
    await watched.controller.run_pass(kernels={"k"})
    assert watched.world.full_looks > looks


async def test_a_new_kernel_needs_a_full_pass(watched: Bench) -> None:
    await first_pass(watched)
    watched.world.kernel("new", watched.world.apps["KernelGateway/a"])
    await watched.controller.run_pass(kernels={"new"})
    assert watched.resource("new")["reason"] == "recent-activity"


async def test_a_removal_needs_a_full_pass(bench: Bench) -> None:
    """The signal comes at the moment at which the kernel is due."""
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=119, seconds=59))
    looks = bench.world.full_looks
    bench.clock.advance(timedelta(seconds=2))
    await bench.controller.run_pass(kernels={"k"})
    assert bench.world.full_looks > looks
    assert bench.world.removed == ["k"]


async def test_a_partial_pass_removes_nothing(bench: Bench) -> None:
    """The partial pass sees the kernel idle. The look before the removal sees that it works."""
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=119))
    await bench.controller.run_pass(kernels={"k"})
    begin_cell(bench)
    await bench.live(timedelta(minutes=30))
    assert bench.world.removed == []


async def test_a_full_pass_follows_a_failed_partial_pass(
    watched: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await first_pass(watched)

    async def broken(_ids: Any) -> Any:
        raise RuntimeError("boom")

    monkeypatch.setattr(watched.world, "observe_kernels", broken)
    begin_cell(watched)
    await watched.controller.run_pass(kernels={"k"})
    assert watched.resource("k")["reason"] == "busy"
    assert watched.controller.report()["health"]["state"] == "ok"
    assert "a partial pass failed" in caplog.text


async def test_the_loop_runs_a_partial_pass_after_a_kernel_signal(tmp_path: Path) -> None:
    """The poll interval is an hour, so only the signal can begin this pass."""
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=3600))
    bench.use_real_clock()
    bench.world.kernel("k", last_activity=None, iopub=IOPubActivity())
    await bench.controller.start()
    await eventually(lambda: bench.controller.report()["health"]["last_ok_pass"], "the first pass")
    looks = bench.world.full_looks
    bench.world.kernels["k"] = replace(bench.world.kernels["k"], state="busy")
    bench.controller.kernel_changed("k")
    await eventually(lambda: bench.resource("k")["reason"] == "busy", "the row")
    assert bench.world.full_looks == looks
    await bench.controller.run_pass()
    assert bench.controller.unsignalled_changes == 0
    await bench.controller.stop()
    assert len(asyncio.all_tasks()) == 1


class TestUnsignalledChanges:
    """The test sets ``now``."""

    @pytest.fixture
    def changes(self, bench: Bench) -> ReportedChanges:
        changes = bench.controller._changes
        changes._now = lambda: bench.clock.monotonic
        return changes

    async def look(self, bench: Bench) -> int:
        """Runs a full pass, and returns the number of unsignalled changes some time after it."""
        await bench.controller.run_pass()
        bench.clock.advance(timedelta(seconds=LATE_SECONDS + 1))
        return bench.controller.unsignalled_changes

    async def test_are_counted(self, bench: Bench, changes: ReportedChanges) -> None:
        bench.world.kernel("k", iopub=IOPubActivity(), last_activity=START)
        assert await self.look(bench) == 0, "the first look finds everything"
        assert await self.look(bench) == 0
        begin_cell(bench)
        assert await self.look(bench) == 1
        bench.world.kernels.pop("k")
        assert await self.look(bench) == 2
        assert await self.look(bench) == 2, "each is counted once"

    async def test_changes_with_a_signal_are_not_counted(
        self, bench: Bench, changes: ReportedChanges
    ) -> None:
        bench.world.kernel("k", iopub=IOPubActivity())
        await self.look(bench)
        begin_cell(bench)
        changes.kernel_changed("k")
        assert await self.look(bench) == 0
        bench.world.kernels["new"] = Kernel("new", iopub=IOPubActivity())
        changes.anything_changed()
        assert await self.look(bench) == 0

    async def test_changes_whose_signal_comes_a_moment_later_are_not_counted(
        self, bench: Bench, changes: ReportedChanges
    ) -> None:
        bench.world.kernel("k", iopub=IOPubActivity())
        await self.look(bench)
        begin_cell(bench)
        await bench.controller.run_pass()
        bench.clock.advance(timedelta(seconds=LATE_SECONDS / 2))
        changes.kernel_changed("k")
        assert await self.look(bench) == 0

    async def test_changes_whose_signal_comes_too_late_are_counted(
        self, bench: Bench, changes: ReportedChanges
    ) -> None:
        bench.world.kernel("k", iopub=IOPubActivity())
        await self.look(bench)
        begin_cell(bench)
        assert await self.look(bench) == 1
        changes.kernel_changed("k")
        assert await self.look(bench) == 1

    @pytest.mark.parametrize("signal", ["the kernel", "anything"])
    async def test_a_signal_during_a_pass_explains_what_the_next_pass_finds(
        self, bench: Bench, changes: ReportedChanges, signal: str
    ) -> None:
        """Another signal about the same kernel came before that pass."""

        def signalled() -> None:
            changes.kernel_changed("k") if signal == "the kernel" else changes.anything_changed()

        changes.full_pass_begins()(Snapshot(), Snapshot())
        there = Snapshot((Kernel("k", state="idle", iopub=IOPubActivity()),))
        signalled()
        compare = changes.full_pass_begins()
        signalled()
        compare(there, there)
        changes.full_pass_begins()(there, Snapshot())
        bench.clock.advance(timedelta(seconds=LATE_SECONDS + 1))
        assert changes.unsignalled_changes == 0
        changes.full_pass_begins()(there, Snapshot())
        bench.clock.advance(timedelta(seconds=LATE_SECONDS + 1))
        assert changes.unsignalled_changes == 1, "nothing explains this one"

    async def test_are_counted_if_full_passes_follow_at_once(
        self, bench: Bench, changes: ReportedChanges
    ) -> None:
        bench.world.kernel("k", iopub=IOPubActivity())
        await self.look(bench)
        begin_cell(bench)
        for _ in range(5):
            await bench.controller.run_pass()
            bench.clock.advance(timedelta(seconds=LATE_SECONDS / 4))
        assert bench.controller.unsignalled_changes == 1

    async def test_stay_counted_after_another_change(
        self, bench: Bench, changes: ReportedChanges
    ) -> None:
        bench.world.kernel("k", iopub=IOPubActivity())
        await self.look(bench)
        begin_cell(bench)
        assert await self.look(bench) == 1
        changes.anything_changed()
        assert await self.look(bench) == 1

"""The loop of passes: how often it calls ListApps, one pass at a time, and the next pass after a
failed one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from value_world import Bench
from waiting import eventually

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.formatting import iso
from auto_shutdown.core.model import Ref, Snapshot, Unread
from auto_shutdown.core.questions import RECHECK
from auto_shutdown.cycle import user_requests
from auto_shutdown.cycle.pass_clock import PAUSE_SECONDS
from auto_shutdown.world.own_description import Description


class TestListings:
    """The extension calls ListApps rarely: all users of an account share one rate limit."""

    async def test_at_most_six_an_hour_when_nothing_is_due(self, bench: Bench) -> None:
        app = bench.world.app("a")
        bench.world.kernel("k", app, state="busy")
        await bench.live(timedelta(hours=10))
        assert bench.world.listings <= 6 * 10

    async def test_once_a_minute_at_most_when_a_panel_is_open(self, bench: Bench) -> None:
        bench.world.kernel("k", bench.world.app("a"), state="busy")
        for _ in range(120):
            bench.controller.panel_asked()
            await bench.live(timedelta(seconds=30))
        assert bench.world.listings <= 61

    async def test_dry_run_does_not_list_apps_more_often(self, bench: Bench) -> None:
        bench.world.app("a")
        await bench.controller.requests.patch_settings({"dry_run": True})
        await bench.live(timedelta(hours=12))
        assert bench.world.listings <= 6 * 12

    async def test_apps_are_never_listed_where_there_are_none(self, bench: Bench) -> None:
        bench.world.has_apps = False
        await bench.live(timedelta(hours=3))
        assert bench.world.listings == 0

    async def test_an_app_is_removed_only_if_a_new_list_has_it(self, bench: Bench) -> None:
        """A user has just deleted the app in Studio. The extension must not call DeleteApp."""
        app = bench.world.app("a")
        await bench.live(timedelta(minutes=119))
        bench.world.apps[app.id] = replace(app, status="Deleting")
        await bench.live(timedelta(minutes=3))
        assert bench.world.removed == []
        assert bench.resource(app.id)["reason"] == "not-in-service"


async def test_two_passes_never_run_at_the_same_time(bench: Bench) -> None:
    running, most = 0, 0
    observe = bench.world.observe

    async def slowly(list_apps: bool) -> Snapshot:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):  # a second pass would have every chance to begin
            await asyncio.sleep(0)
        running -= 1
        return await observe(list_apps)

    bench.world.observe = slowly  # type: ignore[method-assign]
    await asyncio.gather(*(bench.controller.check() for _ in range(5)))
    assert most == 1


async def test_an_instant_that_is_always_just_ahead_leaves_pauses_between_passes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[datetime] = []

    def just_ahead(now: datetime) -> datetime:
        passes.append(now)
        return now + timedelta(milliseconds=10)

    monkeypatch.setattr(bench.controller._one_pass, "next_moment", just_ahead)
    await bench.live(timedelta(seconds=60))
    assert 100 <= len(passes) <= 60 / PAUSE_SECONDS + 1


async def test_a_failed_pass_is_a_fault_and_the_next_pass_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(list_apps: bool) -> Snapshot:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(bench.world, "observe", broken)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await bench.controller.check()
        health = bench.controller.report()["health"]
        assert (health["state"], [f["code"] for f in health["faults"]]) == (
            "failing",
            ["RuntimeError"],
        )
    await bench.controller.check()
    assert bench.controller.report()["health"]["state"] == "ok"


async def test_the_loop_runs_passes_until_it_is_stopped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=0.01))
    bench.use_real_clock()
    await bench.controller.start()
    passes = set()

    def six_passes() -> bool:
        passes.add(bench.controller.report()["health"]["last_pass"])
        return len(passes) > 5

    await eventually(six_passes, "six passes")
    await bench.controller.stop()
    assert not bench.controller.report()["health"]["armed"]
    assert len(asyncio.all_tasks()) == 1
    assert (tmp_path / "marks-k.json").exists()


class TestBesideSageMaker:
    """The reports to SageMaker's own idle shutdown: as long as something works, and no longer."""

    async def test_a_busy_kernel_is_reported_to_the_host_in_every_pass(self, bench: Bench) -> None:
        bench.world.kernel("k", state="busy")
        await bench.live(timedelta(minutes=90))
        reports = bench.world.reported_at_work
        gaps = [later - earlier for earlier, later in zip(reports, reports[1:])]
        assert max(gaps) <= timedelta(minutes=1)
        assert bench.clock.now - reports[-1] <= timedelta(minutes=1)

    async def test_an_idle_kernel_is_not_reported_to_the_host(self, bench: Bench) -> None:
        bench.world.kernel("k", state="idle")
        await bench.live(timedelta(minutes=90))
        assert bench.world.reported_at_work == []

    async def test_work_that_ends_while_switched_off_is_reported_no_longer(
        self, bench: Bench
    ) -> None:
        """And it is not the reason for another idle timeout after the switch-on."""
        bench.world.kernel("k", state="idle")
        bench.world.at_work.add("k")
        await bench.live(timedelta(minutes=125))
        assert bench.resource("k")["reason"] == "background-work"
        await bench.controller.requests.patch_settings({"enabled": False})
        await bench.live(timedelta(minutes=30))
        assert bench.clock.now - bench.world.reported_at_work[-1] <= timedelta(minutes=1)
        bench.world.at_work.clear()
        await bench.live(RECHECK)
        reports = len(bench.world.reported_at_work)
        await bench.live(timedelta(minutes=120))
        assert len(bench.world.reported_at_work) == reports
        await bench.controller.requests.patch_settings({"enabled": True})
        await bench.live(timedelta(minutes=8))
        assert bench.world.removed == ["k"]

    async def test_the_idle_timeout_of_sagemaker_is_in_the_report(self, bench: Bench) -> None:
        assert bench.controller.report()["platform"]["native_idle_timeout_minutes"] is None
        bench.world.description = Description(native_idle_minutes=90.0)
        assert bench.controller.report()["platform"]["native_idle_timeout_minutes"] == 90


@pytest.mark.parametrize("part", ["next_moment", "settle_faults", "report_line"])
async def test_an_error_after_the_pass_is_logged_and_does_not_repeat_the_pass_at_once(
    part: str,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise the loop would use a whole core, and the report would show no fault."""

    def broken(*_arguments: object) -> None:
        raise RuntimeError("broken")

    controller = bench.controller
    where = {
        "next_moment": (controller._one_pass, "next_moment"),
        "settle_faults": (controller._reporter, "settle_faults"),
        "report_line": (controller._runner._report_line, "pass_ended"),
    }
    await controller.run_pass()
    bench.clock.advance(timedelta(minutes=1))
    monkeypatch.setattr(*where[part], broken)
    task = controller._passes.begin(controller.run_pass())
    await asyncio.wait({task})
    assert controller._clock.seconds_left() >= bench.limits.poll_interval_seconds / 2
    assert "a pass failed" in caplog.text


async def test_a_due_time_that_a_check_of_a_user_finds_shortens_the_wait_of_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loop on the real clock. Without the check, the next pass would begin an hour
    later."""
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=3600))
    bench.use_real_clock()
    await bench.controller.start()
    try:
        await eventually(lambda: bench.controller._clock.next_at, "the first pass")
        passes = bench.world.full_looks
        due = [timedelta(seconds=0.3)]
        monkeypatch.setattr(
            bench.controller._one_pass,
            "next_moment",
            lambda now: now + due.pop() if due else None,
        )
        await bench.controller.check()
        assert bench.world.full_looks == passes + 1
        await eventually(lambda: bench.world.full_looks > passes + 1, "the pass that is due")
    finally:
        await bench.controller.stop()


class TestReportedActivity:
    """Activity that a person or a program reports: a pass begins soon, and the row then shows
    it."""

    async def report(self, bench: Bench, ref: Ref) -> bool:
        """Report activity of ``ref``. Returns whether a pass begins."""
        bench.controller._changes.take()
        await bench.controller.requests.note_activity(ref)
        return await bench.controller._changes.wait(0.0)

    async def test_it_is_in_the_row_without_a_poll(self, bench: Bench) -> None:
        kernel = bench.world.kernel("k", bench.world.app("a"))
        await bench.live(timedelta(minutes=30))
        looks = bench.world.full_looks
        assert await self.report(bench, kernel.ref)
        await bench.controller.run_pass(kernels=bench.controller._changes.take())
        assert bench.world.full_looks == looks, "one kernel is enough"
        assert bench.resource("k")["idle_since"] == iso(bench.clock.now)

    async def test_of_an_app_is_in_its_row(self, bench: Bench) -> None:
        app = bench.world.app("a")
        await bench.live(timedelta(minutes=30))
        assert await self.report(bench, app.ref)
        assert bench.controller._changes.take() is None, "a full pass"

    async def test_does_not_begin_a_pass_each_time(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = bench.world.kernel("1").ref, bench.world.kernel("2").ref
        await bench.controller.run_pass()
        monkeypatch.setattr(user_requests, "SHOW_SECONDS", 3600.0)
        began = [await self.report(bench, ref) for ref in (first, first, second, first, second)]
        assert began == [True, False, True, False, False]
        monkeypatch.setattr(user_requests, "SHOW_SECONDS", 0.0)
        assert await self.report(bench, first)


@pytest.mark.parametrize("source", [Snapshot.APPS, Snapshot.TERMINALS, Snapshot.SESSIONS])
async def test_a_source_that_fails_does_not_make_the_other_rows_older(
    source: str, bench: Bench
) -> None:
    bench.world.kernel("k", bench.world.app("a"))
    bench.world.unread[source] = Unread(source, "Throttling", "Too many.", "Wait.")
    await bench.live(timedelta(minutes=30))
    bench.world.kernel("k", bench.world.app("a"), state="busy")
    await bench.controller.run_pass(kernels={"k"})
    assert bench.resource("k")["reason"] == "busy"


async def test_the_loop_goes_on_after_an_error_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(bench.path, replace(Limits(), poll_interval_seconds=0.01))
    bench.use_real_clock()
    watch, failures = bench.controller._passes.watch, 0

    async def broken_twice(running: asyncio.Task[None]) -> None:
        nonlocal failures
        await watch(running)
        if failures < 2:
            failures += 1
            raise RuntimeError("broken")

    monkeypatch.setattr(bench.controller._passes, "watch", broken_twice)
    await bench.controller.start()
    await eventually(lambda: bench.world.full_looks > 5, "passes after the errors")
    await bench.controller.stop()
    assert failures == 2

"""Clocks that step, pauses, restarts, crashes, and state that cannot be written."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from value_world import Bench

from auto_shutdown.core.model import EVERYTHING, Kind, Ref
from auto_shutdown.core.signals import Signal
from auto_shutdown.cycle.refused import RefusedError


@pytest.mark.parametrize("hours", [1, -1, 24])
async def test_a_clock_step_removes_nothing_sooner(hours: int, bench: Bench) -> None:
    bench.world.app("a")
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=100))
    bench.clock.step(timedelta(hours=hours))
    await bench.live(timedelta(minutes=19))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=15))
    assert len(bench.world.removed) == 2  # at the latest after a limit and a grace period


async def test_the_first_pass_after_a_long_pause_removes_nothing(bench: Bench) -> None:
    bench.world.kernel("k")
    await bench.controller.requests.patch_settings(
        {"warn_minutes": 0}
    )  # no notice that would delay it
    await bench.live(timedelta(minutes=90))
    bench.clock.advance(timedelta(hours=9))  # SIGSTOP, or a very busy machine
    await bench.controller.check()
    assert bench.world.removed == []
    assert bench.resource("k")["reason"] == "grace"
    await bench.live(timedelta(minutes=11))
    assert bench.world.removed == ["k"]


async def test_a_sleep_that_the_monotonic_clock_does_not_count_begins_a_grace_period(
    bench: Bench,
) -> None:
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=60))
    bench.clock.step(timedelta(hours=9))  # somebody closed the laptop
    await bench.live(timedelta(minutes=55))
    assert bench.world.removed == []


async def test_a_restart_removes_nothing_sooner(bench: Bench) -> None:
    app = bench.world.app("a")
    await bench.controller.load()
    await bench.live(timedelta(minutes=100))
    stopped(bench)
    await bench.controller.stop()
    bench.controller = bench.make()
    await bench.controller.load()
    await bench.live(timedelta(minutes=19))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id]  # and not later: the mark survived the restart


async def test_a_requested_removal_goes_by_the_clock_of_the_ledger(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sets the wall clock forward while a pass hangs. The ledger is shifted by the next
    pass; until then its keep-alives are in force by the time before the step."""
    monkeypatch.setattr("auto_shutdown.cycle.pass_runner.LOOK_SECONDS", 0.01)
    kernel = bench.world.kernel("k")
    await bench.controller.load()
    await bench.controller.check()
    await bench.controller.requests.keep_alive(kernel.ref, 60, "waits for a review")
    async with bench.controller._runner.lock:
        bench.clock.step(timedelta(hours=9))
        await bench.controller.requests.remove(kernel.ref)
    (entry,) = await bench.controller.requests.read_history(1)
    assert entry["detail"].endswith("It was kept alive: waits for a review.")


async def test_the_marks_of_an_earlier_server_are_handed_to_the_world(bench: Bench) -> None:
    """They show that a kernel had finished starting. Its gateway may list it as starting for
    ever."""
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(timedelta(minutes=1))
    stopped(bench)
    await bench.controller.stop()
    bench.controller = bench.make()
    await bench.controller.load()
    first, second = bench.world.recalled
    assert first == {}
    assert second[Ref(Kind.KERNEL, "k")].had_come_up


def stopped(bench: Bench) -> None:
    """``stop`` needs a loop that it can end."""
    bench.controller._loop = asyncio.ensure_future(asyncio.sleep(99))


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_step_while_no_server_runs(hours: int, bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(timedelta(minutes=60))
    await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 120)
    stopped(bench)
    await bench.controller.stop()
    bench.clock.advance(timedelta(minutes=1))
    bench.clock.step(timedelta(hours=hours))
    bench.controller = bench.make()
    await bench.controller.load()
    await bench.live(timedelta(minutes=58))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id]
    await bench.live(timedelta(minutes=58))
    assert bench.world.removed == [app.id]
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id, "k"]


@pytest.mark.parametrize("hours", [1, -1])
async def test_reports_after_a_clock_step_use_the_new_clock(hours: int, bench: Bench) -> None:
    """The report comes between the step and the next pass. It must not be shifted a second time."""
    bench.world.kernel("k")
    bench.world.kernel("used")
    await bench.live(timedelta(minutes=100))
    bench.clock.step(timedelta(hours=hours))
    await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 300)
    await bench.controller.requests.note_activity(Ref(Kind.KERNEL, "used"), Signal.HEARTBEAT)
    await bench.live(timedelta(minutes=119))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == ["used"]
    await bench.live(timedelta(minutes=178))
    assert bench.world.removed == ["used"]
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == ["used", "k"]


async def test_a_keep_alive_keeps_its_length_after_a_clock_step_and_a_reboot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(timedelta(minutes=10))
    await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 300)
    bench.clock.step(timedelta(hours=2))
    await bench.controller.check()
    monkeypatch.setattr("auto_shutdown.state.saved_ledger.boot_identity", lambda: "another")
    bench.controller = bench.make()
    await bench.controller.load()
    await bench.live(timedelta(minutes=299))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == ["k"]


async def test_app_of_a_kernel_is_recalled_after_a_reboot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.kernel("k", bench.world.app("a"))
    await bench.controller.load()
    await bench.live(timedelta(minutes=1))
    stopped(bench)
    await bench.controller.stop()
    monkeypatch.setattr("auto_shutdown.state.saved_ledger.boot_identity", lambda: "another")
    bench.controller = bench.make()
    await bench.controller.load()
    assert bench.world.recalled[-1][Ref(Kind.KERNEL, "k")].app == "KernelGateway/a"


async def test_a_crash_starts_a_new_clock(bench: Bench) -> None:
    """Activity between the last write and the crash is unknown."""
    app = bench.world.app("a")
    await bench.controller.load()
    await bench.live(timedelta(minutes=100))
    bench.controller = bench.make()  # no stop()
    await bench.controller.load()
    await bench.live(timedelta(minutes=119))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id]


async def test_a_keep_alive_survives_a_restart_and_ends(bench: Bench) -> None:
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.controller.check()
    await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 300)
    bench.controller = bench.make()
    await bench.controller.load()
    assert [h["id"] for h in bench.controller.requests.keep_alives()] == ["k"]
    await bench.live(timedelta(minutes=299))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == ["k"]
    with pytest.raises(RefusedError):
        await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 5)
    assert await bench.controller.requests.keep_alive(EVERYTHING, None) == []


async def test_an_unwritable_state_directory_is_a_fault_and_passes_go_on(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file")
    await bench.controller.load()
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == ["k"]  # the server's log has it
    sources = {f["source"] for f in bench.controller.report()["health"]["faults"]}
    assert sources >= {"state", "history"}


@pytest.mark.parametrize(("intervals", "is_late"), [(2.9, False), (3.1, True)])
async def test_a_pass_that_is_three_intervals_late_begins_a_grace_period(
    intervals: float, is_late: bool, bench: Bench
) -> None:
    await bench.live(timedelta(minutes=30))
    interval = timedelta(seconds=bench.limits.poll_interval_seconds)
    due = timedelta(seconds=bench.controller._clock.next_at - bench.clock.monotonic)  # type: ignore[operator]
    bench.clock.advance(due + intervals * interval)
    await bench.controller.check()
    assert (bench.controller.situation.ledger.quiet_until > bench.clock.now) is is_late

"""ListApps takes long, because SageMaker is slow or throttles the account. No pass waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from test_emergency_stop import StoppedBench
from test_pass_patience import SlowSwitch, pass_with_signals
from test_slow_shutdowns import Shutdowns
from value_world import MINUTE, Bench, faults, until
from waiting import eventually

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import App, Kind, Ref
from auto_shutdown.cycle import one_pass, pass_patience
from auto_shutdown.cycle.app_listing import NEW_SECONDS
from auto_shutdown.world import app_list


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that does not arrive at once is late."""
    monkeypatch.setattr(app_list, "LIST_SECONDS", 0.01)


def block_lists(bench: Bench) -> asyncio.Event:
    """Let no call of ListApps end until the event is set."""
    goes_on = bench.world.list_goes_on = asyncio.Event()
    return goes_on


async def let_list_arrive(bench: Bench) -> None:
    assert bench.world.list_goes_on is not None
    bench.world.list_goes_on.set()
    await until(lambda: bench.world.app_list.call is None)


async def live_until_due(bench: Bench) -> App:
    """An app without kernels that is due, and the ListApps that its removal needs does not end."""
    app = bench.world.app("a")
    await bench.live(timedelta(minutes=119))
    block_lists(bench)
    bench.clock.advance(2 * MINUTE)
    await bench.controller.run_pass()
    return app


async def test_first_pass_shows_the_kernels_before_the_first_list(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k")
    block_lists(bench)
    await bench.controller.run_pass()
    assert [row["id"] for row in bench.controller.report()["resources"]] == ["k"]
    assert faults(bench) == {}, "a list that has not arrived yet is no fault"
    assert bench.controller.report()["health"]["state"] == "ok"
    await let_list_arrive(bench)
    assert bench.controller._clock.seconds_left() <= 0.5, "the list starts a pass"
    await bench.controller.run_pass()
    assert bench.resource(app.id)["state"] == "InService"
    assert bench.world.listings == 1


async def test_row_of_a_new_kernel_does_not_wait_for_the_list(tmp_path: Path) -> None:
    """The real loop on the real clock. No poll and no list help it."""
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=3600))
    bench.use_real_clock()
    bench.world.app("a")
    block_lists(bench)
    await bench.controller.start()
    try:
        await eventually(lambda: bench.controller._clock.next_at, "the first pass")
        bench.world.kernel("new", state="busy")
        bench.controller.kernel_changed("new")
        await eventually(lambda: bench.controller.report()["resources"], "the row")
        bench.world.kernel("new", state="idle")
        bench.controller.kernel_changed("new")
        await eventually(lambda: bench.resource("new")["state"] == "idle", "its new state")
        assert bench.world.app_list.call is not None, "all that during one call of ListApps"
        await let_list_arrive(bench)
        await eventually(lambda: len(bench.controller.report()["resources"]) == 2, "the app")
        assert bench.world.listings == 1
    finally:
        await bench.controller.stop()


async def test_app_that_is_due_stays_until_the_new_list_arrives(bench: Bench) -> None:
    app = await live_until_due(bench)
    for _ in range(3):
        await bench.controller.run_pass()
        row = bench.resource(app.id)
        assert (row["action"], row["reason"]) == ("keep", "unknown")
    assert bench.world.removed == []
    assert faults(bench) == {}
    calls = bench.world.listings
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    assert bench.world.removed == [app.id]
    assert bench.world.listings <= calls + 1, "one list before the removal, and one after it"
    (line,) = await bench.controller.requests.read_history(9)
    assert (line["resource"], line["outcome"]) == (app.id, "removed")


async def test_app_that_the_late_list_no_longer_has_in_service_is_not_removed(bench: Bench) -> None:
    app = await live_until_due(bench)
    bench.world.apps[app.id] = replace(app, status="Deleting")
    await let_list_arrive(bench)
    await bench.live(5 * MINUTE)
    assert bench.world.removed == []
    assert bench.resource(app.id)["reason"] == "not-in-service"


async def test_kernel_that_is_due_is_removed_while_its_app_waits_for_the_list(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    await bench.live(timedelta(minutes=119))
    block_lists(bench)
    bench.clock.advance(2 * MINUTE)
    await bench.controller.run_pass()
    assert bench.world.removed == ["k"]
    assert bench.resource(app.id)["reason"] == "unknown"
    await let_list_arrive(bench)
    await bench.live(MINUTE)
    assert bench.world.removed == ["k", app.id]


async def test_list_that_arrived_long_before_the_pass_deletes_no_app(bench: Bench) -> None:
    app = await live_until_due(bench)
    await let_list_arrive(bench)
    calls = block_and_count(bench)
    bench.clock.advance(timedelta(seconds=NEW_SECONDS + 1))
    await bench.controller.run_pass()
    assert bench.world.removed == []
    assert calls() == 1, "the pass calls ListApps again"
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    assert bench.world.removed == [app.id]


@pytest.mark.parametrize("switch_seconds", [2, 40])
async def test_app_is_deleted_although_signals_end_the_pass_that_has_the_new_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch_seconds: int
) -> None:
    """ListApps takes 35 s, and then the stop switch must be read."""
    monkeypatch.setattr(pass_patience, "SIGNAL_SECONDS", 0.0)
    bench, switch = StoppedBench(tmp_path), SlowSwitch()
    bench.controller._objections.emergency_stop._switch = switch
    stop = bench.controller._objections.emergency_stop
    app = bench.world.app("a")
    await bench.live(timedelta(minutes=119))
    calls = block_and_count(bench)
    bench.clock.advance(2 * MINUTE)
    await pass_with_signals(bench)
    bench.clock.advance(timedelta(seconds=35))
    await let_list_arrive(bench)
    await pass_with_signals(bench)
    assert (bench.world.removed, switch.reads) == ([], 1)
    bench.clock.advance(timedelta(seconds=switch_seconds))
    switch.goes_on.set()
    await until(lambda: stop._reading is None)
    assert calls() == 1
    block_lists(bench)
    await pass_with_signals(bench)
    await eventually(lambda: bench.world.removed == [app.id], "the deletion")
    assert switch.reads == 1


async def test_slow_shutdown_of_a_kernel_causes_no_lists_for_its_app(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app waits for its kernel, and each pass finds it due."""
    monkeypatch.setattr(one_pass, "REMOVAL_SECONDS", 0.02)
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.kernel("other", state="busy")
    await bench.live(timedelta(minutes=119))
    shutdowns = Shutdowns(bench)
    bench.clock.advance(2 * MINUTE)
    await bench.controller.run_pass()
    await until(lambda: shutdowns.begun)
    calls = block_and_count(bench)
    for _ in range(50):  # 55 s: the list becomes old, and the shutdown is not late yet
        bench.clock.advance(timedelta(seconds=1.1))
        await bench.controller.run_pass()
    assert calls() == 0
    shutdowns.ends.set()
    await until(lambda: bench.world.removed == ["k"])
    await until(lambda: not bench.controller._one_pass._remover._tasks.has(Ref(Kind.KERNEL, "k")))
    await bench.controller.run_pass()
    assert calls() == 1, "now the app needs a new list"
    assert bench.world.removed == ["k"], "the list is too old"
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    assert bench.world.removed == ["k", app.id]


def block_and_count(bench: Bench) -> Callable[[], int]:
    """Block ListApps, and return a function that counts its calls since now."""
    block_lists(bench)
    before = bench.world.listings
    return lambda: bench.world.listings - before


async def test_list_that_arrives_during_a_pass_starts_another_one(bench: Bench) -> None:
    """The snapshot of that pass shows the old list."""
    bench.world.app("a")
    block_lists(bench)
    observe = bench.world.observe

    async def arrives_at_the_end(list_apps: bool, last_look: bool = False) -> Any:
        snapshot = await observe(list_apps, last_look)
        await let_list_arrive(bench)
        return snapshot

    bench.world.observe = arrives_at_the_end  # type: ignore[method-assign]
    await bench.controller.run_pass()
    assert bench.controller.report()["resources"] == []
    assert bench.controller._clock.seconds_left() <= 0.5
    await bench.controller.run_pass()
    assert len(bench.controller.report()["resources"]) == 1
    assert bench.world.listings == 1


async def test_idle_time_of_an_app_survives_a_restart_with_a_late_list(bench: Bench) -> None:
    app = bench.world.app("a")
    await bench.controller.load()
    await bench.live(30 * MINUTE)
    since = bench.resource(app.id)["idle_since"]
    await bench.controller._save(clean=True)
    bench.world.server_restarts()
    bench.controller = bench.make()
    await bench.controller.load()
    block_lists(bench)
    for _ in range(3):
        await bench.controller.run_pass()
        bench.clock.advance(timedelta(seconds=5))
    await let_list_arrive(bench)
    await bench.controller.run_pass()
    assert bench.resource(app.id)["idle_since"] == since


async def test_open_panel_starts_no_passes_while_a_list_is_late(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=5))
    bench.world.app("a")
    await bench.controller.run_pass()
    block_lists(bench)
    looks = bench.world.full_looks
    for _ in range(100):
        bench.controller.panel_asked()
        bench.clock.advance(timedelta(seconds=1))
        if bench.controller._clock.seconds_left() <= 0:
            await bench.controller.run_pass()
    assert bench.world.full_looks - looks <= 2 * 100 / 5


async def test_saving_of_a_deleted_app_does_not_end_by_the_list_before_its_deletion(
    bench: Bench,
) -> None:
    app = await live_until_due(bench)
    await let_list_arrive(bench)
    goes_on = asyncio.Event()
    remove = bench.world.remove

    async def blocks_next_list(*args: Any) -> Any:
        outcome = await remove(*args)
        bench.world.list_goes_on = goes_on
        return outcome

    bench.world.remove = blocks_next_list  # type: ignore[method-assign]
    await bench.controller.run_pass()
    assert bench.world.removed == [app.id]
    assert bench.resource(app.id)["state"] == "Deleting"
    bench.clock.advance(MINUTE)
    await bench.controller.run_pass()
    assert bench.world.removed == [app.id], "no second DeleteApp"
    assert bench.controller._savings._savings.freed, "it counts on"
    await let_list_arrive(bench)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_check_waits_for_its_list_beside_other_passes(bench: Bench, dry_run: bool) -> None:
    bench.world.app("a")
    await bench.controller.run_pass()
    calls = block_and_count(bench)
    check = asyncio.ensure_future(bench.controller.check(dry_run, list_apps=True))
    await until(lambda: bench.world.app_list.call is not None)
    bench.world.kernel("k")
    bench.world.app("b")
    await bench.controller.run_pass()
    assert bench.resource("k")
    await let_list_arrive(bench)
    report = await check
    assert [row["id"] for row in report["resources"]] == ["k", "KernelGateway/a", "KernelGateway/b"]
    assert calls() == 1

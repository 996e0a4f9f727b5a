"""A pass stops waiting for its removals and for the stop switch when something else changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from test_emergency_stop import STOP, StoppedBench, Switch, idle
from test_slow_shutdowns import Shutdowns
from value_world import MINUTE, START, Bench, until

from auto_shutdown.core.decision import Action, Decision, Reason
from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.cycle import one_pass, pass_patience
from auto_shutdown.cycle.emergency_stop import FRESH, USABLE, EmergencyStop
from auto_shutdown.cycle.removal import LATE, MOST_BESIDE
from auto_shutdown.world.stop_switch import Stop

DUE = Decision(Ref(Kind.KERNEL, "k"), Action.REMOVE, Reason.IDLE, "It is idle.")


@pytest.fixture(autouse=True)
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a change signal ends the wait of a pass."""
    monkeypatch.setattr(one_pass, "REMOVAL_SECONDS", 3600.0)
    monkeypatch.setattr(one_pass, "REMOVALS_SECONDS", 3600.0)
    monkeypatch.setattr(one_pass, "SWITCH_SECONDS", 3600.0)
    monkeypatch.setattr(pass_patience, "SIGNAL_SECONDS", 0.01)
    monkeypatch.setattr(one_pass.OnePass, "_seconds_for_removals", lambda *_: 3600.0)


async def slow_shutdowns(bench: Bench, *names: str) -> Shutdowns:
    """Kernels of these names that are due now, and whose shutdown ends when the test ends it."""
    for name in names:
        bench.world.kernel(name)
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    bench.clock.advance(2 * MINUTE)
    return shutdowns


def begin_pass(bench: Bench) -> asyncio.Task[None]:
    return bench.controller._passes.begin(bench.controller.run_pass())


async def pass_with_signals(bench: Bench) -> None:
    """Run a pass during which change signals come."""
    running = begin_pass(bench)
    while not running.done():
        bench.controller.kernel_changed("other")
        await asyncio.sleep(0.005)
    await running


async def test_row_of_another_kernel_changes_during_a_slow_shutdown(bench: Bench) -> None:
    shutdowns = await slow_shutdowns(bench, "k")
    running = begin_pass(bench)
    await until(lambda: shutdowns.begun)
    bench.world.kernel("other", state="busy", last_activity=bench.clock.now)
    bench.controller.kernel_changed("other")
    await running
    assert bench.controller._changes.take() == {"other"}, "the loop begins a pass"
    await bench.controller.run_pass(kernels={"other"})
    assert bench.resource("other")["reason"] == "busy"
    assert bench.resource("k")["reason"] == "shutting-down"
    shutdowns.ends.set()
    await until(lambda: bench.world.removed == ["k"])


async def test_other_removals_begin_during_a_slow_shutdown(bench: Bench) -> None:
    """The pass that was interrupted begins them, and decides on each again."""
    shutdowns = await slow_shutdowns(bench, "a", "b", "c")

    def becomes_busy(ref: Ref) -> None:
        if ref.id == "b":
            bench.world.kernel("b", state="busy", last_activity=bench.clock.now)

    bench.world.before_look = becomes_busy
    running = begin_pass(bench)
    await until(lambda: shutdowns.begun)
    bench.controller.wake()
    await running
    await until(lambda: len(shutdowns.begun) == 2)
    assert shutdowns.begun == ["a", "c"]
    shutdowns.ends.set()
    await until(lambda: sorted(bench.world.removed) == ["a", "c"])
    await until(lambda: not bench.controller.situation.removals_under_way)
    entries = await bench.controller.requests.read_history(9)
    assert sorted(entry["resource"] for entry in entries) == ["a", "c"], "one line for each"


async def test_few_removals_are_in_progress_at_the_same_time(bench: Bench) -> None:
    """A signal ends each pass that waits for a removal."""
    names = [f"k{number:02}" for number in range(2 * MOST_BESIDE + 2)]
    shutdowns = await slow_shutdowns(bench, *names)
    await pass_with_signals(bench)
    await pass_with_signals(bench)
    await until(lambda: len(shutdowns.begun) == MOST_BESIDE)
    bench.controller._changes.take()
    shutdowns.ends.set()
    await until(lambda: len(bench.world.removed) == MOST_BESIDE)
    await until(lambda: bench.controller._changes._everything)  # the loop begins a pass at once
    shutdowns.ends.clear()
    await until(lambda: not bench.controller._one_pass._remover._beside)
    await pass_with_signals(bench)
    await until(lambda: len(shutdowns.begun) == 2 * MOST_BESIDE)
    bench.clock.advance(LATE)
    await pass_with_signals(bench)  # removals that hang do not delay the others for ever
    await until(lambda: sorted(shutdowns.begun) == names)
    shutdowns.ends.set()
    await until(lambda: sorted(bench.world.removed) == names)


async def test_end_of_the_server_waits_for_a_removal_beside_the_passes(bench: Bench) -> None:
    """Otherwise its audit line would stay unfinished."""
    shutdowns = await slow_shutdowns(bench, "k")
    running = begin_pass(bench)
    await until(lambda: shutdowns.begun)
    bench.controller.wake()
    await running
    bench.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
    save, removed_before = bench.controller._save, []

    async def note_and_save(clean: bool) -> None:
        removed_before.extend(bench.world.removed)
        await save(clean)

    bench.controller._save = note_and_save  # type: ignore[method-assign]
    stopping = asyncio.ensure_future(bench.controller.stop())
    await until(bench.controller._runner.lock.locked)
    shutdowns.ends.set()
    await stopping
    assert removed_before == ["k"]
    (entry,) = await bench.controller.requests.read_history(9)
    assert entry["outcome"] == "removed"


async def test_pass_waits_only_until_something_else_is_due(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=100))
    now = bench.clock.now
    due_in = bench.controller._one_pass.next_moment(now)
    assert due_in is not None
    bench.clock.advance(due_in - now - timedelta(seconds=4))
    assert bench.controller._one_pass._seconds_for_removals(bench.clock.now) == 4.0
    bench.world.kernels.clear()
    await bench.controller.run_pass()
    assert bench.controller._one_pass._seconds_for_removals(bench.clock.now) == 30.0


class SlowSwitch(Switch):
    """A switch whose reading waits for ``goes_on``."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    async def read(self) -> Stop | None:
        self.reads += 1
        stop = self.stop
        await self.goes_on.wait()
        return stop


async def slow_switch(path: Path) -> tuple[StoppedBench, SlowSwitch]:
    """A kernel that is due, and a switch that SageMaker takes long to read."""
    bench, switch = await idle(path), SlowSwitch()
    bench.controller._objections.emergency_stop._switch = switch
    bench.clock.advance(2 * MINUTE)
    return bench, switch


@pytest.mark.parametrize("stop", [None, STOP])
async def test_row_changes_while_the_stop_switch_is_read(tmp_path: Path, stop: Stop | None) -> None:
    bench, switch = await slow_switch(tmp_path)
    switch.stop = stop
    for number in range(3):
        looks = bench.world.full_looks
        running = begin_pass(bench)
        await until(lambda looks=looks: bench.world.full_looks > looks)
        bench.world.kernel(f"new{number}")
        bench.controller.wake()
        await running
    assert bench.resource("new0")
    assert bench.resource("new1")
    assert bench.world.removed == []
    assert await bench.controller.requests.read_history(9) == []
    bench.controller._changes.take()
    switch.goes_on.set()
    await until(lambda: bench.controller._changes._everything)  # the loop begins a pass at once
    await bench.controller.run_pass()
    assert bench.world.removed == ([] if stop else ["k"])
    assert switch.reads == 1


@pytest.mark.parametrize("seconds", [0, FRESH.total_seconds() + 1])
async def test_reading_that_began_too_long_ago_is_repeated(seconds: float) -> None:
    """The administrator may have set the switch since that reading began."""
    switch, now = SlowSwitch(), START
    stop = EmergencyStop(switch)
    first = stop.reading([DUE], now)
    assert first is not None
    await until(lambda: switch.reads)
    switch.stop = STOP
    asking = asyncio.ensure_future(stop.objections([DUE], now + timedelta(seconds=seconds)))
    switch.goes_on.set()
    assert bool(await asking) is (seconds > 0)
    assert switch.reads == (2 if seconds else 1)


@pytest.mark.parametrize("took", [2.0, FRESH.total_seconds() + 5])
async def test_answer_of_a_slow_reading_is_used(tmp_path: Path, took: float) -> None:
    """Signals end each pass that waits for the switch, and the answer is older than ``FRESH``."""
    bench, switch = await slow_switch(tmp_path)
    running = begin_pass(bench)
    await until(lambda: switch.reads)
    bench.controller.wake()
    await running
    bench.clock.advance(timedelta(seconds=took))
    switch.goes_on.set()
    await until(lambda: bench.controller._objections.emergency_stop._reading is None)
    bench.clock.advance(USABLE - timedelta(seconds=1))
    await bench.controller.run_pass()
    assert (bench.world.removed, switch.reads) == (["k"], 1)


async def test_answer_of_a_slow_reading_is_not_used_for_long() -> None:
    switch, now, seconds = SlowSwitch(), START, 0.0
    stop = EmergencyStop(switch, lambda: seconds)
    reading = stop.reading([DUE], now)
    assert reading is not None
    await until(lambda: switch.reads)
    seconds = 40.0
    switch.goes_on.set()
    await reading
    assert stop.reading([DUE], now + timedelta(seconds=54)) is None
    assert stop.reading([DUE], now + timedelta(seconds=55)) is not None

"""An administrator stops the removals of all servers, at once and without a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import MINUTE, Bench, before_each_audit_line

from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.cycle.emergency_stop import STOPPED_FOR
from auto_shutdown.state.history import History
from auto_shutdown.state.store import Store
from auto_shutdown.world.stop_switch import Stop, StopSwitch

STOP = Stop("An administrator has stopped all removals: incident 7.", "Ask them.")
UNKNOWN = Stop("It is not known.", "Wait.", known=False)


class Switch(StopSwitch):
    """A switch that a test sets."""

    stop: Stop | None = None
    reads = 0

    async def read(self) -> Stop | None:
        self.reads += 1
        return self.stop


class StoppedBench(Bench):
    switch: Any

    def make(self) -> Controller:
        self.switch = Switch()
        parts: Any = (Store(self.path, "k"), History(self.path, "k"), self.limits, self.clock)
        world: Any = self.world
        store, history, limits, clock = parts
        return Controller(world, store, history, limits, clock, self.log, switch=self.switch)


async def idle(path: Path) -> StoppedBench:
    """A kernel that is due in a minute."""
    bench = StoppedBench(path)
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(119 * MINUTE)
    return bench


def fault(bench: Bench) -> Any:
    faults = bench.controller.report()["health"]["faults"]
    return next((f for f in faults if f["source"] == "stop-switch"), None)


async def test_the_switch_is_not_read_while_no_removal_is_due(tmp_path: Path) -> None:
    bench = await idle(tmp_path)
    assert bench.switch.reads == 0
    await bench.live(10 * MINUTE)
    assert (bench.world.removed, bench.switch.reads) == (["k"], 1)


async def test_a_set_switch_stops_removals_and_a_cleared_switch_allows_them(tmp_path: Path) -> None:
    bench = await idle(tmp_path)
    bench.switch.stop = STOP
    await bench.live(60 * MINUTE)
    assert bench.world.removed == []
    row = bench.resource("k")
    assert (row["action"], row["reason"]) == ("keep", "vetoed")
    assert "An administrator has stopped all removals: incident 7" in row["detail"]
    assert fault(bench)["message"] == STOP.message
    assert fault(bench)["remedy"] == STOP.remedy
    assert bench.switch.reads <= 60 / (STOPPED_FOR / MINUTE) + 1, "it is not asked in each pass"
    bench.switch.stop = None
    await bench.live(STOPPED_FOR + 7 * MINUTE)
    assert bench.world.removed == ["k"]
    assert fault(bench) is None


async def test_an_unreadable_switch_stops_removals_until_it_can_be_read(tmp_path: Path) -> None:
    bench = await idle(tmp_path)
    bench.switch.stop = UNKNOWN
    await bench.live(20 * MINUTE)
    assert bench.world.removed == []
    assert fault(bench)["code"] == "Unknown"
    bench.switch.stop = None
    await bench.live(10 * MINUTE)
    assert bench.world.removed == ["k"]


async def test_a_switch_set_during_a_series_of_removals_stops_the_rest(tmp_path: Path) -> None:
    bench = StoppedBench(tmp_path)
    for number in range(3):
        bench.world.kernel(f"k{number}")
    await bench.controller.load()
    await bench.live(119 * MINUTE)

    def stop_and_take_a_minute(_: Any) -> None:
        bench.switch.stop = STOP
        bench.clock.advance(timedelta(minutes=1))

    bench.world.before_remove = stop_and_take_a_minute
    await bench.live(30 * MINUTE)
    assert len(bench.world.removed) == 1
    # The removals that the switch has stopped did not begin: they have no line in the audit log.
    assert len(await bench.controller.requests.read_history(10)) == 1


@pytest.mark.parametrize(("seconds", "removed"), [(20, ["k"]), (40, [])])
async def test_a_switch_set_while_the_audit_line_is_written_stops_the_removal(
    tmp_path: Path, seconds: float, removed: list[str]
) -> None:
    """The pass has read the switch before. Its answer counts for 30 seconds."""
    bench = await idle(tmp_path)

    async def switch_is_set() -> None:
        bench.switch.stop = STOP
        bench.clock.advance(timedelta(seconds=seconds))

    before_each_audit_line(bench, switch_is_set)
    await bench.live(2 * MINUTE)
    assert bench.world.removed == removed


async def test_a_requested_removal_proceeds_while_the_switch_is_set(tmp_path: Path) -> None:
    bench = await idle(tmp_path)
    bench.switch.stop = STOP
    await bench.live(10 * MINUTE)
    await bench.controller.requests.remove(Ref(Kind.KERNEL, "k"))
    assert bench.world.removed == ["k"]


async def test_the_fault_ends_when_the_switch_is_cleared_and_no_removal_is_due(
    tmp_path: Path,
) -> None:
    bench = await idle(tmp_path)
    bench.switch.stop = STOP
    await bench.live(5 * MINUTE)
    bench.world.kernels.clear()
    bench.switch.stop = None
    await bench.live(7 * MINUTE)
    assert fault(bench) is None

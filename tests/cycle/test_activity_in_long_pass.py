"""Activity during a long pass has its own time, not that at which the pass began. Otherwise its
resource would be removed before its idle timeout is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from value_world import START, Bench

from auto_shutdown.core.model import Answer, Kernel, Kind, Ref, Snapshot

#: A source, a removal or an answer takes this time. The kernel ``k`` is used at its end.
LONG = timedelta(seconds=40)

K = Ref(Kind.KERNEL, "k")


def use_late(bench: Bench) -> None:
    """Let ``LONG`` pass. Then somebody runs a short cell in ``k``."""
    bench.clock.advance(LONG)
    kernel = bench.world.kernels["k"]
    bench.world.kernels["k"] = replace(kernel, last_activity=bench.clock.now)


def once(bench: Bench, name: str) -> None:
    """Use ``k`` late in the next call of the method ``name`` of the world."""
    world: Any = bench.world
    method: Callable[..., Awaitable[Any]] = getattr(world, name)

    async def slowly(*arguments: Any, **more: Any) -> Any:
        setattr(world, name, method)
        use_late(bench)
        return await method(*arguments, **more)

    setattr(world, name, slowly)


def active_at(bench: Bench) -> timedelta:
    return bench.controller.situation.ledger.marks[K].active_at - START


@pytest.fixture
def used(bench: Bench) -> Bench:
    bench.world.kernel("k")
    return bench


async def test_during_a_slow_observation(used: Bench) -> None:
    await used.controller.run_pass()
    once(used, "observe")
    await used.controller.run_pass()
    assert active_at(used) == LONG


async def test_during_a_partial_pass(used: Bench) -> None:
    await used.controller.run_pass()
    once(used, "observe_kernels")
    await used.controller.run_pass(kernels={"k"})
    assert used.world.full_looks == 1
    assert active_at(used) == LONG


@pytest.mark.parametrize("when", ["before_remove", "before_look"])
async def test_while_another_kernel_is_removed(used: Bench, when: str) -> None:
    """``k`` is used while the pass looks at another kernel again, or removes it."""
    await used.controller.load()
    used.world.kernel("idle")
    await used.controller.run_pass()
    idle = timedelta(hours=3)
    used.clock.advance(idle)
    used.world.kernels["k"] = replace(used.world.kernels["k"], last_activity=used.clock.now)
    happened: list[bool] = []

    def use_once(_: Any) -> None:
        if not happened:
            happened.append(True)
            use_late(used)

    setattr(used.world, when, use_once)
    await used.live(timedelta(minutes=20))
    assert "idle" in used.world.removed
    assert happened
    assert active_at(used) > idle + LONG, "the use, after the idle time and the notice"
    used_at = used.world.kernels["k"].last_activity
    assert used.controller.situation.ledger.marks[K].active_at == used_at


async def test_work_that_a_late_answer_reports(used: Bench) -> None:
    """The work was measured until the answer, so the idle clock begins at the answer."""
    world = used.world
    used.world.at_work.add("k")
    answered: list[timedelta] = []
    ask = world.ask

    async def ask_slowly(questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        used.clock.advance(LONG)
        answered.append(used.clock.now - START)
        return await ask(questions)

    world.ask = ask_slowly  # type: ignore[method-assign]
    await used.controller.load()
    await used.live(timedelta(hours=2, minutes=1))
    assert answered
    assert active_at(used) == answered[-1]


async def test_the_second_look_dates_the_activity_that_it_finds(used: Bench) -> None:
    """The kernel is used during the second look, right before its removal."""
    await used.controller.load()
    looks: list[Snapshot] = []
    look_again = used.world.look_again

    async def look_late(ref: Ref) -> Snapshot:
        if not looks:
            use_late(used)
        looks.append(await look_again(ref))
        return looks[-1]

    used.world.look_again = look_late  # type: ignore[method-assign]
    await used.live(timedelta(hours=2, minutes=6))
    assert looks
    seen = looks[0].find(K)
    assert isinstance(seen, Kernel)
    assert used.controller.situation.ledger.marks[K].active_at == seen.last_activity
    assert used.world.removed == []

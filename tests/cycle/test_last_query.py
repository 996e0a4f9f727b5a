"""The last query for background work, right before DeleteApp."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from value_world import MINUTE, Bench, faults

from auto_shutdown.core.model import Answer, Ref
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle import last_look

UP_TO_REMOVAL = timedelta(minutes=120, seconds=30)


async def test_a_query_without_a_kernel_to_ask_leaves_the_answer_of_the_removed_kernel(
    bench: Bench,
) -> None:
    world = bench.world
    app = world.app("a", shared=True)
    world.kernel("k", app)
    real = world.ask

    async def ask(questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        answers = await real(questions)
        if world.kernels:
            return answers
        return tuple(replace(answer, answered=False) for answer in answers)

    world.ask = ask  # type: ignore[method-assign]
    world.answers[app.id] = [Outcome(Result.TEMPORARY, "throttled", "ThrottlingException")]
    await bench.controller.load()
    await bench.live(UP_TO_REMOVAL)
    assert world.removed == ["k", app.id]
    assert bench.controller.situation.ledger.marks[app.ref].work.result == "none"


async def test_a_last_query_that_hangs_is_a_fault_and_the_removal_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_look, "ASK_SECONDS", 0.02)
    world, hangs = bench.world, True
    app = world.app("a", shared=True)
    real = last_look.LastLook._ask_for_background_work

    async def hang(_questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        await asyncio.Event().wait()
        return ()

    async def ask_at_last(look: last_look.LastLook) -> None:
        with monkeypatch.context() as hanging:
            if hangs:
                hanging.setattr(look.world, "ask", hang)
            await real(look)

    monkeypatch.setattr(last_look.LastLook, "_ask_for_background_work", ask_at_last)
    await bench.controller.load()
    await bench.live(UP_TO_REMOVAL)
    assert not world.removed
    assert any("TimeoutError" in message for message in faults(bench).values()), faults(bench)
    hangs = False
    await bench.live(10 * MINUTE)
    assert world.removed == [app.id]

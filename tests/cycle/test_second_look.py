"""Changes between the plan of a pass and its removals: the pass looks at each resource again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from value_world import START, Bench

from auto_shutdown.core.model import Ref, Resource, Snapshot
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.world.final_check import FinalCheck, always


async def test_a_resource_that_became_active_at_the_last_moment_is_stale(bench: Bench) -> None:
    app = bench.world.app("a")
    kernel = bench.world.kernel("k", app)

    def run_a_cell(_ref: Ref) -> None:
        bench.world.kernels["k"] = replace(kernel, state="busy")

    bench.world.before_look = run_a_cell
    await bench.live(timedelta(minutes=125))
    assert bench.world.removed == []
    outcomes = {o["id"]: o["outcome"] for o in bench.controller.report()["outcomes"]}
    assert outcomes == {"k": "stale", app.id: "stale"}
    assert bench.controller.report()["outcomes"][0]["app"] == app.id
    assert await bench.controller.requests.read_history(9) == []


async def test_a_kernel_that_arrives_at_the_last_moment_saves_the_app(bench: Bench) -> None:
    app = bench.world.app("a")

    def arrive(_ref: Ref) -> None:
        bench.world.kernel("new", app, last_activity=START)

    bench.world.before_look = arrive
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == []


@pytest.mark.parametrize("user_request", ["kept", "present", "switched off"])
async def test_a_request_during_a_removal_counts_for_the_rest_of_the_pass(
    bench: Bench, user_request: str
) -> None:
    """While the first removal is in progress, a user asks to keep the second kernel."""
    bench.world.kernel("first")
    second = bench.world.kernel("second").ref
    controller, asked = bench.controller, []

    def send_request(_resource: Resource) -> None:
        requests = {
            "kept": lambda: controller.requests.keep_alive(second, 60),
            "present": lambda: controller.requests.note_activity(second),
            "switched off": lambda: controller.requests.patch_settings({"enabled": False}),
        }
        asked.append(asyncio.ensure_future(requests[user_request]()))

    async def slowly(
        resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        """Return only after the request has arrived."""
        outcome = await remove(resource, only_unmoved, still_removable)
        if user_request == "switched off":  # a thread writes its file
            await asked[0]
        for _ in range(10):  # the other two wait for the pass, so let them only begin
            await asyncio.sleep(0)
        return outcome

    remove, bench.world.remove = bench.world.remove, slowly  # type: ignore[method-assign]
    bench.world.before_remove = send_request
    await bench.live(timedelta(minutes=121))
    await asyncio.gather(*asked)
    assert bench.world.removed == ["first"]
    await controller.check()
    assert bench.world.removed == ["first"]


@pytest.mark.parametrize("change", [{"enabled": False}, {"idle_timeout_minutes": 600}], ids=str)
async def test_a_setting_changed_during_the_last_look_at_an_app_keeps_it(
    bench: Bench, change: dict[str, object]
) -> None:
    app = bench.world.app("ml").ref
    look_again, looks = bench.world.look_again, []

    async def look_slowly(ref: Ref) -> Snapshot:
        snapshot = await look_again(ref)
        looks.append(ref)
        if looks.count(app) == 2:  # the last look, right before SageMaker is asked
            await bench.controller.requests.patch_settings(change)
        return snapshot

    bench.world.look_again = look_slowly  # type: ignore[method-assign]
    await bench.live(timedelta(minutes=123))
    assert looks.count(app) >= 2
    assert bench.world.removed == []


async def test_a_keep_alive_for_a_resource_being_removed_is_refused(bench: Bench) -> None:
    ref = bench.world.kernel("k").ref
    asked: list[asyncio.Future[object]] = []
    bench.world.before_remove = lambda _r: asked.append(
        asyncio.ensure_future(bench.controller.requests.keep_alive(ref, 60))
    )
    await bench.live(timedelta(minutes=121))
    (answer,) = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(answer, RefusedError)
    assert answer.status == 409
    assert bench.controller.requests.keep_alives() == []


async def test_a_resource_that_is_gone_at_the_second_look_is_no_error(bench: Bench) -> None:
    bench.world.kernel("k")
    bench.world.before_look = lambda _ref: bench.world.kernels.clear()
    await bench.live(timedelta(minutes=125))
    assert [o["outcome"] for o in bench.controller.report()["outcomes"]] == ["gone"]


async def test_a_removal_that_was_skipped_shows_the_new_activity_in_the_same_pass(
    bench: Bench,
) -> None:
    """Otherwise the report calls the kernel idle and due until the next full pass."""
    bench.world.kernel("k")

    def use(_resource: Resource) -> None:
        bench.world.kernel("k", state="busy")

    bench.world.before_remove = use
    bench.world.answers["k"] = [Outcome(Result.STALE, "It was used at the last moment.")]
    await bench.live(timedelta(minutes=119))
    for _ in range(20):
        bench.clock.advance(timedelta(seconds=10))
        await bench.controller.check()
        if bench.world.removed:
            break
    assert [o["outcome"] for o in bench.controller.report()["outcomes"]] == ["stale"]
    assert bench.resource("k")["reason"] == "recent-activity"

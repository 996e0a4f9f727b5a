"""Removals that a user requests, also beside a removal that a pass has begun."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.model import App, Kind, Ref, Resource, Snapshot, Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.session_facts import Session

DUE = timedelta(minutes=121)


async def test_a_requested_removal(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy")
    bench.world.apps["JupyterServer/default"] = App("JupyterServer", "default", "InService")
    await bench.controller.run_pass(list_apps=True)
    await bench.controller.requests.keep_alive(app.ref, 60, "waits for a review")
    outcome = await bench.controller.requests.remove(app.ref)
    assert (outcome["outcome"], outcome["reason"]) == ("removed", "requested")
    (newest,) = await bench.controller.requests.read_history(1)
    assert newest["detail"].endswith("It was kept alive: waits for a review.")
    assert bench.world.removed == ["k", app.id]
    assert bench.world.only_unmoved == [False, False], (
        "a requested removal does not depend on activity"
    )
    await bench.controller.check()
    assert bench.resource(app.id)["state"] == "Deleting", "the report has the new status of the app"
    for ref, status in (
        (Ref(Kind.APP, "JupyterServer/default"), 409),
        (Ref(Kind.APP, "KernelGateway/hers"), 404),
        (app.ref, 409),
    ):
        with pytest.raises(RefusedError) as caught:
            await bench.controller.requests.remove(ref)
        assert caught.value.status == status
    assert bench.world.removed == ["k", app.id]


async def test_requested_removal_during_the_look_of_a_pass_is_the_only_removal(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auto_shutdown.cycle.pass_runner.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("auto_shutdown.cycle.requested_removal.REQUEST_SECONDS", 600.0)
    bench.world.terminals["1"] = Terminal("1", START)
    closing, closed = asyncio.Event(), asyncio.Event()
    requests: list[asyncio.Future[Any]] = []
    look_again, remove = bench.world.look_again, bench.world.remove

    async def look_slowly(ref: Ref) -> Snapshot:
        if not requests:
            requests.append(asyncio.ensure_future(bench.controller.requests.remove(ref)))
            await closing.wait()
        return await look_again(ref)

    async def close_slowly(
        resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        closing.set()
        await closed.wait()
        return await remove(resource, only_unmoved, still_removable)

    bench.world.look_again = look_slowly  # type: ignore[method-assign]
    bench.world.remove = close_slowly  # type: ignore[method-assign]
    await bench.live(DUE)
    closed.set()
    outcome = await requests[0]
    assert (outcome["id"], outcome["outcome"], outcome["reason"]) == ("1", "removed", "requested")
    assert bench.world.only_unmoved == [False], "the pass removed nothing"
    assert bench.controller.situation.removals_under_way == {}


class RequestedApp:
    """A requested removal of an app with two kernels. The removal of the first waits."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.requests = bench, bench.controller.requests
        self.app = bench.world.app("a")
        self.first = bench.world.kernel("k1", self.app)
        self.second = bench.world.kernel("k2", self.app, state="busy")
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self._remove = bench.world.remove
        bench.world.remove = self.remove  # type: ignore[method-assign]

    async def remove(
        self, resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        self.begun.set()
        await self.go_on.wait()
        return await self._remove(resource, only_unmoved, still_removable)

    async def begin(self) -> asyncio.Future[Any]:
        await self.bench.controller.check()
        removal = asyncio.ensure_future(self.requests.remove(self.app.ref))
        await self.begun.wait()
        return removal


async def test_each_request_for_a_part_of_a_requested_app_is_refused(bench: Bench) -> None:
    requested = RequestedApp(bench)
    removal = await requested.begin()
    for ref in (requested.app.ref, requested.first.ref, requested.second.ref):
        calls = (
            requested.requests.keep_alive(ref, 600),
            requested.requests.note_activity(ref),
            requested.requests.remove(ref),
        )
        for call in calls:
            with pytest.raises(RefusedError) as caught:
                await call
            assert caught.value.status == 409
    requested.go_on.set()
    assert (await removal)["id"] == requested.app.id
    assert bench.world.removed == ["k1", "k2", requested.app.id]
    await requested.requests.keep_alive(
        requested.app.ref, 5
    )  # it is still listed, so this is not refused


async def test_removal_is_under_way_since_its_own_beginning(bench: Bench) -> None:
    """The removal of an app is not late because the removals of its kernels took long."""
    app = bench.world.app("a")
    for name in ("k1", "k2"):
        bench.world.kernel(name, app)
    await bench.controller.check()
    situation = bench.controller.situation
    ages: list[timedelta] = []

    def take_long(resource: Resource) -> None:
        ages.append(bench.clock.now - situation.removals_under_way[resource.ref])
        bench.clock.advance(MINUTE)

    bench.world.before_remove = take_long
    await bench.controller.requests.remove(app.ref)
    assert ages == [timedelta(0)] * 3


async def test_requested_app_waits_for_the_removal_that_a_pass_has_begun(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    await bench.controller.check()
    recording, go_on = asyncio.Event(), asyncio.Event()
    bench.world.answers["k"] = [Outcome(Result.STALE, "It was used at the last moment.")]

    async def record(resource: Resource) -> tuple[Resource, Session]:
        recording.set()
        await go_on.wait()
        return resource, Session()

    bench.world.session_of = record  # type: ignore[method-assign]
    living = asyncio.ensure_future(bench.live(DUE))
    await recording.wait()
    look = asyncio.Event()

    async def no_look(list_apps: bool) -> bool:
        look.set()
        return True

    bench.controller.look = no_look  # type: ignore[method-assign]
    removal = asyncio.ensure_future(bench.controller.requests.remove(app.ref))
    await look.wait()
    go_on.set()
    assert (await removal)["outcome"] == "removed"
    await living
    assert bench.world.removed == ["k", "k", app.id], "a requested removal needs no idle kernel"
    assert bench.world.only_unmoved == [True, False, False]


async def test_answer_to_a_request_is_about_the_requested_resource(bench: Bench) -> None:
    """The removal of another resource ends at the same moment."""
    app: App = bench.world.app("a")
    await bench.controller.check()
    bench.controller._reporter._outcomes.recent = _LastIsOther()  # type: ignore[assignment]
    assert (await bench.controller.requests.remove(app.ref))["id"] == app.id


class _LastIsOther(list):  # type: ignore[type-arg]
    def append(self, entry: Any) -> None:
        super().extend([entry, {**entry, "id": "other"}])

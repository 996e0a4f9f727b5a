"""Requests and reports that arrive in the last moments before a removal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.model import EVERYTHING, Kind, Ref, Resource, Snapshot, Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.cycle.user_requests import UserRequests
from auto_shutdown.state.history import History
from auto_shutdown.state.store import Store
from auto_shutdown.world.changes_since_observation import started_kernel
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.session_facts import Session

KERNEL = Ref(Kind.KERNEL, "k")
DUE = timedelta(minutes=121)

#: A request during the recording of the session, and the outcome of the removal.
REQUESTS: dict[str, tuple[Callable[[UserRequests], Awaitable[Any]], str]] = {
    "keep-alive": (lambda requests: requests.keep_alive(KERNEL, 600), "stale"),
    "disabled": (lambda requests: requests.patch_settings({"enabled": False}), "stale"),
    "longer limit": (
        lambda requests: requests.patch_settings({"idle_timeout_minutes": 6000}),
        "stale",
    ),
    "heartbeat": (lambda requests: requests.note_activity(KERNEL, Signal.HEARTBEAT), "stale"),
    "dry run": (lambda requests: requests.patch_settings({"dry_run": True}), "dry-run"),
}


def outcomes(bench: Bench) -> list[tuple[str, str]]:
    return [(each["id"], each["outcome"]) for each in bench.controller.report()["outcomes"]]


@pytest.mark.parametrize("name", REQUESTS)
async def test_request_while_the_session_is_recorded_keeps_the_kernel(
    name: str, bench: Bench
) -> None:
    bench.world.kernel("k")
    request, outcome = REQUESTS[name]
    requests = bench.controller.requests

    async def record(resource: Resource) -> tuple[Resource, Session]:
        await request(requests)
        return resource, Session(("x = 1",), None)

    bench.world.session_of = record  # type: ignore[method-assign]
    await bench.live(DUE)
    assert bench.world.removed == []
    assert outcomes(bench) == [("k", outcome)]
    assert (await requests.stopped())["stopped"] == [], "the kernel still runs"


#: Events after the last look, and the setting with which each of them counts.
LEARNT: dict[str, tuple[dict[str, Any], Callable[[Snapshot], Snapshot]]] = {
    "a client connects": (
        {"protect_connected": True},
        lambda look: replace(look, kernels=tuple(replace(k, connections=1) for k in look.kernels)),
    ),
    "a cell begins": (
        {},
        lambda look: replace(look, kernels=tuple(replace(k, state="busy") for k in look.kernels)),
    ),
    "a kernel is started": (
        {},
        lambda look: replace(look, departures=(started_kernel(START + DUE),)),
    ),
    "a terminal is opened": (
        {},
        lambda look: replace(look, terminals=(Terminal("1", START, app="KernelGateway/a"),)),
    ),
}


@pytest.mark.parametrize("learnt", LEARNT)
@pytest.mark.parametrize("kind", [Kind.KERNEL, Kind.APP])
async def test_event_since_the_last_look_counts_until_the_removal(
    kind: Kind, learnt: str, bench: Bench
) -> None:
    settings, since_look = LEARNT[learnt]
    app = bench.world.app("a")
    ref = bench.world.kernel("k", app).ref
    if kind is Kind.APP:  # removed with a kernel that could not be shut down
        ref, bench.world.answers["k"] = app.ref, [Outcome(Result.TEMPORARY, "HTTP 500.")] * 9
    await bench.controller.requests.patch_settings(settings)

    def happen(resource: Resource) -> None:
        if resource.ref == ref:
            bench.world.since_look = since_look

    bench.world.before_remove = happen
    await bench.live(timedelta(minutes=120, seconds=1))
    kept = kind is Kind.APP or learnt in ("a client connects", "a cell begins")
    assert (ref.id, "stale" if kept else "removed") in outcomes(bench)


async def test_app_is_observed_before_and_after_its_audit_line(bench: Bench) -> None:
    app = bench.world.app("a")
    looks: list[Ref] = []
    bench.world.before_look = looks.append
    await bench.live(DUE)
    assert bench.world.removed == [app.id]
    assert looks == [app.ref, app.ref], "before the audit line and after it"


@pytest.mark.parametrize("look", [1, 2])
async def test_error_of_a_last_look_affects_one_resource_and_completes_its_audit_line(
    look: int, bench: Bench
) -> None:
    first, second = bench.world.app("a"), bench.world.app("b")
    looks: list[Ref] = []

    def fail(ref: Ref) -> None:
        looks.append(ref)
        if ref == first.ref and looks.count(ref) == look:
            raise RuntimeError("an unexpected answer")

    bench.world.before_look = fail
    await bench.live(timedelta(minutes=120, seconds=1))
    assert outcomes(bench) == [(first.id, "temporary"), (second.id, "removed")]
    assert bench.resource(first.id)["reason"] == "backing-off"
    await bench.live(2 * MINUTE)
    assert bench.world.removed == [second.id, first.id]
    entries = await bench.controller.requests.read_history(9)
    assert "interrupted" not in {entry["outcome"] for entry in entries}


class TwoServers:
    """Two servers of one identity see the same app: that of ``bench``, and ``other``."""

    def __init__(self, bench: Bench) -> None:
        self.app = bench.world.app("a")
        self.other = self._server(bench, "k", "k-2")
        bench.controller = self._server(bench, "k-2", "k")
        self.requests = self.other.requests

    def _server(self, bench: Bench, key: str, other: str) -> Controller:
        store, history = Store(bench.path, key, [other]), History(bench.path, key, [other])
        world: Any = bench.world
        clock: Any = bench.clock
        return Controller(world, store, history, bench.limits, clock, bench.log)

    async def keep_alive(self) -> None:
        await self.requests.keep_alive(self.app.ref, 600)

    async def disable(self) -> None:
        await self.requests.patch_settings({"enabled": False})


@pytest.mark.parametrize("request_name", ["keep_alive", "disable"])
async def test_request_to_another_server_counts_until_the_last_decision(
    request_name: str, bench: Bench
) -> None:
    servers = TwoServers(bench)
    await servers.other.load()
    await bench.controller.load()
    await servers.other.check()
    look_again = bench.world.look_again
    looks: list[Ref] = []

    async def look(ref: Ref) -> Snapshot:
        looks.append(ref)
        if len(looks) == 2:  # the last look at the app
            await getattr(servers, request_name)()
        return await look_again(ref)

    bench.world.look_again = look  # type: ignore[method-assign]
    await bench.live(DUE)
    assert looks[:2] == [servers.app.ref] * 2
    assert bench.world.removed == []


@pytest.mark.parametrize("forbidden_by", ["keep-alive on its app", "keep-alive on all", "disabled"])
async def test_a_request_counts_until_the_manager_is_called(
    bench: Bench, forbidden_by: str
) -> None:
    """The removal has begun, and the kernel's shell is being asked whether a cell runs."""
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    await bench.controller.load()
    requests, removes = bench.controller.requests, asyncio.Event()
    remove, goes_on = bench.world.remove, asyncio.Event()

    async def asks_first(
        resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        removes.set()
        await goes_on.wait()
        return await remove(resource, only_unmoved, still_removable)

    bench.world.remove = asks_first  # type: ignore[method-assign]
    await bench.live(timedelta(minutes=119))
    bench.clock.advance(timedelta(minutes=2))
    passing = asyncio.ensure_future(bench.controller.run_pass())
    await removes.wait()
    if forbidden_by == "disabled":
        await requests.patch_settings({"enabled": False})
    else:
        await requests.keep_alive(app.ref if "app" in forbidden_by else EVERYTHING, 60)
    goes_on.set()
    await passing
    assert bench.world.removed == []


async def test_the_last_decision_sees_that_another_app_keeps_the_instance_billed(
    bench: Bench,
) -> None:
    one, other = bench.world.app("a"), bench.world.app("b")
    await bench.controller.load()
    await bench.controller.requests.patch_settings({"only_when_it_saves": True})
    observe = bench.world.observe

    async def is_used(list_apps: bool, last_look: bool = False) -> Snapshot:
        if last_look:
            bench.world.kernel("k", other, state="busy")
        return await observe(list_apps)

    bench.world.observe = is_used  # type: ignore[method-assign]
    await bench.live(timedelta(minutes=123))
    assert bench.world.removed == []
    assert bench.resource(one.id)["reason"] == "saves-nothing"


async def test_app_is_not_deleted_on_the_evidence_of_an_old_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeleteApp may wait behind other calls to SageMaker, and a cell may begin meanwhile."""
    app = bench.world.app("a")
    monkeypatch.setattr("auto_shutdown.cycle.last_look.LOOK_VALID_SECONDS", -1.0)
    await bench.live(DUE)
    assert bench.world.removed == []
    monkeypatch.undo()
    await bench.live(MINUTE)
    assert bench.world.removed == [app.id]

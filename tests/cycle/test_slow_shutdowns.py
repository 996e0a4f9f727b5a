"""A slow shutdown continues while passes run, and a failed shutdown is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, Bench, faults, until

from auto_shutdown.core.model import Kind, Ref, Resource, Snapshot
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.under_way import LATE
from auto_shutdown.cycle import one_pass as one_pass_module
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.state.history import Attempt, History
from auto_shutdown.world.final_check import FinalCheck, always

KERNEL = Ref(Kind.KERNEL, "k")


class Shutdowns:
    """Removals that end when the test ends them."""

    def __init__(self, bench: Bench) -> None:
        self.begun: list[str] = []
        self.ends = asyncio.Event()
        self.cancelled = False
        self._remove = bench.world.remove
        bench.world.remove = self.remove  # type: ignore[method-assign]

    async def remove(
        self, resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        self.begun.append(resource.ref.id)
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await self._remove(resource, only_unmoved, still_removable)


async def test_a_slow_shutdown_goes_on_beside_the_passes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.kernel("other")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.02)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await until(lambda: len(shutdowns.begun) == 2)
    await bench.controller.run_pass()
    assert sorted(shutdowns.begun) == ["k", "other"], "each removal begins once, and the app waits"
    assert bench.resource("k")["reason"] == "shutting-down"
    assert "Shutting down since 14:0" in bench.resource("k")["detail"]
    with pytest.raises(RefusedError) as caught:
        await bench.controller.requests.remove(KERNEL)
    assert caught.value.status == 409
    assert faults(bench) == {}
    bench.clock.advance(LATE)
    await bench.controller.run_pass()
    assert "has been shutting down for" in faults(bench)["ShutdownLate"]
    await until(lambda: len(shutdowns.begun) == 3)
    assert shutdowns.begun[2:] == [app.id], "an app does not wait for a late removal for ever"
    shutdowns.ends.set()
    await until(lambda: len(bench.world.removed) == 3)
    await until(lambda: not bench.controller.situation.removals_under_way)
    await bench.controller.run_pass()
    assert faults(bench) == {}
    assert not shutdowns.cancelled
    entries = await bench.controller.requests.read_history(9)
    assert {(e["resource"], e["outcome"]) for e in entries} == {
        ("k", "removed"),
        ("other", "removed"),
        (app.id, "removed"),
    }


async def test_passes_beside_a_removal_query_neither_its_kernel_nor_the_app(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their queries would look like activity to the removal, which then keeps an idle kernel."""
    app = bench.world.app("a", shared=True)
    bench.world.kernel("k", app)
    bench.world.kernel("other", app, state="busy")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.02)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await until(lambda: shutdowns.begun == ["k"])
    bench.world.asked.clear()
    for _ in range(5):
        bench.clock.advance(timedelta(seconds=10))
        await bench.controller.run_pass()
    assert not any({KERNEL, app.ref} & set(asked) for asked in bench.world.asked)
    bench.clock.advance(LATE)
    await bench.controller.run_pass()
    assert any({KERNEL, app.ref} & set(asked) for asked in bench.world.asked), "late, so queried"
    shutdowns.ends.set()
    await until(lambda: "k" in bench.world.removed)


async def test_an_app_waits_while_the_audit_line_of_its_kernel_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.kernel("k", bench.world.app("a"))
    await bench.live(timedelta(minutes=119))
    begin_line, written = History.begin_line, asyncio.Event()
    begun: list[str] = []

    async def slowly(history: History, entry: Mapping[str, Any]) -> Attempt:
        begun.append(entry["resource"])
        await written.wait()
        return await begin_line(history, entry)

    monkeypatch.setattr(History, "begin_line", slowly)
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.0)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await bench.controller.run_pass()
    await until(lambda: begun)
    assert begun == ["k"], "the kernel may still be kept, and then its app must stay"
    written.set()
    await until(lambda: bench.world.removed == ["k"])


async def test_the_end_of_the_server_cancels_no_shutdown(bench: Bench) -> None:
    bench.world.kernel("k")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    bench.clock.advance(timedelta(minutes=2))
    bench.controller._passes.begin(bench.controller.run_pass())
    bench.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
    await until(lambda: shutdowns.begun)
    await bench.controller.stop()
    assert not shutdowns.cancelled
    shutdowns.ends.set()
    await until(lambda: bench.world.removed)


@pytest.mark.parametrize("kind", ["kernel", "terminal"])
async def test_a_resource_that_is_still_listed_does_not_count_as_removed(
    bench: Bench, kind: str
) -> None:
    """A terminal in which ``su -`` runs, and a kernel that stays listed."""
    from auto_shutdown.core.model import Terminal

    if kind == "kernel":
        bench.world.kernel("x")
    else:
        bench.world.terminals["x"] = Terminal("x", last_activity=bench.clock.now)
    thing = (bench.world.kernels | bench.world.terminals)["x"]
    bench.world.still_listed.add("x")
    bench.world.answers["x"] = [Outcome(Result.REMOVED)] * 9

    def stays(_resource: Resource) -> None:
        asyncio.get_running_loop().call_soon(put_back)

    def put_back() -> None:
        (bench.world.kernels if kind == "kernel" else bench.world.terminals)["x"] = thing  # type: ignore[index]

    bench.world.before_remove = stays
    await bench.live(timedelta(minutes=120, seconds=1))
    assert bench.world.removed == ["x"]
    assert bench.resource("x")["reason"] == "backing-off"
    assert "StillThere" in faults(bench)
    assert bench.controller.report()["outcomes"][-1]["outcome"] == "still-there"
    await bench.live(10 * MINUTE)
    assert len(bench.world.removed) == 4, "after 1, 2 and 4 minutes"
    (newest, *_) = await bench.controller.requests.read_history(9)
    assert newest["outcome"] == "still-there"


async def test_pass_that_saw_the_app_before_its_removal_ended_keeps_the_saving(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.app("a")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.02)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await until(lambda: shutdowns.begun)
    observe = bench.world.observe

    async def observe_while_the_removal_ends(list_apps: bool, last_look: bool = False) -> Snapshot:
        snapshot = await observe(list_apps, last_look)
        shutdowns.ends.set()
        await until(lambda: not bench.controller.situation.removals_under_way)
        return snapshot

    bench.clock.advance(timedelta(minutes=1))
    with monkeypatch.context() as patched:
        patched.setattr(bench.world, "observe", observe_while_the_removal_ends)
        await bench.controller.run_pass()
    await bench.live(timedelta(hours=3))
    savings = bench.controller.report()["savings"]
    assert savings["instance_hours"] == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("requested", [False, True])
async def test_two_apps_of_an_instance_that_end_side_by_side_save_it_once(
    requested: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    apps = [bench.world.app("a"), bench.world.app("b")]
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.02)
    if requested:
        requests = [bench.controller.requests.remove(app.ref) for app in apps]
        waits = asyncio.gather(*requests)
    else:
        bench.clock.advance(timedelta(minutes=2))
        waits = asyncio.gather(bench.controller.run_pass())
    await until(lambda: len(shutdowns.begun) == 2)
    shutdowns.ends.set()
    await waits
    await until(lambda: not bench.controller.situation.removals_under_way)
    history = await bench.controller.requests.read_history(9)
    assert sorted(entry["saved"] is None for entry in history) == [False, True]
    await bench.live(timedelta(hours=3))
    savings = bench.controller.report()["savings"]
    assert savings["instance_hours"] == pytest.approx(3, abs=0.1)

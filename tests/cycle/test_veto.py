"""Veto hooks: their objections, and their failures. And the queries of a pass for background
work."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.decision import Action, Decision, Reason
from auto_shutdown.core.ledger import Veto
from auto_shutdown.core.model import EVERYTHING, Kind, Ref, Snapshot
from auto_shutdown.core.signals import Signal
from auto_shutdown.cycle import veto as module
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.cycle.veto import VetoHooks

LOG = logging.getLogger("test")
KERNEL = Ref(Kind.KERNEL, "k")
DUE = Decision(KERNEL, Action.REMOVE, Reason.IDLE, "Idle.")
HOUR = timedelta(hours=1)


async def asynchronous(_decision: Decision) -> str:
    return "I object."


def awaitable(_decision: Decision) -> Any:
    return asynchronous(_decision)


def failing(_decision: Decision) -> str:
    raise ValueError("the lock file is\nunreadable")


def only_apps(decision: Decision) -> str | None:
    return "an app" if decision.ref.kind is Kind.APP else None


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (lambda _d: "I object.", "I object"),
        (lambda _d: None, None),
        (lambda _d: "", ""),
        (lambda _d: "x\x1b[2J" * 100, ("x\\x1b[2J" * 100)[: module.LONGEST]),
        (asynchronous, "I object"),
        (awaitable, "I object"),
        (failing, "it failed (ValueError: the lock file is\\nunreadable)"),
        (only_apps, None),
    ],
)
async def test_the_report_shows_the_reason_of_a_hook(hook: Any, text: str | None) -> None:
    vetoes = await VetoHooks(LOG, {"h": hook}).ask([DUE], START)
    assert vetoes == ({} if text is None else {KERNEL: Veto("h", text, START + MINUTE)})


async def test_a_hook_that_hangs_delays_the_others_by_at_most_its_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HOOK_SECONDS", 0.05)
    release, calls = threading.Event(), []

    def hanging(_decision: Decision) -> None:
        calls.append(1)
        release.wait(10)

    async def forever(_decision: Decision) -> None:
        await asyncio.sleep(60)

    hooks = VetoHooks(LOG, {"hanging": hanging, "later": lambda _d: "me too"})
    other = Decision(Ref(Kind.KERNEL, "other"), Action.REMOVE, Reason.IDLE, "Idle.")
    vetoes = await hooks.ask([DUE, other], START)
    assert [v.hook for v in vetoes.values()] == ["hanging", "hanging"]
    assert len(calls) == 1, "no second thread while the first hangs"
    (fault,) = hooks.faults(START)
    assert fault.source == "veto hook hanging"
    release.set()
    assert await VetoHooks(LOG, {"f": forever}).ask([DUE], START)


async def test_hooks_are_called_at_the_same_time() -> None:
    """Each answers only once the other has been asked."""
    asked = {"a": asyncio.Event(), "b": asyncio.Event()}

    def waiting_for(own: str, other: str) -> Any:
        async def hook(_decision: Decision) -> str:
            asked[own].set()
            await asked[other].wait()
            return own

        return hook

    hooks = VetoHooks(LOG, {"a": waiting_for("a", "b"), "b": waiting_for("b", "a")})
    vetoes = await hooks.ask([DUE], START)
    assert vetoes[KERNEL].text == "a", "the first in the order of the hooks"


async def test_slow_hooks_have_one_time_limit_for_all_removals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HOOK_SECONDS", 0.05)
    monkeypatch.setattr(module, "ALL_SECONDS", 0.12)
    calls = []

    async def forever(decision: Decision) -> None:
        calls.append(decision)
        await asyncio.sleep(60)

    due = [Decision(Ref(Kind.KERNEL, str(n)), Action.REMOVE, Reason.IDLE, "I.") for n in range(9)]
    hooks = VetoHooks(LOG, {"slow": forever})
    vetoes = await hooks.ask(due, START)
    assert vetoes.keys() == {decision.ref for decision in due}, "a resource without an answer stays"
    assert 1 <= len(calls) <= 3
    for _ in range(9):
        await hooks.ask(due, START)
    assert {decision.ref for decision in calls} == vetoes.keys(), (
        "the next calls are about the others"
    )


async def test_the_fault_of_a_hook_ends_when_the_hook_works_again() -> None:
    works = False

    def moody(_decision: Decision) -> None:
        if not works:
            raise OSError

    hooks = VetoHooks(LOG, {"moody": moody})
    assert await hooks.ask([DUE], START)
    assert len(hooks.faults(START)) == 1
    works = True
    assert await hooks.ask([DUE], START) == {}
    assert hooks.faults(START) == []


async def test_hooks_are_found_by_their_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = importlib.metadata.EntryPoint
    found = [
        entry("good", "test_veto:only_apps", module.GROUP),
        entry("broken", "no_such_module:hook", module.GROUP),
    ]

    class Points:
        def select(self, group: str) -> list[Any]:
            assert group == "auto_shutdown.veto"
            return found

    monkeypatch.setattr(module, "entry_points", Points)
    hooks = VetoHooks(LOG)
    (veto,) = (await hooks.ask([DUE], START)).values()
    assert (veto.hook, veto.text.startswith("it failed")) == ("broken", True)
    monkeypatch.setattr(module, "entry_points", lambda: {module.GROUP: found[:1]})
    assert await VetoHooks(LOG).ask([DUE], START) == {}, "Python 3.9 gives a dict"


async def test_an_objection_holds_and_then_the_hook_is_called_again(bench: Bench) -> None:
    objects, asked = True, []

    def hook(decision: Decision) -> str | None:
        asked.append(decision.ref)
        return "backup" if objects else None

    bench.controller._objections.hooks = VetoHooks(LOG, {"h": hook})
    bench.world.kernel("k", bench.world.app("a"))
    await bench.live(3 * HOUR)
    assert bench.world.removed == []
    row = bench.resource("k")
    assert (row["reason"], row["detail"]) == ("vetoed", "Kept by h: backup.")
    assert bench.resource("KernelGateway/a")["action"] == "keep"
    assert 50 <= asked.count(KERNEL) <= 70, "once a minute, not at every pass"
    objects = False
    await bench.live(10 * MINUTE)  # the notice of the app begins after that of its kernel
    assert bench.world.removed == ["k", "KernelGateway/a"]


class TestAsking:
    async def test_only_resources_that_are_due_are_asked(self, bench: Bench) -> None:
        app = bench.world.app("a")
        for number in range(1000):
            bench.world.kernel(f"k{number}", app)
        await bench.live(110 * MINUTE)
        assert bench.world.asked == []

    async def test_work_keeps_a_resource_until_one_timeout_after_its_end(
        self, bench: Bench
    ) -> None:
        app = bench.world.app("a")
        bench.world.kernel("k", app)
        bench.world.at_work.add("k")
        await bench.live(10 * HOUR)
        assert bench.resource("k")["reason"] == "background-work"
        assert bench.resource(app.id)["reason"] == "in-use"
        assert len(bench.world.asked) < 10 * 60 / 5 + 10, "every five minutes"
        bench.world.at_work.clear()
        ended = bench.clock.now
        bench.world.before_remove = lambda _r: gone_at.append(bench.clock.now)
        gone_at: list[Any] = []
        await bench.live(4 * HOUR)
        assert bench.world.removed == ["k", app.id]
        assert 2 * HOUR <= gone_at[0] - ended <= 2 * HOUR + 6 * MINUTE

    async def test_work_that_begins_at_the_last_moment_is_found(self, bench: Bench) -> None:
        """The last query before the removal finds a thread that began after the earlier queries."""
        bench.world.kernel("k", bench.world.app("a"))
        await bench.live(2 * HOUR - MINUTE / 2)
        bench.world.at_work.add("k")
        await bench.live(5 * MINUTE)
        assert bench.world.removed == []


async def test_hook_is_asked_about_a_removal_that_becomes_due_after_the_first_question(
    bench: Bench,
) -> None:
    """The user closes a notebook while the hooks are asked about another app. The pass then lists
    the apps again, and the app of that notebook is due as well."""
    asked: list[str] = []

    def protect(decision: Decision) -> str | None:
        asked.append(decision.ref.id)
        return "protected" if decision.ref == prod.ref else None

    defaults = {**bench.limits.defaults, "warn_minutes": 0, "idle_timeout_minutes": 127}
    defaults["kernel_idle_timeout_minutes"] = 240
    bench.limits = replace(bench.limits, defaults=defaults)
    bench.controller = bench.make()
    bench.controller._objections.hooks = VetoHooks(LOG, {"policy": protect})
    due, prod = bench.world.app("due"), bench.world.app("prod")
    bench.world.kernel("k", prod)
    observe = bench.world.observe

    async def close_when_asked(list_apps: bool) -> Snapshot:
        if asked:
            bench.world.kernels.clear()
        return await observe(list_apps)

    bench.world.observe = close_when_asked  # type: ignore[method-assign]
    await bench.live(128 * MINUTE)
    assert bench.world.removed == [due.id]
    assert asked[:2] == [due.id, prod.id]
    assert bench.resource(prod.id)["reason"] == "vetoed"


class TestActivity:
    async def test_presence_of_a_kernel_reaches_its_app(self, bench: Bench) -> None:
        app = bench.world.app("a")
        bench.world.kernel("k", app)
        await bench.live(HOUR)
        await bench.controller.requests.note_activity(KERNEL)
        await bench.live(90 * MINUTE)
        assert bench.resource("k")["reason"] == "presence"
        assert bench.world.removed == []
        await bench.live(HOUR)
        assert bench.world.removed == ["k", app.id]

    async def test_presence_alone_counts_for_a_limited_time(self, bench: Bench) -> None:
        bench.world.kernel("k", bench.world.app("a"))
        for _ in range(20):
            await bench.live(HOUR)
            if bench.world.removed:
                break
            await bench.controller.requests.note_activity(EVERYTHING)
        assert 13 * HOUR < bench.clock.now - START < 16 * HOUR

    async def test_a_heartbeat_of_an_app_covers_what_runs_in_it(self, bench: Bench) -> None:
        app, other = bench.world.app("a"), bench.world.app("b")
        bench.world.kernel("k", app)
        for _ in range(20):
            await bench.live(HOUR)
            await bench.controller.requests.note_activity(app.ref, Signal.HEARTBEAT)
        assert bench.world.removed == [other.id]
        assert bench.resource("k")["signal"] == "heartbeat"

    async def test_activity_of_an_unknown_resource_is_refused(self, bench: Bench) -> None:
        await bench.live(MINUTE)
        with pytest.raises(RefusedError, match="There is no kernel k here"):
            await bench.controller.requests.note_activity(KERNEL)

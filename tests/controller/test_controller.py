"""The cycle over a world of values and a clock that is turned by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.clock import Moment
from auto_shutdown.controller import Controller
from auto_shutdown.core.model import (
    EVERYTHING,
    App,
    Kernel,
    Kind,
    Outcome,
    Ref,
    Resource,
    Result,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.history import History
from auto_shutdown.removal import RefusedError
from auto_shutdown.settings import Limits
from auto_shutdown.store import Store
from auto_shutdown.world.platform import Platform

START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
DENIED = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow sagemaker:DeleteApp on arn:x.")
ADA = Platform("studio-classic", "d-1", "ada", region_name="us-west-2")
BUSY = Outcome(Result.TEMPORARY, "Busy.", "ResourceInUse", "Wait.")


class HandClock:
    """A clock whose hands are moved; ``step`` moves the wall clock alone."""

    def __init__(self) -> None:
        self.now = START
        self.monotonic = 1000.0

    def read(self) -> Moment:
        return Moment(self.now, self.monotonic)

    def advance(self, span: timedelta) -> None:
        self.now += span
        self.monotonic += span.total_seconds()

    def step(self, span: timedelta) -> None:
        self.now += span


@dataclass
class ValueWorld:
    """A world made of values. ``answers`` are what removals come to; ``before_look`` runs before
    each second look, to move something at the last moment."""

    kernels: dict[str, Kernel] = field(default_factory=dict)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    unread: dict[str, Unread] = field(default_factory=dict)
    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    listings: int = 0
    before_look: Callable[[Ref], None] = lambda _ref: None
    before_remove: Callable[[Resource], None] = lambda _resource: None
    platform: Platform = ADA
    has_apps: bool = True
    _listed: tuple[App, ...] = ()

    async def observe(self, list_apps: bool) -> Snapshot:
        if list_apps:
            self.listings += 1
            if Snapshot.APPS not in self.unread:
                self._listed = tuple(self.apps.values())
        kernels, terminals = tuple(self.kernels.values()), tuple(self.terminals.values())
        return Snapshot(kernels, terminals, self._listed, dict(self.unread))

    async def look_again(self, ref: Ref) -> Snapshot:
        self.before_look(ref)
        return (await self.observe(list_apps=False)).bearing_on(ref)

    async def remove(self, resource: Resource) -> Outcome:
        self.before_remove(resource)
        queue = self.answers.get(resource.ref.id, [])
        outcome = queue.pop(0) if queue else Outcome(Result.REMOVED, "Gone.")
        self.removed.append(resource.ref.id)
        if outcome.ended:
            self.kernels.pop(resource.ref.id, None)
            self.terminals.pop(resource.ref.id, None)
            app = self.apps.get(resource.ref.id)
            if app is not None:
                self.apps[app.id] = replace(app, status="Deleting")
        return outcome

    def app(self, name: str) -> App:
        app = App("KernelGateway", name, "InService", "ml.t3.medium", created_at=START)
        self.apps[app.id] = app
        return app

    def kernel(self, kernel_id: str, app: App | None = None, **more: Any) -> Kernel:
        more.setdefault("last_activity", START)
        kernel = Kernel(kernel_id, "python3", more.pop("state", "idle"), **more)
        self.kernels[kernel_id] = replace(kernel, app=app.id if app else None)
        return self.kernels[kernel_id]


@dataclass
class Bench:
    """Controller, world and clock, and a way to live through time."""

    path: Path
    limits: Limits = field(default_factory=Limits)
    world: ValueWorld = field(default_factory=ValueWorld)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.log = logging.getLogger("auto_shutdown.bench")
        self.controller = self.make()

    def make(self) -> Controller:
        store, history = Store(self.path, "k"), History(self.path, "k")
        return Controller(
            self.world,  # type: ignore[arg-type]
            store,
            history,
            self.limits,
            self.clock,  # type: ignore[arg-type]
            self.log,
        )

    async def live(self, span: timedelta) -> None:
        """Run each pass when it is due, as the loop would."""
        end = self.clock.now + span
        while True:
            await self.controller.check()
            delay = timedelta(seconds=self.controller._next_at - self.clock.monotonic)  # type: ignore[operator]
            delay = max(delay, timedelta(milliseconds=1))
            if self.clock.now + delay > end:
                self.clock.advance(end - self.clock.now)
                return
            self.clock.advance(delay)

    def resource(self, ref_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.controller.report()["resources"]
        return next(r for r in found if r["id"] == ref_id)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_kernel_first_then_app_then_the_audit_is_complete(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    audit: list[str] = []
    bench.world.before_remove = lambda r: audit.append(
        (bench.path / "history-k.jsonl").read_text().splitlines()[-1]
    )
    await bench.live(timedelta(minutes=119))
    assert bench.world.removed == []
    await bench.live(2 * MINUTE)
    assert bench.world.removed == ["k", app.id]
    # Each line was begun, and not finished, when its removal was made.
    assert ['"outcome"' in line for line in audit] == [False, False]
    entries = await bench.controller.read_history(9)
    assert [(e["resource"], e["outcome"], e["reason"]) for e in entries] == [
        (app.id, "removed", "idle"),
        ("k", "removed", "idle"),
    ]


async def test_removed_when_due_not_at_the_next_poll(bench: Bench) -> None:
    bench.limits = replace(bench.limits, poll_interval_seconds=3600)
    bench.controller = bench.make()
    bench.world.kernel("k", last_activity=START - 30 * MINUTE)
    when: list[datetime] = []
    bench.world.before_remove = lambda _r: when.append(bench.clock.now)
    await bench.live(timedelta(hours=3))
    (moment,) = when
    assert timedelta(0) <= moment - (START + 90 * MINUTE) < timedelta(seconds=1)


async def test_an_empty_app_goes_a_limit_after_first_sight(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.clock.advance(timedelta(days=3))  # it has been there for days when we first look
    first = bench.clock.now
    bench.controller = bench.make()
    when: list[datetime] = []
    bench.world.before_remove = lambda _r: when.append(bench.clock.now)
    await bench.live(timedelta(hours=3))
    assert bench.world.removed == [app.id]
    assert timedelta(0) <= when[0] - first - timedelta(hours=2) < timedelta(seconds=1)


async def test_used_for_three_hours_then_closed(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy")
    await bench.live(timedelta(hours=3))
    del bench.world.kernels["k"]
    await bench.live(timedelta(minutes=118))
    assert bench.world.removed == []
    await bench.live(4 * MINUTE)
    assert bench.world.removed == [app.id]


async def test_a_busy_kernel_lives_and_holds_its_app_for_ever(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy", last_activity=START - timedelta(days=9))
    await bench.live(timedelta(hours=30))
    assert bench.world.removed == []
    assert bench.resource(app.id)["reason"] == "in-use"


@pytest.mark.parametrize("failure", [DENIED, BUSY], ids=lambda f: f.code)
async def test_one_failure_is_that_ones_and_is_said_once(
    failure: Outcome, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, two = bench.world.app("one"), bench.world.app("two")
    bench.world.answers[one.id] = [failure] * 3
    await bench.live(timedelta(minutes=120, seconds=1))
    assert bench.world.removed == [one.id, two.id]  # in the same pass
    assert bench.resource(one.id)["reason"] == "backing-off"
    health = bench.controller.report()["health"]
    assert health["state"] == ("failing" if failure is DENIED else "degraded")
    assert [(f["code"], f["remedy"]) for f in health["faults"]] == [(failure.code, failure.remedy)]
    await bench.live(timedelta(minutes=30))
    assert bench.world.removed.count(one.id) == 4  # after 1, 2 and 4 minutes, the last one well
    assert bench.controller.report()["health"]["state"] == "ok"
    told = [r.getMessage() for r in caplog.records if failure.code in r.getMessage()]
    assert len(told) == 1
    assert sum("recovered" in r.getMessage() for r in caplog.records) == 1


@pytest.mark.parametrize("source", ["kernels", "sessions", "terminals", "apps"])
async def test_nothing_goes_that_depends_on_an_unread_source(source: str, bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k")
    await bench.controller.check()
    bench.world.unread = {source: Unread(source, "Broken", "It is broken.", "Mend it.")}
    await bench.live(timedelta(hours=5))
    assert app.id not in bench.world.removed
    assert ("k" in bench.world.removed) == (source != "kernels")
    assert bench.controller.report()["health"]["state"] in ("degraded", "failing")
    assert bench.resource(app.id)["reason"] == "unknown"
    bench.world.unread = {}
    await bench.live(timedelta(hours=3))
    assert app.id in bench.world.removed


async def test_what_moved_at_the_last_moment_is_stale(bench: Bench) -> None:
    app = bench.world.app("a")
    kernel = bench.world.kernel("k", app)

    def run_a_cell(_ref: Ref) -> None:
        bench.world.kernels["k"] = replace(kernel, state="busy")

    bench.world.before_look = run_a_cell
    await bench.live(timedelta(minutes=125))
    assert bench.world.removed == []
    outcomes = {o["id"]: o["outcome"] for o in bench.controller.report()["outcomes"]}
    assert outcomes == {"k": "stale", app.id: "stale"}
    assert await bench.controller.read_history(9) == []


async def test_a_kernel_that_arrives_at_the_last_moment_saves_the_app(bench: Bench) -> None:
    app = bench.world.app("a")

    def arrive(_ref: Ref) -> None:
        bench.world.kernel("new", app, last_activity=START)

    bench.world.before_look = arrive
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == []


async def test_what_is_gone_at_the_second_look_is_no_error(bench: Bench) -> None:
    bench.world.kernel("k")
    bench.world.before_look = lambda _ref: bench.world.kernels.clear()
    await bench.live(timedelta(minutes=125))
    assert [o["outcome"] for o in bench.controller.report()["outcomes"]] == ["gone"]


async def test_an_error_nobody_thought_of_stays_with_its_resource(bench: Bench) -> None:
    bench.world.kernel("a")
    bench.world.kernel("b")

    def explode(resource: Resource) -> None:
        if resource.ref.id == "a":
            raise RuntimeError("boom")

    bench.world.before_remove = explode
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == ["b"]
    assert bench.resource("a")["reason"] == "backing-off"


@pytest.mark.parametrize("hours", [1, -1, 24])
async def test_a_step_of_the_clock_removes_nothing_sooner(hours: int, bench: Bench) -> None:
    bench.world.app("a")
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=100))
    bench.clock.step(timedelta(hours=hours))
    await bench.live(timedelta(minutes=19))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=15))
    assert len(bench.world.removed) == 2  # and no later than a limit and a grace


async def test_after_a_long_pause_nothing_goes_in_that_pass(bench: Bench) -> None:
    bench.world.kernel("k")
    await bench.controller.patch_settings({"warn_minutes": 0})  # no notice that would delay it
    await bench.live(timedelta(minutes=90))
    bench.clock.advance(timedelta(hours=9))  # SIGSTOP, or a very busy machine
    await bench.controller.check()
    assert bench.world.removed == []
    assert bench.resource("k")["reason"] == "grace"
    await bench.live(timedelta(minutes=11))
    assert bench.world.removed == ["k"]


async def test_a_sleep_that_the_monotonic_clock_does_not_count(bench: Bench) -> None:
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=60))
    bench.clock.step(timedelta(hours=9))  # a laptop's lid
    await bench.live(timedelta(minutes=55))
    assert bench.world.removed == []


async def test_a_restart_removes_nothing_sooner(bench: Bench) -> None:
    app = bench.world.app("a")
    await bench.controller.load()
    await bench.live(timedelta(minutes=100))
    bench.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
    await bench.controller.stop()
    bench.controller = bench.make()
    await bench.controller.load()
    await bench.live(timedelta(minutes=19))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id]  # nor later: its mark was kept


async def test_a_crash_starts_a_new_clock(bench: Bench) -> None:
    """What happened between the last write and the crash is not known."""
    app = bench.world.app("a")
    await bench.controller.load()
    await bench.live(timedelta(minutes=100))
    bench.controller = bench.make()  # no stop()
    await bench.controller.load()
    await bench.live(timedelta(minutes=119))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == [app.id]


async def test_keep_alives_hold_survive_a_restart_and_end(bench: Bench) -> None:
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.controller.check()
    await bench.controller.keep_alive(Ref(Kind.KERNEL, "k"), 300)
    bench.controller = bench.make()
    await bench.controller.load()
    assert [h["id"] for h in bench.controller.keep_alives()] == ["k"]
    await bench.live(timedelta(minutes=299))
    assert bench.world.removed == []
    await bench.live(timedelta(minutes=2))
    assert bench.world.removed == ["k"]
    with pytest.raises(RefusedError):
        await bench.controller.keep_alive(Ref(Kind.KERNEL, "k"), 5)
    assert await bench.controller.keep_alive(EVERYTHING, None) == []


async def test_dry_run_says_once_and_removes_nothing(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    await bench.controller.patch_settings({"dry_run": True})
    await bench.live(timedelta(hours=6))
    assert bench.world.removed == []
    outcomes = [(o["id"], o["outcome"]) for o in bench.controller.report()["outcomes"]]
    assert outcomes == [("k", "dry-run")] or outcomes == [("k", "dry-run"), (app.id, "dry-run")]
    assert bench.controller.report()["health"]["armed"] is False


async def test_a_check_with_dry_run_only_rehearses(bench: Bench) -> None:
    bench.limits = replace(bench.limits, poll_interval_seconds=3600)
    bench.controller = bench.make()
    bench.world.kernel("k", last_activity=START - timedelta(hours=5))
    bench.clock.advance(timedelta(minutes=11))
    await bench.controller.check(dry_run=True)
    bench.clock.advance(timedelta(minutes=6))
    await bench.controller.check(dry_run=True)
    assert bench.world.removed == []
    assert [o["outcome"] for o in bench.controller.report()["outcomes"]] == ["dry-run"]


class TestListings:
    """SageMaker is asked seldom: a thousand users share one account's rate."""

    async def test_at_most_six_an_hour_when_nothing_is_due(self, bench: Bench) -> None:
        app = bench.world.app("a")
        bench.world.kernel("k", app, state="busy")
        await bench.live(timedelta(hours=10))
        assert bench.world.listings <= 6 * 10

    async def test_once_a_minute_at_most_when_a_panel_is_open(self, bench: Bench) -> None:
        bench.world.kernel("k", bench.world.app("a"), state="busy")
        for _ in range(120):
            bench.controller.panel_asked()
            await bench.live(timedelta(seconds=30))
        assert bench.world.listings <= 61

    async def test_dry_run_does_not_ask_again_and_again(self, bench: Bench) -> None:
        bench.world.app("a")
        await bench.controller.patch_settings({"dry_run": True})
        await bench.live(timedelta(hours=12))
        assert bench.world.listings <= 6 * 12

    async def test_never_without_apps(self, bench: Bench) -> None:
        bench.world.has_apps = False
        await bench.live(timedelta(hours=3))
        assert bench.world.listings == 0

    async def test_removals_act_on_a_list_of_that_moment(self, bench: Bench) -> None:
        """Somebody deleted it in Studio a moment ago: no second delete."""
        app = bench.world.app("a")
        await bench.live(timedelta(minutes=119))
        bench.world.apps[app.id] = replace(app, status="Deleting")
        await bench.live(timedelta(minutes=3))
        assert bench.world.removed == []
        assert bench.resource(app.id)["reason"] == "not-in-service"


async def test_removal_on_request(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy")
    bench.world.apps["JupyterServer/default"] = App("JupyterServer", "default", "InService")
    outcome = await bench.controller.remove(app.ref)
    assert (outcome["outcome"], outcome["reason"]) == ("removed", "requested")
    assert bench.world.removed == ["k", app.id]
    for ref, status in (
        (Ref(Kind.APP, "JupyterServer/default"), 409),
        (Ref(Kind.APP, "KernelGateway/hers"), 404),
        (app.ref, 409),
    ):
        with pytest.raises(RefusedError) as caught:
            await bench.controller.remove(ref)
        assert caught.value.status == status
    assert bench.world.removed == ["k", app.id]


async def test_never_two_passes_at_once(bench: Bench) -> None:
    running, most = 0, 0
    observe = bench.world.observe

    async def slowly(list_apps: bool) -> Snapshot:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await observe(list_apps)

    bench.world.observe = slowly  # type: ignore[method-assign]
    await asyncio.gather(*(bench.controller.check() for _ in range(5)))
    assert most == 1


async def test_a_broken_pass_is_a_fault_and_not_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(list_apps: bool) -> Snapshot:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(bench.world, "observe", broken)
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await bench.controller.check()
        health = bench.controller.report()["health"]
        assert (health["state"], [f["code"] for f in health["faults"]]) == (
            "failing",
            ["RuntimeError"],
        )
    await bench.controller.check()
    assert bench.controller.report()["health"]["state"] == "ok"


async def test_a_state_directory_that_cannot_be_written_is_a_fault_not_an_end(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file")
    await bench.controller.load()
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == ["k"]  # the server's log has it
    sources = {f["source"] for f in bench.controller.report()["health"]["faults"]}
    assert sources >= {"state", "history"}


async def test_the_loop_runs_and_stops(tmp_path: Path) -> None:
    from auto_shutdown.clock import Clock

    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=0.01))
    bench.clock = Clock()  # type: ignore[assignment]
    bench.controller = bench.make()
    await bench.controller.start()
    passes = set()
    for _ in range(400):
        passes.add(bench.controller.report()["health"]["last_pass"])
        if len(passes) > 5:
            break
        await asyncio.sleep(0.01)
    assert len(passes) > 5
    await bench.controller.stop()
    assert not bench.controller.report()["health"]["armed"]
    assert len(asyncio.all_tasks()) == 1
    assert (tmp_path / "marks-k.json").exists()

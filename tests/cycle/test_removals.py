"""What a pass removes, in which order, and what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.model import App, Kind, Ref, Resource, Snapshot, Unread
from auto_shutdown.core.questions import RECHECK
from auto_shutdown.core.verdict import Outcome, Result
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.world.last_word import MayGo, always

DENIED = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow sagemaker:DeleteApp on arn:x.")
BUSY = Outcome(Result.TEMPORARY, "Busy.", "ResourceInUse", "Wait.")


async def test_the_kernel_is_removed_before_its_app_and_both_have_audit_lines(bench: Bench) -> None:
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
    assert bench.world.only_unmoved == [True, True], "only if it is idle still"
    # Each line was begun, and not finished, when its removal was made.
    assert ['"outcome"' in line for line in audit] == [False, False]
    entries = await bench.controller.requests.read_history(9)
    assert [(e["resource"], e["outcome"], e["reason"]) for e in entries] == [
        (app.id, "removed", "idle"),
        ("k", "removed", "idle"),
    ]
    # The report tells the same story, for the panel and the notebook that it was.
    told = bench.controller.report()["outcomes"]
    assert (told[0]["app"], told[0]["rule"]) == (app.id, "idle_timeout_minutes")
    for outcome, entry in zip(told, reversed(entries)):
        story = ("at", "kind", "name", "paths", "app", "rule", "idle_since", "reason")
        assert [outcome[field] for field in story] == [entry[field] for field in story]


async def test_a_kernel_is_removed_when_it_is_due_and_not_at_the_next_poll(bench: Bench) -> None:
    bench.limits = replace(bench.limits, poll_interval_seconds=3600)
    bench.controller = bench.make()
    bench.world.kernel("k", last_activity=START - 30 * MINUTE)
    when: list[datetime] = []
    bench.world.before_remove = lambda _r: when.append(bench.clock.now)
    await bench.live(timedelta(hours=3))
    (moment,) = when
    assert timedelta(0) <= moment - (START + 90 * MINUTE) < timedelta(seconds=1)


async def test_the_savings_of_a_removal_are_counted_and_survive_a_restart(bench: Bench) -> None:
    """Two apps on one instance: it is free when the second is gone, and billed when one is back."""
    first, second = bench.world.app("a"), bench.world.app("b")
    await bench.live(timedelta(minutes=121))
    assert set(bench.world.removed) == {first.id, second.id}
    newest, older = await bench.controller.requests.read_history(9)
    assert (newest["saved"], older["saved"]) == ({"usd_per_hour": 0.05}, None)
    await bench.live(timedelta(hours=3))
    assert bench.controller.report()["savings"]["instance_hours"] == pytest.approx(3, abs=0.1)
    await bench.controller.stop()
    bench.controller = bench.make()
    await bench.controller.load()
    bench.clock.advance(timedelta(hours=1))
    bench.world.app("c")
    await bench.live(timedelta(hours=1))
    savings = bench.controller.report()["savings"]
    assert savings["instance_hours"] == pytest.approx(4, abs=0.3)
    assert savings["usd"] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize(
    ("result", "saved"), [(Result.REMOVED, {"usd_per_hour": 0.05}), (Result.GONE, None)]
)
async def test_an_app_that_somebody_else_deleted_at_the_last_moment_is_not_our_saving(
    result: Result, saved: object, bench: Bench
) -> None:
    app = bench.world.app("a")
    bench.world.answers[app.id] = [Outcome(result, "It is gone.")]
    await bench.live(timedelta(minutes=121))
    (entry,) = await bench.controller.requests.read_history(9)
    assert (entry["outcome"], entry["saved"]) == (result.value, saved)
    await bench.live(timedelta(hours=2))
    savings = bench.controller.report()["savings"]
    assert (savings["instance_hours"] > 0) is (saved is not None)


async def test_an_empty_app_is_removed_one_idle_timeout_after_first_sight(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.clock.advance(timedelta(days=3))  # it has been there for days when we first look
    first = bench.clock.now
    bench.controller = bench.make()
    when: list[datetime] = []
    bench.world.before_remove = lambda _r: when.append(bench.clock.now)
    await bench.live(timedelta(hours=3))
    assert bench.world.removed == [app.id]
    assert timedelta(0) <= when[0] - first - timedelta(hours=2) < timedelta(seconds=1)


async def test_an_app_used_for_three_hours_is_kept_one_idle_timeout_after_its_last_use(
    bench: Bench,
) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy")
    await bench.live(timedelta(hours=3))
    del bench.world.kernels["k"]
    await bench.live(timedelta(minutes=118))
    assert bench.world.removed == []
    await bench.live(4 * MINUTE)
    assert bench.world.removed == [app.id]


async def test_a_busy_kernel_and_its_app_are_never_removed(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="busy", last_activity=START - timedelta(days=9))
    await bench.live(timedelta(hours=30))
    assert bench.world.removed == []
    assert bench.resource(app.id)["reason"] == "in-use"


@pytest.mark.parametrize("failure", [DENIED, BUSY], ids=lambda f: f.code)
async def test_a_failure_affects_one_resource_and_is_reported_once(
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
async def test_a_resource_that_depends_on_an_unread_source_is_kept(
    source: str, bench: Bench
) -> None:
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


@pytest.mark.parametrize("said", ["kept", "present", "switched off"])
async def test_a_request_during_a_removal_counts_for_the_rest_of_the_pass(
    bench: Bench, said: str
) -> None:
    """The first removal takes its time, and meanwhile somebody wants to keep the second."""
    bench.world.kernel("first")
    second = bench.world.kernel("second").ref
    controller, asked = bench.controller, []

    def speak(_resource: Resource) -> None:
        words = {
            "kept": lambda: controller.requests.keep_alive(second, 60),
            "present": lambda: controller.requests.note_activity(second),
            "switched off": lambda: controller.requests.patch_settings({"enabled": False}),
        }
        asked.append(asyncio.ensure_future(words[said]()))

    async def slowly(resource: Resource, only_unmoved: bool, may_go: MayGo = always) -> Outcome:
        """Return only after the request has arrived."""
        outcome = await remove(resource, only_unmoved, may_go)
        if said == "switched off":  # its file is written in a thread
            await asked[0]
        for _ in range(10):  # the other two wait for the pass, so only their start is waited for
            await asyncio.sleep(0)
        return outcome

    remove, bench.world.remove = bench.world.remove, slowly  # type: ignore[method-assign]
    bench.world.before_remove = speak
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


async def test_an_unexpected_error_affects_one_resource_only(bench: Bench) -> None:
    bench.world.kernel("a")
    bench.world.kernel("b")

    def explode(resource: Resource) -> None:
        if resource.ref.id == "a":
            raise RuntimeError("boom")

    bench.world.before_remove = explode
    await bench.live(timedelta(minutes=121))
    assert bench.world.removed == ["b"]
    assert bench.resource("a")["reason"] == "backing-off"


async def test_dry_run_reports_each_removal_once_and_removes_nothing(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    await bench.controller.requests.patch_settings({"dry_run": True})
    await bench.live(timedelta(hours=6))
    assert bench.world.removed == []
    outcomes = [(o["id"], o["outcome"]) for o in bench.controller.report()["outcomes"]]
    assert outcomes == [("k", "dry-run"), (app.id, "dry-run")]
    assert bench.controller.report()["health"]["armed"] is False


async def test_dry_run_asks_seldom_about_a_rehearsed_removal(bench: Bench) -> None:
    bench.world.kernel("k", bench.world.app("a"))
    await bench.controller.requests.patch_settings({"dry_run": True})
    await bench.live(timedelta(hours=3))
    assert bench.resource("k")["action"] == "remove"
    passes, asked = bench.world.full_looks, len(bench.world.asked)
    await bench.live(timedelta(hours=1))
    assert bench.resource("k")["action"] == "remove"
    assert 0 < len(bench.world.asked) - asked <= timedelta(hours=1) / RECHECK + 1
    assert bench.world.full_looks - passes <= 3600 / bench.limits.poll_interval_seconds + 1
    # Without dry_run the answer is too old for a removal.
    await bench.live(RECHECK / 2)
    await bench.controller.requests.patch_settings({"dry_run": False})
    bench.world.at_work.add("k")
    await bench.live(timedelta(minutes=1))
    assert (bench.world.removed, bench.resource("k")["reason"]) == ([], "background-work")


async def test_work_that_begins_after_its_rehearsal_is_found(bench: Bench) -> None:
    """SageMaker's own idle shutdown is told of it, and would stop the work otherwise."""
    bench.world.kernel("k", bench.world.app("a"))
    await bench.controller.requests.patch_settings({"dry_run": True})
    await bench.live(timedelta(hours=3))
    assert bench.resource("k")["action"] == "remove"
    bench.world.at_work.add("k")
    await bench.live(2 * RECHECK)
    assert bench.resource("k")["reason"] == "background-work"


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
    assert bench.world.only_unmoved == [False, False], "it is to go however it is"
    await bench.controller.check()
    assert bench.resource(app.id)["state"] == "Deleting", "not as it was listed before"
    for ref, status in (
        (Ref(Kind.APP, "JupyterServer/default"), 409),
        (Ref(Kind.APP, "KernelGateway/hers"), 404),
        (app.ref, 409),
    ):
        with pytest.raises(RefusedError) as caught:
            await bench.controller.requests.remove(ref)
        assert caught.value.status == status
    assert bench.world.removed == ["k", app.id]


async def test_a_dead_kernel_with_a_longer_limit_is_shut_down_with_its_app(bench: Bench) -> None:
    """Its own limit is not over: the second look has to take in the app, which ends it."""
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="dead", own_limit=timedelta(hours=9))
    await bench.live(timedelta(hours=3))
    assert bench.world.removed == ["k", app.id]
    stale = [o for o in bench.controller.report()["outcomes"] if o["outcome"] == "stale"]
    assert stale == []

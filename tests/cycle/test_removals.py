"""The removals of a pass: which resources it removes, and in which order."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.model import Resource, Unread
from auto_shutdown.core.outcome import Outcome, Result

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
    assert bench.world.only_unmoved == [True, True], "the world removes it only if it is still idle"
    # Each line was begun, and not finished, when its removal was made.
    assert ['"outcome"' in line for line in audit] == [False, False]
    entries = await bench.controller.requests.read_history(9)
    assert [(e["resource"], e["outcome"], e["reason"]) for e in entries] == [
        (app.id, "removed", "idle"),
        ("k", "removed", "idle"),
    ]
    # The panel and the notebook of the kernel show the same fields from the report.
    outcomes = bench.controller.report()["outcomes"]
    assert (outcomes[0]["app"], outcomes[0]["rule"]) == (app.id, "idle_timeout_minutes")
    for outcome, entry in zip(outcomes, reversed(entries)):
        fields = ("at", "kind", "name", "paths", "app", "rule", "idle_since", "reason")
        assert [outcome[field] for field in fields] == [entry[field] for field in fields]


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
    """Two apps share one instance. It is billed until both are deleted, and again when one of them
    is created."""
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
    outcomes = [r.getMessage() for r in caplog.records if failure.code in r.getMessage()]
    assert len(outcomes) == 1
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


async def test_a_dead_kernel_with_a_longer_limit_is_shut_down_with_its_app(bench: Bench) -> None:
    """The kernel's own limit has not ended. It is removed because its app is removed, so the second
    look must include the app."""
    app = bench.world.app("a")
    bench.world.kernel("k", app, state="dead", own_limit=timedelta(hours=9))
    await bench.live(timedelta(hours=3))
    assert bench.world.removed == ["k", app.id]
    stale = [o for o in bench.controller.report()["outcomes"] if o["outcome"] == "stale"]
    assert stale == []

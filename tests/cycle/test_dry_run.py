"""``dry_run`` rehearses each removal once, and removes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from value_world import START, Bench

from auto_shutdown.core.questions import RECHECK


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
    """The extension must report this work to SageMaker's own idle shutdown, which would stop it
    otherwise."""
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


async def test_rehearsals_of_ended_kernels_are_forgotten(bench: Bench) -> None:
    await bench.controller.requests.patch_settings({"dry_run": True})
    for number in range(20):
        bench.world.kernel(f"k{number}")
        await bench.live(timedelta(minutes=135))
        bench.world.kernels.clear()
    await bench.live(timedelta(minutes=2))
    assert len(bench.controller.report()["outcomes"]) == 20, "each was rehearsed"
    assert bench.controller.situation.ledger.rehearsed == {}

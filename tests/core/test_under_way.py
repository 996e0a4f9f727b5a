"""The decisions on resources whose removal is in progress."""

from __future__ import annotations

from planner_tables import IDLE_SCENE
from scene import NOW

from auto_shutdown.core.decision import Action, Reason
from auto_shutdown.core.under_way import with_removals_under_way


def test_only_decisions_about_removals_under_way_change() -> None:
    plan, ref = IDLE_SCENE.plan(), IDLE_SCENE.kernel.ref
    changed = with_removals_under_way(plan, {ref: NOW})
    before, after = plan.of(ref), changed.of(ref)
    assert before is not None
    assert after is not None
    assert (before.action, after.action) == (Action.REMOVE, Action.KEEP)
    assert (after.reason, after.detail) == (
        Reason.SHUTTING_DOWN,
        "Shutting down since 00:59:30 UTC.",
    )
    assert (after.warn_at, after.due_at) == (before.warn_at, before.due_at), "the notice stands"
    assert [d for d in changed.decisions if d.ref != ref] == [
        d for d in plan.decisions if d.ref != ref
    ]
    assert with_removals_under_way(plan, {}) is plan

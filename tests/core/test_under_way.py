"""The decisions and the queries about resources whose removal is in progress."""

from __future__ import annotations

from datetime import timedelta

import pytest
from planner_tables import IDLE_SCENE
from scene import NOW

from auto_shutdown.core.decision import Action, Reason
from auto_shutdown.core.model import App, Kernel, Ref, Snapshot, Terminal
from auto_shutdown.core.under_way import LATE, with_postponed_queries, with_removals_under_way

WINDOW = timedelta(minutes=5)
A, B = (App("KernelGateway", name, "InService") for name in ("a", "b"))
FIRST, SECOND, OTHER = Kernel("k1", app=A.id), Kernel("k2", app=A.id), Kernel("k3", app=B.id)
SOMEWHERE = Kernel("k4", may_be_in=(A.id, B.id))
TERMINAL = Terminal("1", app=A.id)
ALL = Snapshot((FIRST, SECOND, OTHER, SOMEWHERE), (TERMINAL,), (A, B))


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


@pytest.mark.parametrize(
    ("removed", "not_queried"),
    [
        (FIRST.ref, {FIRST.ref, A.ref}),
        (TERMINAL.ref, {TERMINAL.ref, A.ref}),
        (SOMEWHERE.ref, {SOMEWHERE.ref, A.ref, B.ref}),
        (B.ref, {B.ref, OTHER.ref, SOMEWHERE.ref}),
    ],
    ids=["kernel", "terminal", "kernel of an unknown app", "app"],
)
@pytest.mark.parametrize("seconds", [-1, 0, 59, 60])
def test_what_is_being_removed_is_queried_only_if_the_removal_is_late(
    removed: Ref, not_queried: set[Ref], seconds: int
) -> None:
    began_at = NOW - timedelta(seconds=seconds)
    planned = {resource.ref: (NOW, WINDOW) for resource in ALL.resources}
    schedule = with_postponed_queries(planned, ALL, {removed: began_at}, NOW)
    later = {ref: at for ref, (at, _) in schedule.items() if at != NOW}
    # The wall clock may have been stepped back, so that the removal seems to begin later.
    under_way = not_queried if 0 <= seconds < 60 else set()
    assert later == dict.fromkeys(under_way, began_at + LATE)
    assert {window for _, window in schedule.values()} == {WINDOW}


def test_a_query_that_is_due_after_a_late_removal_keeps_its_time() -> None:
    planned = {FIRST.ref: (NOW + 2 * LATE, WINDOW)}
    assert with_postponed_queries(planned, ALL, {FIRST.ref: NOW}, NOW) == planned
    assert with_postponed_queries({}, ALL, {FIRST.ref: NOW}, NOW) == {}

"""The setting ``only_when_it_saves``: which resources it keeps, until when, and at which cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import APP, KERNEL, LIMIT, NOW, OWN, Scene, ago, mark, with_policy

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.decision import Decision, Plan, Reason
from auto_shutdown.core.ledger import Ledger, give_notice
from auto_shutdown.core.model import Answer, App, Kernel, Ref, Snapshot
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy, Rule
from auto_shutdown.core.questions import questions

ON = Policy(warn=timedelta(0), only_when_it_saves=True)
OTHER = replace(APP, name="other", image=None)
WORKING = replace(KERNEL, id="k2", state="busy", app=OTHER.id, paths=("long.ipynb",))


def planned(
    policy: Policy,
    *,
    apps: tuple[App, ...] = (APP, OTHER),
    kernels: tuple[Kernel, ...] = (KERNEL, WORKING),
    used: dict[Ref, datetime] | None = None,
) -> Plan:
    """The plan for resources that were all last used three hours ago, unless ``used`` gives another
    time."""
    marks = {}
    for resource in (*apps, *kernels):
        since = (used or {}).get(resource.ref, ago(hours=3))
        state = resource.status if isinstance(resource, App) else resource.state
        stamps = {} if isinstance(resource, App) else {"last-activity": since}
        incarnation = APP.created_at.isoformat() if isinstance(resource, App) else ""
        app = None if isinstance(resource, App) else resource.app
        marks[resource.ref] = mark(since, state, app, stamps=stamps, incarnation=incarnation)
    kernels = tuple(
        replace(kernel, last_activity=(used or {}).get(kernel.ref, ago(hours=3)))
        for kernel in kernels
    )
    snapshot = Snapshot(kernels, (), apps)
    ledger = advance(Ledger(quiet_until=ago(hours=3), marks=marks), snapshot, NOW)
    return decide(snapshot, ledger, policy, NOW)


def of(plan: Plan, ref: Ref) -> Decision:
    decision = plan.of(ref)
    assert decision is not None
    return decision


def test_an_idle_app_beside_a_busy_one_on_the_same_instance_is_kept_with_its_kernels() -> None:
    assert {d.ref for d in planned(Policy(warn=timedelta(0))).removals} == {APP.ref, KERNEL.ref}
    plan = planned(ON)
    assert not plan.removals
    app, kernel = of(plan, APP.ref), of(plan, KERNEL.ref)
    assert (app.reason, kernel.reason) == (Reason.SAVES_NOTHING, Reason.SAVES_NOTHING)
    assert app.detail == (
        "Idle 3 h. Kept because stopping it would save nothing: "
        "other keeps the same ml.g5.xlarge billed."
    )
    assert kernel.detail.startswith(
        "Idle 3 h. Kept because stopping it would save nothing: its app pytorch-1-8"
    )
    assert app.due_at is None, "nobody knows when the busy kernel ends"


RESTING = replace(WORKING, state="idle")


def test_kept_app_has_the_due_time_of_the_app_that_it_waits_for() -> None:
    used = {RESTING.ref: ago(hours=1), OTHER.ref: ago(hours=1)}
    plan = planned(ON, kernels=(KERNEL, RESTING), used=used)
    assert of(plan, OTHER.ref).due_at == NOW + timedelta(hours=1)
    for ref in (APP.ref, KERNEL.ref):
        assert of(plan, ref).due_at == NOW + timedelta(hours=1)
        assert of(plan, ref).warn_at == of(plan, OTHER.ref).warn_at


def test_the_app_that_is_due_last_keeps_its_own_times() -> None:
    used = {KERNEL.ref: ago(minutes=110), APP.ref: ago(minutes=110)}
    used.update({RESTING.ref: ago(hours=1), OTHER.ref: ago(hours=1)})
    plan = planned(ON, kernels=(KERNEL, RESTING), used=used)
    assert of(plan, OTHER.ref).due_at == NOW + timedelta(hours=1)
    assert of(plan, APP.ref).due_at == NOW + timedelta(hours=1)
    assert of(plan, APP.ref).reason is Reason.RECENT_ACTIVITY


def test_idle_apps_of_an_instance_are_removed_together() -> None:
    plan = planned(ON, kernels=(KERNEL, RESTING))
    assert {d.ref for d in plan.removals} == {APP.ref, OTHER.ref, KERNEL.ref, RESTING.ref}


ELSEWHERE = {
    "another instance type": replace(OTHER, instance_type="ml.t3.medium"),
    "a free app": replace(OTHER, type="JupyterServer"),
    "an app that is ending": replace(OTHER, status="Deleting"),
    "an app that never came up": replace(OTHER, status="Failed"),
}


@pytest.mark.parametrize("other", ELSEWHERE.values(), ids=ELSEWHERE)
def test_app_that_is_not_billed_does_not_keep_others_on_its_instance(other: App) -> None:
    plan = planned(ON, apps=(APP, other), kernels=(KERNEL,))
    assert of(plan, APP.ref).removes


def test_an_app_about_to_start_keeps_the_instance() -> None:
    pending = replace(OTHER, status="Pending")
    assert not planned(ON, apps=(APP, pending), kernels=(KERNEL,)).removals


def test_app_of_unknown_instance_type_does_not_keep_others() -> None:
    apps = (replace(APP, instance_type=None), replace(OTHER, instance_type=None))
    assert of(planned(ON, apps=apps), APP.ref).removes


def test_idle_kernel_is_kept_until_its_app_is_removed() -> None:
    beside = replace(WORKING, app=APP.id)
    plan = planned(ON, apps=(APP,), kernels=(KERNEL, beside))
    assert of(plan, KERNEL.ref).reason is Reason.SAVES_NOTHING
    assert "long.ipynb is kept (busy)" in of(plan, KERNEL.ref).detail
    assert of(planned(replace(ON, only_when_it_saves=False), apps=(APP,)), KERNEL.ref).removes


def test_idle_kernel_of_a_space_is_kept_until_the_space_app_is_removed() -> None:
    own = replace(OWN, created_at=APP.created_at, instance_type="ml.m5.large")
    here, busy = replace(KERNEL, app=own.id), replace(WORKING, app=own.id)
    plan = planned(ON, apps=(own,), kernels=(here, busy))
    assert of(plan, here.ref).reason is Reason.SAVES_NOTHING


def test_idle_kernels_of_a_plain_host_are_removed() -> None:
    plain, busy = replace(KERNEL, app=None), replace(WORKING, app=None)
    assert of(planned(ON, apps=(), kernels=(plain, busy)), plain.ref).removes


def test_rule_decides_only_when_it_saves_for_its_instance_type() -> None:
    spare = Rule(instance_type="ml.g5.*", only_when_it_saves=False)
    plan = planned(replace(ON, rules=(spare,)))
    assert {d.ref for d in plan.removals} == {APP.ref, KERNEL.ref}
    only = Rule(instance_type="ml.g5.*", only_when_it_saves=True)
    short = Rule(timedelta(minutes=10), instance_type="*")
    policy = Policy(warn=timedelta(0), rules=(only, short))
    assert of(planned(policy), APP.ref).reason is Reason.SAVES_NOTHING
    assert policy.limit_of(APP) == (timedelta(minutes=10), "rules[1]")


def test_only_when_it_saves_changes_no_other_reason() -> None:
    scene = with_policy(Scene(), only_when_it_saves=True, enabled=False)
    assert {d.reason for d in scene.plan().decisions} == {Reason.DISABLED}


# -- what it costs ---------------------------------------------------------------------------

TYPES = ("ml.g5.xlarge", "ml.t3.medium")
MINUTE = timedelta(minutes=1)


def lives() -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """For each app: its instance type, the minute at which its kernel ends its cell, and the minute
    at which a user deletes it (0: never)."""
    life = st.tuples(st.integers(0, 1), st.integers(0, 240), st.sampled_from([0, 0, 100, 200, 300]))
    return st.lists(life, min_size=1, max_size=4)


def billed_until(given: list[tuple[int, int, int]], policy: Policy) -> dict[str, datetime]:
    """Run passes until no app is left. Returns the minute at which AWS stops billing each instance
    type."""
    ledger = Ledger(quiet_until=NOW)
    apps = {
        i: replace(APP, name=f"a{i}", instance_type=TYPES[t]) for i, (t, _, _) in enumerate(given)
    }
    ended: dict[str, datetime] = {}
    now = NOW
    while apps and now < NOW + timedelta(hours=12):
        for i, (_, _, by_hand) in enumerate(given):
            if by_hand and i in apps and now >= NOW + by_hand * MINUTE:
                ended[apps.pop(i).instance_type or ""] = now
        kernels = tuple(
            replace(
                KERNEL,
                id=f"k{i}",
                app=app.id,
                instance_type=app.instance_type,
                state="busy" if now < NOW + given[i][1] * MINUTE else "idle",
                last_activity=min(now, NOW + given[i][1] * MINUTE),
            )
            for i, app in apps.items()
        )
        snapshot = Snapshot(kernels, (), tuple(apps.values()))
        ledger = advance(ledger, snapshot, now)
        plan = decide(snapshot, ledger, policy, now)
        asked = questions(snapshot, plan, ledger, policy, now)
        if asked:
            answers = tuple(Answer(ref, conclusive=True) for ref in asked)
            ledger = record_answers(ledger, answers, now)
            plan = decide(snapshot, ledger, policy, now)
        ledger = give_notice(ledger, plan.decisions, now)
        for i, app in list(apps.items()):
            if of(plan, app.ref).removes:
                ended[apps.pop(i).instance_type or ""] = now
        now += MINUTE
    assert not apps, "everything goes in the end"
    return ended


@settings(max_examples=25, deadline=None)
@given(lives())
def test_no_instance_stays_billed_longer_than_without_the_setting(
    given: list[tuple[int, int, int]],
) -> None:
    """If a user deletes the other app, the extension still announces the removal of the rest. The
    notice and the query for background work come on top."""
    policy = Policy(idle_timeout=LIMIT)
    without = billed_until(given, policy)
    with_it = billed_until(given, replace(policy, only_when_it_saves=True))
    by_hand = any(deleted for _, _, deleted in given)
    most = policy.warn + 2 * MINUTE if by_hand else timedelta(0)
    assert with_it.keys() == without.keys()
    for instance_type, at in with_it.items():
        assert at - without[instance_type] <= most

"""Kernels and terminals that may run in one of several apps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from planner_tables import HOUR, busy
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, POLICY, Scene, ago, with_ledger

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.decision import Decision, Plan, Reason
from auto_shutdown.core.ledger import Hold, Ledger
from auto_shutdown.core.model import Answer, Snapshot
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy, Rule
from auto_shutdown.core.questions import questions

OTHER = replace(APP, name="other")
UNPLACED = replace(
    KERNEL, app=None, instance_type=None, may_be_in=(APP.id, OTHER.id), last_activity=ago(hours=3)
)
TERMINAL = replace(IMAGE_TERMINAL, app=None, may_be_in=(APP.id, OTHER.id))


def decided(
    snapshot: Snapshot, policy: Policy = POLICY, ledger: Ledger | None = None
) -> tuple[Plan, Ledger]:
    ledger = advance(ledger or Scene().ledger, snapshot, NOW)
    return decide(snapshot, ledger, policy, NOW), ledger


def of(plan: Plan, ref: object) -> Decision:
    return next(decision for decision in plan.decisions if decision.ref == ref)


def test_unplaced_kernel_at_work_holds_each_app_that_it_may_run_in() -> None:
    working, third = replace(UNPLACED, state="busy"), replace(APP, name="third")
    plan, _ = decided(Snapshot((working,), (), (APP, OTHER, third)))
    assert [of(plan, app.ref).reason for app in (APP, OTHER)] == [Reason.IN_USE] * 2
    assert of(plan, third.ref).reason is not Reason.IN_USE


def test_unplaced_kernel_is_looked_at_again_with_each_of_its_apps() -> None:
    snapshot = Snapshot((UNPLACED,), (TERMINAL,), (APP, OTHER))
    bearing = snapshot.bearing_on(OTHER.ref)
    assert (bearing.kernels, bearing.terminals) == ((UNPLACED,), (TERMINAL,))


def test_keep_alive_on_an_app_holds_a_kernel_that_may_run_in_it() -> None:
    snapshot = Snapshot((UNPLACED,), (), (APP, OTHER))
    ledger = replace(Scene().ledger, holds={OTHER.ref: Hold(NOW + timedelta(hours=1))})
    plan, _ = decided(snapshot, ledger=ledger)
    assert of(plan, UNPLACED.ref).reason is Reason.KEPT_ALIVE


def test_keep_alive_on_one_app_holds_the_other_app_that_a_kernel_may_run_in() -> None:
    """The keep-alive also keeps the kernel, because it may run in that app. So the extension does
    not query the kernel. The second app must not be deleted, because the kernel may run there. A
    server remembers the app of each kernel, also after a reboot, so this case is rare."""
    snapshot = Snapshot((UNPLACED,), (), (APP, OTHER))
    until = NOW + timedelta(hours=10)
    ledger = replace(Scene().ledger, holds={APP.ref: Hold(until)})
    for kernel, is_held in ((UNPLACED, True), (replace(UNPLACED, app=APP.id, may_be_in=()), False)):
        plan, _ = decided(replace(snapshot, kernels=(kernel,)), ledger=ledger)
        due_at = of(plan, OTHER.ref).due_at
        assert due_at is not None
        assert (due_at >= until) is is_held


GPU = Rule(instance_type="ml.g5.*", idle_timeout=timedelta(hours=10))
CHEAP = Rule(instance_type="ml.t3.*", idle_timeout=timedelta(minutes=30))
ANY_PYTHON = Rule(kernel_name="python3", idle_timeout=timedelta(minutes=20))
PYTHON_ON_GPU = replace(GPU, kernel_name="python3")
R_ON_GPU = replace(GPU, kernel_name="ir")
SAVES = Rule(kernel_name="python3", only_when_it_saves=True)
DEFAULT = (POLICY.idle_timeout, "idle_timeout_minutes")


@pytest.mark.parametrize(
    ("rules", "limit"),
    [
        ((CHEAP, GPU), (timedelta(hours=10), "rules[1]")),
        ((CHEAP,), DEFAULT),
        ((GPU, ANY_PYTHON), (timedelta(hours=10), "rules[0]")),
        ((CHEAP, ANY_PYTHON), (timedelta(minutes=30), "rules[0]")),
        ((ANY_PYTHON, GPU), (timedelta(minutes=20), "rules[0]")),
        ((SAVES, PYTHON_ON_GPU, ANY_PYTHON), (timedelta(hours=10), "rules[1]")),
        ((R_ON_GPU,), DEFAULT),
        ((), DEFAULT),
    ],
    ids=[
        "the longest of the types",
        "another type has the default",
        "a later rule for its name",
        "a later rule that is shorter",
        "an earlier rule for its name",
        "a rule for type and name",
        "a rule for another name",
        "no rule",
    ],
)
def test_kernel_of_unknown_instance_type_has_the_longest_limit_that_may_apply(
    rules: tuple[Rule, ...], limit: tuple[timedelta, str]
) -> None:
    policy = replace(POLICY, rules=rules)
    assert policy.limit_of(UNPLACED) == limit
    assert policy.limit_of(replace(UNPLACED, app=APP.id, may_be_in=())) == limit, "just recalled"
    nowhere = replace(UNPLACED, may_be_in=(), is_place_unknown=True)
    assert policy.limit_of(nowhere) == limit, "SageMaker has listed no app"
    for instance_type in ("ml.g5.xlarge", "ml.t3.medium", "ml.m5.large"):
        placed = replace(UNPLACED, app=APP.id, may_be_in=(), instance_type=instance_type)
        assert policy.limit_of(placed)[0] <= limit[0]


def test_kernel_of_this_host_has_no_instance_type_for_a_rule_to_match() -> None:
    policy = replace(POLICY, rules=(GPU,))
    assert policy.limit_of(replace(UNPLACED, may_be_in=())) == DEFAULT


def test_image_terminal_that_fits_two_apps_has_both_asked_for_background_work() -> None:
    snapshot = Snapshot((), (TERMINAL,), (APP, OTHER))
    plan, ledger = decided(snapshot)
    later = NOW + timedelta(hours=5)
    ledger = advance(ledger, snapshot, later)
    plan = decide(snapshot, ledger, POLICY, later)
    assert {APP.ref, OTHER.ref} <= set(questions(snapshot, plan, ledger, POLICY, later))
    assert not any(of(plan, app.ref).removes for app in (APP, OTHER)), "not before the answer"


def test_image_terminal_is_not_removed_with_one_of_two_apps() -> None:
    snapshot = Snapshot((), (TERMINAL,), (APP, OTHER))
    working = replace(KERNEL, app=OTHER.id, state="busy")
    snapshot = replace(snapshot, kernels=(working,))
    _, ledger = decided(snapshot)
    later = NOW + timedelta(hours=5)
    ledger = advance(ledger, snapshot, later)
    ledger = record_answers(ledger, [Answer(APP.ref, conclusive=True)], later)
    plan = decide(snapshot, ledger, POLICY, later)
    assert of(plan, APP.ref).removes
    assert not of(plan, TERMINAL.ref).removes


def test_use_of_an_image_terminal_counts_for_each_app_that_it_fits() -> None:
    snapshot = Snapshot((), (TERMINAL,), (APP, OTHER))
    _, ledger = decided(snapshot)
    later = NOW + timedelta(hours=1)
    used = replace(TERMINAL, last_activity=later)
    ledger = advance(ledger, replace(snapshot, terminals=(used,)), later)
    assert [ledger.marks[app.ref].active_at for app in (APP, OTHER)] == [later] * 2


def test_use_of_an_unplaced_kernel_counts_for_each_app_that_it_may_run_in() -> None:
    snapshot = Snapshot((UNPLACED,), (), (APP, OTHER))
    _, ledger = decided(snapshot)
    later = NOW + timedelta(hours=8)
    used = replace(UNPLACED, state="busy", last_activity=later)
    ledger = advance(ledger, replace(snapshot, kernels=(used,)), later)
    ledger = advance(ledger, replace(snapshot, kernels=()), later + timedelta(minutes=1))
    assert all(ledger.marks[app.ref].active_at >= later for app in (APP, OTHER))


def test_starting_kernel_without_a_process_is_no_arrival_in_each_app() -> None:
    snapshot = Snapshot((), (), (APP,))
    _, ledger = decided(snapshot)
    starting = replace(UNPLACED, id="new", state="starting")
    later = NOW + timedelta(hours=1)
    after = advance(ledger, replace(snapshot, kernels=(starting,)), later)
    assert after.marks[APP.ref].active_at == ledger.marks[APP.ref].active_at


def test_keep_alive_on_an_app_holds_a_stuck_kernel_that_may_run_in_it() -> None:
    scene = busy(4 * HOUR, max_busy=3 * HOUR)
    kernel = replace(scene.kernel, app=None, instance_type=None, may_be_in=(APP.id,))
    scene = replace(scene, kernel=kernel)
    assert scene.of(kernel.ref).removes
    held = with_ledger(scene, holds={APP.ref: Hold(NOW + HOUR)})
    assert not held.of(kernel.ref).removes


def test_unplaced_kernel_waits_for_the_first_of_its_apps_that_save_nothing() -> None:
    working = replace(KERNEL, id="busy", app=OTHER.id, state="busy")
    policy = replace(POLICY, only_when_it_saves=True)
    plan, _ = decided(Snapshot((UNPLACED, working), (), (APP, OTHER)), policy)
    assert of(plan, APP.ref).reason is Reason.SAVES_NOTHING
    assert of(plan, UNPLACED.ref).reason is Reason.SAVES_NOTHING
    cheap = replace(APP, name="cheap", instance_type="ml.t3.medium")
    kernel = replace(UNPLACED, may_be_in=(OTHER.id, cheap.id))
    plan, _ = decided(Snapshot((kernel, working), (), (OTHER, cheap)), policy)
    due_at = of(plan, cheap.ref).due_at
    assert due_at is not None, "the other app has no due time, and nobody would ask the kernel"
    assert of(plan, kernel.ref).due_at == due_at


def test_keep_alive_on_another_app_does_not_make_a_dead_kernel_hold_this_one() -> None:
    dead = replace(UNPLACED, state="dead")
    snapshot = Snapshot((dead,), (), (APP, OTHER))
    _, ledger = decided(snapshot)
    later = NOW + timedelta(hours=5)
    ledger = advance(ledger, snapshot, later)
    ledger = replace(ledger, holds={OTHER.ref: Hold(later + HOUR)})
    plan = decide(snapshot, ledger, POLICY, later)
    assert of(plan, OTHER.ref).reason is Reason.KEPT_ALIVE
    assert of(plan, APP.ref).removes


def test_witness_is_a_kernel_that_is_known_to_run_in_the_app() -> None:
    """The extension queries no kernel about an app in which the kernel may not run."""
    placed = replace(KERNEL, id="z")
    snapshot = Snapshot((UNPLACED, placed), (), (APP,))
    _, ledger = decided(snapshot)
    answers = [Answer(kernel.ref, conclusive=True) for kernel in (UNPLACED, placed)]
    works = Answer(APP.ref, conclusive=True, working=True, detail="its host works")
    ledger = record_answers(ledger, [*answers, works], NOW)
    plan = decide(snapshot, ledger, POLICY, NOW)
    assert not of(plan, placed.ref).removes


def test_idle_unplaced_kernel_holds_no_app_for_longer_than_one_limit_after_its_last_use() -> None:
    """Another observation of the kernel does not extend the time of its apps."""
    snapshot, ledger = Snapshot((), (), (APP, OTHER)), Scene().ledger
    ledger = advance(ledger, snapshot, NOW)
    used = replace(UNPLACED, last_activity=NOW + HOUR)
    snapshot = replace(snapshot, kernels=(used,))
    removed_at = {}
    for minutes in range(60, 600, 5):
        now = NOW + timedelta(minutes=minutes)
        ledger = advance(ledger, snapshot, now)
        ledger = record_answers(ledger, [Answer(used.ref, conclusive=True)], now)
        plan = decide(snapshot, ledger, POLICY, now)
        for app in (APP, OTHER):
            if of(plan, app.ref).removes:
                removed_at.setdefault(app.id, now)
    limit = POLICY.idle_timeout
    assert removed_at == {app.id: NOW + HOUR + limit for app in (APP, OTHER)}

"""The planner decides each row of its tables as the row requires."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from app_tables import APP_ROWS, APP_STILL_REMOVED, NOT_COVERED, STUCK, with_stuck_kernel
from planner_tables import (
    HOUR,
    IDLE_SCENE,
    KERNEL_ROWS,
    KERNEL_STILL_REMOVED,
    REMOVED_KERNEL_ROWS,
    UNANSWERED,
    UNREAD,
    VETO,
    WORKING,
    busy,
    refused,
)
from scene import (
    APP,
    IMAGE,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    TERMINAL,
    other,
    with_ledger,
    with_mark,
    with_policy,
)
from terminal_tables import REMOVED_TERMINAL_ROWS, TERMINAL_ROWS

from auto_shutdown.core.decision import REMOVING, Action, Decision, Reason
from auto_shutdown.core.ledger import Hold
from auto_shutdown.core.marks import Work
from auto_shutdown.core.policy import Policy, Rule


def test_planner_removes_idle_kernels_first_and_their_app_last() -> None:
    plan = IDLE_SCENE.plan()
    assert [(d.ref, d.reason) for d in plan.removals] == [
        (KERNEL.ref, Reason.IDLE),
        (TERMINAL.ref, Reason.IDLE),
        (IMAGE_TERMINAL.ref, Reason.APP_REMOVED),
        (APP.ref, Reason.IDLE),
    ]


@pytest.mark.parametrize("name", KERNEL_ROWS)
def test_one_change_keeps_the_kernel_for_its_reason(name: str) -> None:
    scene, reason = KERNEL_ROWS[name]
    decision = scene.of(KERNEL.ref)
    assert (decision.action, decision.reason) == (Action.KEEP, reason)
    assert decision.detail.endswith(".")


@pytest.mark.parametrize("name", KERNEL_STILL_REMOVED)
def test_one_change_does_not_keep_an_idle_kernel(name: str) -> None:
    assert KERNEL_STILL_REMOVED[name].of(KERNEL.ref).reason is Reason.IDLE


@pytest.mark.parametrize("name", APP_ROWS)
def test_one_change_keeps_the_app_for_its_reason(name: str) -> None:
    scene, reason = APP_ROWS[name]
    decision = scene.of(APP.ref)
    assert (decision.action, decision.reason) == (Action.KEEP, reason), decision.detail
    # What is in it and would have gone with it stays, too.
    assert not scene.of(IMAGE_TERMINAL.ref).removes


@pytest.mark.parametrize("app_type", NOT_COVERED)
def test_other_types_of_app_are_never_removed(app_type: str) -> None:
    scene = replace(IDLE_SCENE, app=replace(APP, type=app_type))
    assert scene.of(scene.app.ref).reason is Reason.NOT_COVERED


@pytest.mark.parametrize("state", STUCK)
@pytest.mark.parametrize("work", [Work(), WORKING, UNREAD], ids=["not asked", "works", "unread"])
def test_stuck_kernel_whose_shell_was_not_asked_keeps_its_app(state: str, work: Work) -> None:
    scene = with_stuck_kernel(state, work)
    assert not scene.of(other().ref).removes
    assert scene.of(APP.ref).reason is Reason.IN_USE


@pytest.mark.parametrize(
    ("state", "work"),
    [*((state, UNANSWERED) for state in STUCK), ("dead", Work()), ("dead", UNANSWERED)],
)
def test_stuck_kernel_is_removed_with_its_app(state: str, work: Work) -> None:
    """The kernel does not keep the app. The app does not wait for a longer limit of the kernel."""
    stuck, scene = other(), with_stuck_kernel(state, work)
    assert scene.of(stuck.ref).reason is Reason.APP_REMOVED
    assert scene.of(APP.ref).reason is Reason.IDLE


@pytest.mark.parametrize(
    "name",
    APP_STILL_REMOVED,
)
def test_one_change_does_not_keep_an_idle_app(name: str) -> None:
    assert APP_STILL_REMOVED[name].of(APP.ref).reason is Reason.IDLE


@pytest.mark.parametrize("name", TERMINAL_ROWS)
def test_one_change_keeps_the_terminal_for_its_reason(name: str) -> None:
    scene, reason = TERMINAL_ROWS[name]
    assert (scene.of(TERMINAL.ref).action, scene.of(TERMINAL.ref).reason) == (Action.KEEP, reason)


@pytest.mark.parametrize("name", REMOVED_TERMINAL_ROWS)
def test_max_busy_minutes_removes_a_terminal_with_a_silent_command(name: str) -> None:
    scene, reason = REMOVED_TERMINAL_ROWS[name]
    assert (scene.of(TERMINAL.ref).action, scene.of(TERMINAL.ref).reason) == (Action.REMOVE, reason)


def test_image_terminal_has_the_idle_clock_of_its_app() -> None:
    scene = with_policy(IDLE_SCENE, idle_timeout=4 * HOUR)
    app, terminal = scene.of(APP.ref), scene.of(IMAGE_TERMINAL.ref)
    assert terminal.reason is Reason.IN_USE
    assert (terminal.due_at, terminal.idle_since) == (app.due_at, app.idle_since)


def test_image_terminal_of_an_unknown_app_is_kept_as_unknown() -> None:
    scene = replace(IDLE_SCENE, image_terminal=replace(IMAGE_TERMINAL, app=None))
    assert scene.of(IMAGE_TERMINAL.ref).reason is Reason.UNKNOWN


def test_every_reason_occurs_in_a_table() -> None:
    """A new rule needs a new row. The test fails for a reason that no row expects."""
    rows = [*KERNEL_ROWS.values(), *APP_ROWS.values(), *TERMINAL_ROWS.values()]
    covered = {reason for _, reason in rows} | {Reason.IDLE, Reason.APP_REMOVED, Reason.MAX_BUSY}
    # requested: decided by a person, not by the planner. not-covered: its own test above.
    # saves-nothing: tests/core/test_worth_stopping.py. shutting-down: test_under_way.py.
    elsewhere = {Reason.REQUESTED, Reason.NOT_COVERED, Reason.SAVES_NOTHING}
    elsewhere.add(Reason.SHUTTING_DOWN)
    assert set(Reason) - covered == elsewhere


@pytest.mark.parametrize("name", REMOVED_KERNEL_ROWS)
def test_weak_or_ended_evidence_does_not_keep_a_kernel(name: str) -> None:
    scene, reason = REMOVED_KERNEL_ROWS[name]
    decision = scene.of(KERNEL.ref)
    assert (decision.action, decision.reason) == (Action.REMOVE, reason)


def test_detail_of_a_removal_says_that_the_kernel_did_not_answer() -> None:
    detail = with_mark(IDLE_SCENE, KERNEL.ref, work=UNANSWERED).of(KERNEL.ref).detail
    assert detail.endswith("could not be ruled out: it does not answer.")


def test_busy_kernel_is_suspect_before_max_busy_minutes_removes_it() -> None:
    scene = busy(4 * HOUR, suspect_after=3 * HOUR, max_busy=5 * HOUR)
    decision = scene.of(KERNEL.ref)
    assert (decision.action, decision.reason) == (Action.KEEP, Reason.SUSPECT_BUSY)
    assert decision.due_at == NOW + HOUR
    assert busy(5 * HOUR, suspect_after=3 * HOUR, max_busy=5 * HOUR).of(KERNEL.ref).removes


@pytest.mark.parametrize(
    ("wanted", "limit"),
    [(timedelta(minutes=1), 10), (HOUR, 60), (timedelta(days=9), 480), (timedelta.max, 480)],
)
def test_cull_idle_timeout_stays_within_the_bounds_of_the_administrator(
    wanted: timedelta, limit: int
) -> None:
    policy = Policy(shortest=timedelta(minutes=10), longest=timedelta(minutes=480))
    found = policy.limit_of(replace(KERNEL, own_limit=wanted))
    assert found == (timedelta(minutes=limit), "cull_idle_timeout")


def test_a_veto_on_a_resource_in_an_app_keeps_the_app() -> None:
    scene = with_ledger(IDLE_SCENE, vetoes={IMAGE_TERMINAL.ref: VETO})
    decision = scene.of(APP.ref)
    assert (decision.action, decision.reason) == (Action.KEEP, Reason.VETOED)
    assert decision.detail.startswith("Terminal ")
    assert not scene.of(IMAGE_TERMINAL.ref).removes


def test_removals_have_a_removing_reason_and_keeps_have_another() -> None:
    rows = [*KERNEL_ROWS.values(), *APP_ROWS.values(), *TERMINAL_ROWS.values()]
    decisions: list[Decision] = [d for scene, _ in rows for d in scene.plan().decisions]
    decisions += IDLE_SCENE.plan().decisions
    assert {d.reason for d in decisions if d.removes} <= REMOVING
    assert not {d.reason for d in decisions if not d.removes} & REMOVING


def test_image_pattern_of_a_rule_matches_name_and_arn() -> None:
    rule = Rule(HOUR, image="pytorch-1.8")
    assert rule.matches(KERNEL)
    assert Rule(HOUR, image=IMAGE).matches(APP)
    assert rule.matches(IMAGE_TERMINAL)
    assert not Rule(HOUR, image="tensorflow*").matches(KERNEL)
    assert not Rule(HOUR, kernel_name="*").matches(APP)


def test_the_shortest_limit_of_an_app() -> None:
    rules = (Rule(HOUR / 2, kernel_name="x"), Rule(HOUR, instance_type="ml.g5.*"))
    assert Policy(rules=rules).shortest_app_limit() == HOUR
    assert Policy(app_idle_timeout=HOUR / 4, rules=rules).shortest_app_limit() == HOUR / 4


def test_a_keep_alive_on_a_stuck_kernel_whose_gateway_refuses_holds_its_app() -> None:
    scene = refused(9 * HOUR, max_busy=8 * HOUR)
    assert scene.of(APP.ref).removes
    kept = with_ledger(scene, holds={KERNEL.ref: Hold(NOW + HOUR)})
    assert kept.of(APP.ref).reason is Reason.IN_USE

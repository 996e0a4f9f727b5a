"""The queries for background work in an app: when the extension queries it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from idle_scene import HOUR, MINUTE, SECOND, asked_in, idle_for
from scene import (
    APP,
    KERNEL,
    NOW,
    POLICY,
    ago,
    mark,
    with_mark,
)

from auto_shutdown.core.apps import needs_work_query
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import Snapshot
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.questions import questions

PLAIN = Snapshot((KERNEL,), (), (APP,))


def is_app_queried(kernel_idle: timedelta, snapshot: Snapshot = PLAIN) -> bool:
    """Whether the extension queries the app. The app was used just now, and its kernel has been
    idle for ``kernel_idle``."""
    scene = with_mark(idle_for(kernel_idle), APP.ref, active_at=NOW)
    kernels = tuple(replace(k, last_activity=NOW - kernel_idle) for k in snapshot.kernels)
    return APP.ref in asked_in(replace(snapshot, kernels=kernels), scene.ledger, POLICY)


def test_an_app_is_queried_before_its_first_kernel_is_due() -> None:
    """The app itself is due two hours later. Then no kernel can report a detached job any more."""
    assert not is_app_queried(116 * MINUTE)
    assert is_app_queried(117 * MINUTE)
    assert is_app_queried(3 * HOUR)


NOT_BY_ITS_KERNEL = {
    "no kernel": Snapshot(apps=(APP,)),
    "a dead kernel": replace(PLAIN, kernels=(replace(KERNEL, state="dead"),)),
    "a starting kernel": replace(PLAIN, kernels=(replace(KERNEL, state="starting"),)),
    "a kernel of another app": replace(PLAIN, kernels=(replace(KERNEL, app="KernelGateway/b"),)),
    "a kernel that may be in it": replace(
        PLAIN, kernels=(replace(KERNEL, app=None, may_be_in=(APP.id, "b")),)
    ),
}


@pytest.mark.parametrize("name", NOT_BY_ITS_KERNEL)
def test_an_app_without_a_kernel_that_can_report_is_not_queried(name: str) -> None:
    """No kernel could answer, and the app must not wait for an answer."""
    snapshot = NOT_BY_ITS_KERNEL[name]
    assert not is_app_queried(3 * HOUR, snapshot)
    assert not needs_work_query(APP, snapshot.kernels, Work())


def test_an_app_whose_kernel_is_only_rehearsed_is_not_queried_for_it() -> None:
    scene = with_mark(idle_for(3 * HOUR), APP.ref, active_at=NOW)
    since = scene.ledger.marks[KERNEL.ref].active_at
    policy = replace(POLICY, dry_run=True)
    snapshot = replace(PLAIN, kernels=(scene.kernel,))
    for rehearsed, is_asked in (({}, True), ({KERNEL.ref: since}, False)):
        ledger = replace(scene.ledger, rehearsed=rehearsed)
        assert (APP.ref in asked_in(snapshot, ledger, policy)) is is_asked


@pytest.mark.parametrize(
    ("result", "answered_ago", "is_asked", "is_removed"),
    [
        ("working", HOUR, True, False),
        ("none", HOUR, False, True),
        ("unanswered", HOUR, True, False),
        ("unanswered", SECOND, False, True),
    ],
)
def test_an_app_whose_work_has_not_ended_for_certain_is_asked_again(
    result: str, answered_ago: timedelta, is_asked: bool, is_removed: bool
) -> None:
    """The image terminal of the app is closed. The extension queries a working app until its work
    has ended. If no kernel can answer for the app, it queries once before the removal, and then
    removes the app."""
    at = NOW - answered_ago
    work = Work(at, at, result, "its host uses 90% of a core")
    snapshot, policy = Snapshot(apps=(APP,)), Policy(warn=timedelta(0))
    ledger = Ledger(ago(days=1), {APP.ref: mark(ago(hours=3), "InService", stamps={}, work=work)})
    plan = decide(snapshot, ledger, policy, NOW)
    assert bool(plan.removals) is is_removed
    assert (APP.ref in questions(snapshot, plan, ledger, policy, NOW)) is is_asked

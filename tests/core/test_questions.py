"""The queries for background work: which resources the extension queries, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from idle_scene import HOUR, MINUTE, SECOND, asked_in, idle_for
from scene import (
    APP,
    ASKED,
    KERNEL,
    NOW,
    POLICY,
    TERMINAL,
    Scene,
    ago,
    mark,
    with_mark,
)

from auto_shutdown.core.advance import advance
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import Ref, Unread
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.questions import RECHECK, next_question, schedule


def asked(scene: Scene) -> set[Ref]:
    return asked_in(scene.snapshot, scene.ledger, scene.policy)


def next_at(scene: Scene) -> datetime | None:
    ledger = advance(scene.ledger, scene.snapshot, scene.now)
    plan = decide(scene.snapshot, ledger, scene.policy, scene.now)
    planned = schedule(scene.snapshot, plan, ledger, scene.policy, scene.now)
    return next_question(planned, scene.now)


HALF_AGO = NOW - 30 * SECOND
ALL = {KERNEL.ref, TERMINAL.ref, APP.ref}

ROWS = {
    "long before the limit": (idle_for(60 * MINUTE), set()),
    "four minutes before": (idle_for(116 * MINUTE), set()),
    "three minutes before": (idle_for(117 * MINUTE), ALL),
    "asked half a minute ago": (idle_for(118 * MINUTE, asked_at=NOW - 30 * SECOND), set()),
    "asked a minute ago": (idle_for(118 * MINUTE, asked_at=NOW - MINUTE), ALL),
    "asked yesterday": (idle_for(118 * MINUTE, asked_at=ago(days=1)), ALL),
    "at the very moment, whatever was answered half a minute ago": (
        idle_for(120 * MINUTE, asked_at=HALF_AGO, answered_at=HALF_AGO, result="none"),
        ALL,
    ),
    "at the very moment, and not watched for long enough": (
        idle_for(120 * MINUTE, asked_at=HALF_AGO),
        set(),
    ),
    "at the very moment, asked a second ago": (
        idle_for(120 * MINUTE, asked_at=NOW - SECOND, answered_at=NOW - SECOND, result="none"),
        set(),
    ),
    "it does not answer anyway": (
        idle_for(120 * MINUTE, asked_at=NOW - 30 * SECOND, answered_at=NOW, result="unanswered"),
        set(),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_which_resources_are_asked_about_background_work(name: str) -> None:
    scene, expected = ROWS[name]
    assert asked(scene) == expected


@pytest.mark.parametrize(
    ("asked_ago", "is_asked"), [(None, True), (MINUTE, True), (59 * SECOND, False)]
)
@pytest.mark.parametrize("state", ["starting", "idle"])
def test_a_kernel_whose_gateway_refuses_is_asked_again_each_minute(
    state: str, asked_ago: timedelta | None, is_asked: bool
) -> None:
    """Without the query the extension would not notice that the gateway accepts connections
    again."""
    scene = idle_for(HOUR)
    since = NOW - HOUR
    work = Work() if asked_ago is None else Work(NOW - asked_ago, None, "unread", "refused")
    known = mark(since, state, APP.id, quiet_since=since, work=work)
    scene = replace(
        scene,
        kernel=replace(scene.kernel, state=state, refused="HTTP 404"),
        ledger=replace(scene.ledger, marks={**scene.ledger.marks, KERNEL.ref: known}),
    )
    assert (KERNEL.ref in asked(scene)) is is_asked


def test_schedule_contains_the_time_of_the_first_query() -> None:
    assert next_at(idle_for(60 * MINUTE)) == NOW + 57 * MINUTE


OFF = replace(POLICY, enabled=False)


def test_idle_resource_is_not_asked_while_switched_off() -> None:
    assert asked(replace(idle_for(120 * MINUTE), policy=OFF)) == set()


def working_for(span: timedelta, policy: Policy = POLICY) -> Scene:
    """A scene in which each resource has worked in the background for this long, and was queried
    only at the beginning."""
    since = NOW - span
    scene = idle_for(span, asked_at=since, answered_at=since, result="working", detail="x")
    return replace(scene, policy=policy)


def test_a_working_resource_is_asked_again_after_a_while() -> None:
    assert asked(working_for(RECHECK - SECOND)) == set()
    assert asked(working_for(RECHECK)) == ALL
    short = working_for(2 * MINUTE, Policy(idle_timeout=8 * MINUTE))
    assert KERNEL.ref in asked(short)


KEPT_IN_ANY_CASE = {
    "switched off": OFF,
    "every terminal is kept": replace(POLICY, keep_terminals=True),
    "every connected kernel is kept": replace(POLICY, protect_connected=True),
    "the settings cannot be read": replace(POLICY, unread=Unread("settings", "Broken", "", "")),
}


@pytest.mark.parametrize("name", KEPT_IN_ANY_CASE)
def test_a_working_resource_is_queried_until_its_work_ends_whatever_keeps_it(name: str) -> None:
    """Without these queries the extension would report work to other tools for ever. After a change
    of a setting, the resource would also be idle only from then on."""
    assert asked(working_for(RECHECK, KEPT_IN_ANY_CASE[name])) == ALL


def test_unreadable_work_is_asked_again_while_switched_off() -> None:
    unread = {"asked_at": NOW - MINUTE, "answered_at": NOW - MINUTE, "result": "unread"}
    assert asked(replace(idle_for(HOUR, **unread), policy=OFF)) == ALL


@pytest.mark.parametrize(
    "unknown", [{"state": "busy", "shell_silent": True}, {"refused": "HTTP 404"}], ids=str
)
def test_kernel_that_may_run_a_cell_is_asked_while_switched_off(unknown: dict[str, Any]) -> None:
    scene = with_mark(idle_for(HOUR), KERNEL.ref, state=unknown.get("state", "idle"))
    scene = replace(scene, kernel=replace(scene.kernel, **unknown), policy=OFF)
    assert asked(scene) == {KERNEL.ref}


@pytest.mark.parametrize(
    ("stuck_for", "asked_before", "is_asked"),
    [
        (-1 * SECOND, None, False),
        (0 * SECOND, None, True),
        (10 * MINUTE, RECHECK - SECOND, False),
        (10 * MINUTE, RECHECK, True),
    ],
)
def test_a_kernel_stuck_in_starting_is_asked_long_before_its_limit(
    stuck_for: timedelta, asked_before: timedelta | None, is_asked: bool
) -> None:
    """The kernel keeps its app until the extension has queried it."""
    policy, scene = Policy(), idle_for(60 * MINUTE)
    work = Work() if asked_before is None else Work(NOW - asked_before, NOW, "unanswered")
    since = NOW - policy.startup_grace - stuck_for
    starting = mark(NOW - 60 * MINUTE, "starting", APP.id, work=work, state_since=since)
    marks = {**scene.ledger.marks, KERNEL.ref: starting}
    scene = replace(scene, kernel=replace(scene.kernel, state="starting"), policy=policy)
    scene = replace(scene, ledger=replace(scene.ledger, marks=marks))
    assert (KERNEL.ref in asked(scene)) == is_asked


def test_a_stuck_kernel_is_asked_once_more_before_its_removal() -> None:
    work = Work(NOW - RECHECK / 2, NOW - RECHECK / 2, "unanswered")
    scene = idle_for(118 * MINUTE)
    stuck = mark(NOW - 118 * MINUTE, "starting", APP.id, work=work)
    scene = replace(scene, kernel=replace(scene.kernel, state="starting"))
    marks = {**scene.ledger.marks, KERNEL.ref: stuck}
    assert KERNEL.ref in asked(replace(scene, ledger=replace(scene.ledger, marks=marks)))


def test_a_dead_kernel_is_not_asked() -> None:
    scene = idle_for(120 * MINUTE)
    assert KERNEL.ref not in asked(replace(scene, kernel=replace(scene.kernel, state="dead")))


class TestBusy:
    def scene(self, still: timedelta, asked_ago: timedelta | None, connections: int = 1) -> Scene:
        scene = idle_for(still)
        asked_at = None if asked_ago is None else NOW - asked_ago
        since, work = NOW - still, replace(ASKED, asked_at=asked_at)
        busy = mark(since, "busy", APP.id, quiet_since=since, work=work)
        kernel = replace(scene.kernel, state="busy", connections=connections)
        marks = {**scene.ledger.marks, KERNEL.ref: busy}
        return replace(scene, kernel=kernel, ledger=replace(scene.ledger, marks=marks))

    @pytest.mark.parametrize(
        ("still", "asked_ago", "expected"),
        [
            (29 * MINUTE, None, False),
            (30 * MINUTE, None, True),
            (60 * MINUTE, 29 * MINUTE, False),
            (60 * MINUTE, 30 * MINUTE, True),
        ],
    )
    def test_silent_busy_kernel_is_queried_at_intervals(
        self, still: timedelta, asked_ago: timedelta | None, expected: bool
    ) -> None:
        assert (KERNEL.ref in asked(self.scene(still, asked_ago))) is expected

    @pytest.mark.parametrize(
        ("asked_ago", "expected"), [(None, True), (4 * MINUTE, False), (5 * MINUTE, True)]
    )
    def test_silent_shell_is_asked_again_soon(
        self, asked_ago: timedelta | None, expected: bool
    ) -> None:
        """The idle clock starts when the shell answers."""
        scene = self.scene(10 * MINUTE, asked_ago, connections=0)
        scene = replace(scene, kernel=replace(scene.kernel, shell_silent=True))
        assert (KERNEL.ref in asked(scene)) is expected

    def test_shell_behind_a_gateway_that_buffers_output_is_not_asked(self) -> None:
        """A query would make the gateway discard the output that it buffers for a disconnected
        client."""
        assert KERNEL.ref not in asked(self.scene(3 * HOUR, None, connections=0))

"""Which apps ``domain tidy`` deletes, and above all which it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from account import (
    DOMAIN,
    HOUR,
    MINUTE,
    NOW,
    REGION,
    account,
    all_on,
    app,
    decision,
    line_of,
    noticed,
    points,
    policy,
    unread,
)

from auto_shutdown.domain import facts as f
from auto_shutdown.domain.actions import Step, decide, plan, still_valid
from auto_shutdown.domain.facts import Facts
from auto_shutdown.domain.memory import (
    Memory,
)
from auto_shutdown.domain.observations import Point
from auto_shutdown.domain.resources import SPACE
from auto_shutdown.domain.rules import canvas_idle_since

CANVAS = app("Canvas")
RSTUDIO = app("RSessionGateway", name="rsession-1")
LAB = app("JupyterLab", owner="lab", owner_kind=SPACE)


def idle_canvas(**more: Any) -> Facts:
    return account(CANVAS, canvas=points(CANVAS, 5 * HOUR), **more)


def test_app_gets_a_notice_then_waits_and_is_then_deleted() -> None:
    facts = idle_canvas()
    first = decision(CANVAS, facts)
    assert (first.step, first.due_at) == (Step.NOTICE, NOW + HOUR)
    assert "Idle for 5 h" in first.detail or "Idle for 4 h 59 m" in first.detail
    waiting = decision(CANVAS, facts, noticed(CANVAS, "canvas", 59 * MINUTE))
    assert (waiting.step, waiting.due_at) == (Step.WAIT, NOW + MINUTE)
    assert decision(CANVAS, facts, noticed(CANVAS, "canvas", HOUR)).step is Step.DELETE


def test_rule_without_delete_only_lists_the_app() -> None:
    rules = policy(canvas={"idle_minutes": 60})
    memory = noticed(CANVAS, "canvas")
    assert decision(CANVAS, idle_canvas(), memory, rules).step is Step.OFF


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("no point", account(CANVAS)),
        ("an old point", account(CANVAS, canvas=points(CANVAS, 5 * HOUR, NOW - 11 * MINUTE))),
        ("a future point", account(CANVAS, canvas=points(CANVAS, 5 * HOUR, NOW + HOUR))),
        ("not idle for long", account(CANVAS, canvas=points(CANVAS, 2 * HOUR - MINUTE))),
        ("metric unread", replace(idle_canvas(), unread=(unread(f.CANVAS_METRIC),))),
        ("apps unread", replace(idle_canvas(), unread=(unread(f.APPS),))),
        ("CloudTrail unread", replace(idle_canvas(), creations_since={})),
        (
            "created again since the notice, with the old CreationTime",
            replace(idle_canvas(), creations={CANVAS.key: NOW - HOUR}),
        ),
        (
            "created again just before the notice",
            replace(idle_canvas(), creations={CANVAS.key: NOW - 2 * HOUR - 10 * MINUTE}),
        ),
        (
            "used since the notice",
            account(
                CANVAS,
                canvas={
                    CANVAS.key: (
                        Point(NOW - 90 * MINUTE, MINUTE),
                        Point(NOW - MINUTE, 5 * HOUR),
                    )
                },
            ),
        ),
    ],
)
def test_canvas_app_is_kept(name: str, facts: Facts) -> None:
    rules = all_on(canvas={"delete": True, "idle_minutes": 120})
    assert decision(CANVAS, facts, noticed(CANVAS, "canvas"), rules).step is not Step.DELETE, name


def test_metric_older_than_the_app_is_no_evidence() -> None:
    young = app("Canvas", hours=0.01)
    facts = account(young, canvas=points(young, 5 * HOUR))
    assert decision(young, facts, noticed(young, "canvas")).step is Step.KEEP


@pytest.mark.parametrize("status", ["Pending", "Deleting", "Deleted", "Failed"])
def test_only_an_app_in_service_is_deleted(status: str) -> None:
    item = replace(RSTUDIO, status=status)
    memory, facts = noticed(item, "rstudio_sessions"), account(item)
    assert plan(facts, all_on(), memory).decisions == ()
    # Between the plan and the call it may have come to this state.
    again = decide(item, facts, all_on(), memory.notices[item.key])
    assert again is not None
    assert again.step is Step.KEEP
    assert still_valid(memory, facts, all_on()).notices == {}


def test_age_of_an_app_counts_from_the_creation_in_cloudtrail() -> None:
    item, facts = RSTUDIO, account(RSTUDIO)
    assert decision(item, facts).step is Step.NOTICE
    again = replace(facts, creations={item.key: NOW - 3 * HOUR})
    assert decision(item, again).step is Step.KEEP
    short = replace(facts, creations_since={REGION: NOW - 23 * HOUR})
    found = decision(item, short)
    assert (found.step, found.unknown) == (Step.KEEP, True)
    assert decision(replace(item, created_at=None), account(replace(item, created_at=None))).unknown


def test_app_without_the_extension_is_deleted() -> None:
    facts = account(LAB, reports=(line_of("bob"),))
    memory = noticed(LAB, "without_extension")
    assert decision(LAB, facts, memory).step is Step.DELETE


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("a line in another spelling of the space", {"reports": (line_of("bob"), line_of("LAB"))}),
        ("no line from the whole domain", {"reports": ()}),
        ("lines from another domain only", {"reports": (replace(line_of(), domain_id="d-two"),)}),
        ("lines unread", {"reports": (line_of("bob"),), "unread": (unread(f.REPORTS),)}),
    ],
)
def test_an_app_that_may_have_the_extension_is_not_covered(name: str, more: Any) -> None:
    facts = account(LAB, **more)
    found = plan(facts, all_on(), noticed(LAB, "without_extension"))
    assert found.decisions == (), name


def test_kernel_gateway_app_is_covered_by_the_server_of_its_owner() -> None:
    item = app("KernelGateway", name="datascience-1")
    theirs = line_of("bob", "JupyterServer")
    ours = line_of("ada", "JupyterServer")
    assert decision(item, account(item, reports=(theirs,))).rule == "without_extension"
    assert plan(account(item, reports=(theirs, ours)), all_on(), Memory()).decisions == ()


def test_an_orphan_is_judged_within_its_own_domain() -> None:
    here, there = app("JupyterLab", "eve"), app("JupyterLab", "ada", domain_id="d-two")
    facts = account(here, there)
    assert decision(here, facts).rule == "orphans"
    assert decision(there, facts).rule == "orphans"  # ada is a profile of d-one only
    partly = replace(facts, unread=(unread(f.PROFILES),))
    assert plan(partly, all_on(), Memory()).decisions == ()
    shared = app("RStudioServerPro", "domain-shared")
    assert plan(account(shared), all_on(), Memory()).decisions == ()


@pytest.mark.parametrize(
    "exceptions",
    [
        {"owners": ["ADA"]},
        {"owners": [f"{DOMAIN}/ada"]},
        {"spaces": ["Lab"]},
        {"tags": {"auto-shutdown": "keep"}},
        {"tags": {"auto-shutdown": "*"}},
    ],
)
def test_exceptions_of_the_policy_keep_an_app(exceptions: Any) -> None:
    facts = account(
        LAB, reports=(line_of(),), tags={"user-profile/d-one/ada": {"auto-shutdown": "keep"}}
    )
    memory = noticed(LAB, "without_extension")
    assert decision(LAB, facts, memory).step is Step.DELETE
    rules = all_on(exceptions=exceptions)
    assert decision(LAB, facts, memory, rules).step is Step.KEEP
    assert still_valid(memory, facts, rules).notices == {}
    other = {"owners": ["d-two/ada"], "tags": {"auto-shutdown": "no"}}
    assert decision(LAB, facts, memory, all_on(exceptions=other)).step is Step.DELETE


@pytest.mark.parametrize(
    ("exceptions", "source"),
    [
        ({"tags": {"keep": "*"}}, f.TAGS),
        ({"tags": {"keep": "*"}}, f.SPACES),
        ({"owners": ["bob"]}, f.SPACES),
    ],
)
def test_unreadable_exceptions_keep_the_app(exceptions: Any, source: str) -> None:
    lab = app("TensorBoard", owner="other", owner_kind=SPACE)
    facts = account(lab, unread=(unread(source),))
    found = decision(lab, facts, noticed(lab, "tensorboard"), all_on(exceptions=exceptions))
    assert (found.step, found.unknown) == (Step.KEEP, True)


def test_policy_for_one_domain_leaves_other_domains_alone() -> None:
    rules = all_on(domains=["d-two"])
    assert plan(account(RSTUDIO), rules, Memory()).decisions == ()


def test_metric_of_an_earlier_app_does_not_make_the_new_app_idle() -> None:
    young = app("Canvas", hours=0.01)
    facts = account(young, canvas=points(young, 5 * HOUR, NOW - 5 * MINUTE))
    assert canvas_idle_since(young, facts, timedelta(minutes=10)) is None
    later = account(CANVAS, canvas=points(CANVAS, 5 * HOUR))
    assert canvas_idle_since(CANVAS, later, timedelta(minutes=10)) == NOW - 5 * HOUR


def test_a_space_listed_in_another_case_is_the_same_space() -> None:
    renamed = replace(LAB, owner="LAB")
    facts = account(renamed, reports=(line_of("bob"),))
    memory = noticed(LAB, "without_extension")
    assert decision(renamed, facts, memory).step is Step.DELETE
    assert still_valid(memory, facts, all_on()) == memory
    again = replace(facts, creations={LAB.key: NOW - HOUR})
    assert decision(renamed, again, memory).step is not Step.DELETE

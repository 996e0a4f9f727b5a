"""Which notices hold, which are remembered, and when they allow a deletion."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from account import (
    HOUR,
    MINUTE,
    NOW,
    account,
    all_on,
    app,
    decision,
    noticed,
    unread,
)

from auto_shutdown.domain import facts as f
from auto_shutdown.domain.actions import Step, still_valid
from auto_shutdown.domain.memory import (
    CLOCK_TOLERANCE,
    LEASE,
    Memory,
    Notice,
    from_json,
    to_json,
)
from auto_shutdown.domain.observations import Point

CANVAS = app("Canvas")
RSTUDIO = app("RSessionGateway", name="rsession-1")


#: Its idle limit is shorter than the two hours since the notice: the limit alone protects nobody.
SHORT = all_on(canvas={"delete": True, "idle_minutes": 30})
IDLE_SINCE_LONG_AGO = Point(NOW - MINUTE, 5 * HOUR)


@pytest.mark.parametrize(
    ("name", "created", "trail", "seen", "step"),
    [
        ("nothing", 100 * HOUR, None, (), Step.DELETE),
        ("created again, new CreationTime", 50 * MINUTE, None, (), Step.NOTICE),
        ("created again, old CreationTime", 100 * HOUR, 50 * MINUTE, (), Step.NOTICE),
        (
            "created again, unseen by CloudTrail at the notice",
            100 * HOUR,
            2 * HOUR + 14 * MINUTE,
            (),
            Step.NOTICE,
        ),
        ("created long before the notice", 100 * HOUR, 3 * HOUR, (), Step.DELETE),
        (
            "used, by the newest point",
            100 * HOUR,
            None,
            (Point(NOW - MINUTE / 2, 40 * MINUTE),),
            Step.NOTICE,
        ),
        (
            "used, by an earlier point",
            100 * HOUR,
            None,
            (Point(NOW - 50 * MINUTE, MINUTE),),
            Step.NOTICE,
        ),
        (
            "used before the notice",
            100 * HOUR,
            None,
            (Point(NOW - 50 * MINUTE, 90 * MINUTE),),
            Step.DELETE,
        ),
    ],
)
def test_notice_is_void_for_an_app_used_or_created_again(
    name: str,
    created: timedelta,
    trail: timedelta | None,
    seen: tuple[Point, ...],
    step: Step,
) -> None:
    item = replace(CANVAS, created_at=NOW - created)
    facts = account(
        item,
        canvas={item.key: (*seen, IDLE_SINCE_LONG_AGO)},
        creations={} if trail is None else {item.key: NOW - trail},
    )
    memory = noticed(CANVAS, "canvas")
    assert decision(item, facts, memory, SHORT).step is step, name
    kept = still_valid(memory, facts, SHORT).notices
    assert bool(kept) is (step is Step.DELETE), name


def test_an_old_notice_is_given_again() -> None:
    memory = noticed(RSTUDIO, "rstudio_sessions", timedelta(days=2))
    assert decision(RSTUDIO, account(RSTUDIO), memory).step is Step.NOTICE


def test_notice_for_another_rule_or_app_does_not_count() -> None:
    facts = account(RSTUDIO)
    assert decision(RSTUDIO, facts, noticed(RSTUDIO, "orphans")).step is Step.NOTICE
    other = {RSTUDIO.key: Notice("rstudio_sessions", NOW - 2 * HOUR, NOW - 500 * HOUR)}
    assert decision(RSTUDIO, facts, Memory(other)).step is Step.NOTICE


def test_which_notices_are_remembered() -> None:
    memory = noticed(RSTUDIO, "rstudio_sessions")
    facts = account(RSTUDIO)
    assert still_valid(memory, facts, all_on()) == memory
    assert still_valid(memory, account(), all_on()).notices == {}
    assert still_valid(memory, account(unread=(unread(f.APPS),)), all_on()) == memory
    stopped = account(replace(RSTUDIO, status="Deleting"))
    assert still_valid(memory, stopped, all_on()).notices == {}
    taken = memory.taken("run", NOW + LEASE)
    assert from_json(to_json(taken)) == taken
    assert taken.is_taken(NOW)
    assert taken.is_taken(NOW - CLOCK_TOLERANCE)
    assert not taken.is_taken(NOW + LEASE)
    assert not taken.released().is_taken(NOW)


def test_state_taken_by_a_run_with_a_wrong_clock_is_free() -> None:
    taken = Memory().taken("run", NOW + timedelta(days=3650))
    assert not taken.is_taken(NOW)


def test_notice_from_the_future_is_given_again() -> None:
    memory = noticed(RSTUDIO, "rstudio_sessions", -HOUR)
    assert decision(RSTUDIO, account(RSTUDIO), memory).step is Step.NOTICE
    soon = noticed(RSTUDIO, "rstudio_sessions", -MINUTE)
    assert decision(RSTUDIO, account(RSTUDIO), soon).step is Step.WAIT


@pytest.mark.parametrize("minutes", [30, 240], ids=["shorter", "longer"])
def test_deletion_is_never_before_the_time_that_the_notice_announced(minutes: int) -> None:
    """The policy's notice time was two hours, and then the administrator changed it."""
    rules = all_on(notice_minutes=minutes)
    notice = Notice("rstudio_sessions", NOW - HOUR, RSTUDIO.created_at, NOW + HOUR)
    memory = from_json(to_json(Memory({RSTUDIO.key: notice})))
    waiting = decision(RSTUDIO, account(RSTUDIO), memory, rules)
    due_at = NOW + max(HOUR, minutes * MINUTE - HOUR)
    assert (waiting.step, waiting.due_at) == (Step.WAIT, due_at)
    later = replace(account(RSTUDIO), at=due_at)
    assert decision(RSTUDIO, later, memory, rules).step is Step.DELETE


@pytest.mark.parametrize("place", [{"domain_id": "d-two"}, {"region": "eu-west-1"}])
def test_notices_of_a_domain_that_was_not_read_are_kept(place: dict[str, str]) -> None:
    """Runs for different domains or regions share the state."""
    other = replace(RSTUDIO, **place)
    memory = noticed(other, "rstudio_sessions")
    assert still_valid(memory, account(), all_on()) == memory
    expired = noticed(other, "rstudio_sessions", timedelta(days=2))
    assert still_valid(expired, account(), all_on()).notices == {}


def test_state_of_an_earlier_version_is_read() -> None:
    memory = noticed(RSTUDIO, "rstudio_sessions")
    content = to_json(memory)
    for entry in content["notices"]:
        del entry["due_at"]
    assert from_json(content) == memory

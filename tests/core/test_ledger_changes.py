"""Changes of the ledger: a step of the clock, vetoes, answers and outcomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from scene import APP, FULL_MARK, KERNEL, NOW, TERMINAL, ago

from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.ledger import Failure, Hold, Ledger, Notice, Veto, add_vetoes, record, shift
from auto_shutdown.core.marks import Work, shifted
from auto_shutdown.core.model import Answer
from auto_shutdown.core.outcome import Outcome, Result

HOUR = timedelta(hours=1)
FAILED = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow it.")


def test_shift_moves_every_instant_of_a_mark_and_no_stamp() -> None:
    assert shifted(FULL_MARK, HOUR) == replace(
        FULL_MARK,
        first_seen=ago(hours=8),
        seen_at=NOW + timedelta(minutes=59),
        active_at=ago(hours=2),
        weak={"output": ago(hours=1)},
        state_since=ago(hours=3),
        quiet_since=NOW,
        work=Work(NOW + timedelta(minutes=58), NOW + timedelta(minutes=57), "none", "CPU"),
    )


def test_shift_moves_every_instant_of_a_ledger() -> None:
    ref = KERNEL.ref
    ledger = Ledger(
        NOW,
        {ref: FULL_MARK},
        {ref: Hold(NOW)},
        {ref: Failure(1, NOW, FAILED)},
        {ref: Notice(NOW)},
        {ref: Veto("h", "t", NOW)},
        rehearsed={ref: NOW, APP.ref: None},
    )
    later = NOW + HOUR
    assert shift(ledger, HOUR) == Ledger(
        later,
        {ref: shifted(FULL_MARK, HOUR)},
        {ref: Hold(later)},
        {ref: Failure(1, later, FAILED)},
        {ref: Notice(later)},
        {ref: Veto("h", "t", later)},
        rehearsed={ref: later, APP.ref: None},
    )


def test_new_vetoes_are_added_to_the_old_ones() -> None:
    old, new = Veto("a", "b", NOW), Veto("c", "d", NOW)
    ledger = add_vetoes(Ledger(NOW, vetoes={KERNEL.ref: old}), {APP.ref: new})
    assert ledger.vetoes == {KERNEL.ref: old, APP.ref: new}


@pytest.mark.parametrize(
    ("answer", "work"),
    [
        ({"conclusive": False}, Work(NOW, ago(minutes=3), "none", "CPU")),
        ({"conclusive": True, "detail": "x"}, Work(NOW, NOW, "none", "x")),
        (
            {"conclusive": True, "working": True},
            Work(NOW, NOW, "working", "", in_background=True),  # the cell waits for a person
        ),
        ({"conclusive": True, "answered": False}, Work(NOW, NOW, "unanswered", "")),
    ],
)
def test_answers_about_work_are_recorded_in_the_mark(answer: dict[str, Any], work: Work) -> None:
    ledger = Ledger(NOW, {KERNEL.ref: FULL_MARK})
    unknown = Answer(TERMINAL.ref, True)
    after = record_answers(ledger, [unknown, Answer(KERNEL.ref, **answer)], NOW)
    assert after.marks[KERNEL.ref].work == work


def test_a_removal_deletes_keep_alive_failure_and_notice() -> None:
    ref, failure = APP.ref, Failure(1, NOW, FAILED)
    held = {ref: Hold(NOW), KERNEL.ref: Hold(NOW)}
    notices = {r: Notice(NOW) for r in held}
    ledger = Ledger(NOW, {ref: FULL_MARK}, held, dict.fromkeys(held, failure), notices)
    after = record(ledger, ref, Outcome(Result.REMOVED), NOW)
    assert (after.marks, set(after.holds), set(after.failures), set(after.notices)) == (
        {},
        {KERNEL.ref},
        {KERNEL.ref},
        {KERNEL.ref},
    )
    stale = record(ledger, ref, Outcome(Result.STALE), NOW)
    assert stale == replace(ledger, failures={KERNEL.ref: failure})
    failed = record(Ledger(NOW), ref, FAILED, NOW)
    assert failed.failures == {ref: Failure(1, NOW + timedelta(minutes=1), FAILED)}

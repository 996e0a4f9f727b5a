"""Programs beside this server's kernels and terminals: how long they keep a resource."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from program_values import HOUR, LIMITED, NINE_HOURS_AGO, PAGER, SUSPECT, alone, decision_on
from scene import KERNEL, NOW, OWN, TERMINAL, ago, mark

from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.decision import Action, Reason
from auto_shutdown.core.ledger import Ledger, rehearse
from auto_shutdown.core.marks import Mark, Work
from auto_shutdown.core.model import Answer, Ref, Snapshot
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.questions import RECHECK, next_question, questions, schedule
from auto_shutdown.core.signals import Signal

RESOURCES = [OWN, replace(KERNEL, app=None), TERMINAL]


@pytest.mark.parametrize("resource", RESOURCES, ids=["app", "kernel", "terminal"])
class TestHold:
    """A program first keeps its resource as background work, then as suspect, and then no
    longer."""

    def test_a_program_that_worked_lately_is_work(self, resource: Any) -> None:
        lately = replace(PAGER, quiet_since=ago(hours=7))
        assert decision_on(resource, programs=(lately,)).reason is Reason.BACKGROUND_WORK

    def test_a_program_without_a_sign_of_work_is_suspect_and_kept(self, resource: Any) -> None:
        decision = decision_on(resource)
        assert (decision.action, decision.reason) == (Action.KEEP, Reason.SUSPECT_BUSY)
        assert decision.due_at is None
        assert "Less runs, but shows no sign of work for 9 h" in decision.detail
        assert decision.parameters["case"] == "program"

    def test_a_quiet_program_is_due_after_max_busy(self, resource: Any) -> None:
        decision = decision_on(resource, LIMITED)
        assert (decision.action, decision.reason) == (Action.KEEP, Reason.SUSPECT_BUSY)
        assert decision.due_at == PAGER.quiet_since + 10 * HOUR

    def test_a_quiet_program_keeps_nothing_after_max_busy(self, resource: Any) -> None:
        quiet = replace(PAGER, quiet_since=ago(hours=10))
        decision = decision_on(resource, LIMITED, (quiet,), ago(hours=10))
        assert (decision.action, decision.reason) == (Action.REMOVE, Reason.MAX_BUSY)

    def test_after_max_busy_the_idle_clock_still_counts(self, resource: Any) -> None:
        quiet = replace(PAGER, quiet_since=ago(hours=20))
        used = decision_on(resource, LIMITED, (quiet,), ago(hours=1))
        assert (used.action, used.due_at) == (Action.KEEP, NOW + HOUR)
        idle = decision_on(resource, LIMITED, (quiet,), ago(hours=2))
        assert (idle.action, idle.reason) == (Action.REMOVE, Reason.IDLE)

    def test_each_of_several_programs_must_be_quiet(self, resource: Any) -> None:
        other = replace(PAGER, id="pts/4", quiet_since=ago(hours=1))
        decision = decision_on(resource, LIMITED, (PAGER, other))
        assert decision.reason is Reason.BACKGROUND_WORK

    def test_other_work_is_never_suspect(self, resource: Any) -> None:
        assert decision_on(resource, LIMITED, held_by=()).reason is Reason.BACKGROUND_WORK

    def test_an_unknown_program_may_work(self, resource: Any) -> None:
        decision = decision_on(resource, LIMITED, held_by=("pts/3", "pts/7"))
        assert decision.reason is Reason.BACKGROUND_WORK

    @pytest.mark.parametrize(
        ("hours", "reason"), [(7, Reason.BACKGROUND_WORK), (9, Reason.SUSPECT_BUSY)]
    )
    def test_a_low_use_beside_a_program_must_be_as_old(
        self, resource: Any, hours: int, reason: Reason
    ) -> None:
        work = Work(NOW, NOW, "working", "less runs", (PAGER.id,), low_use_since=ago(hours=hours))
        snapshot, ledger = alone(resource, (PAGER,), NINE_HOURS_AGO, work)
        (decision,) = decide(snapshot, ledger, SUSPECT, NOW).decisions
        assert decision.reason is reason
        assert "cluster" in decision.detail or reason is Reason.BACKGROUND_WORK
        unknown = replace(work, programs=("pts/7",))
        snapshot, ledger = alone(resource, (PAGER,), NINE_HOURS_AGO, unknown)
        (decision,) = decide(snapshot, ledger, SUSPECT, NOW).decisions
        assert decision.reason is Reason.BACKGROUND_WORK

    def test_an_old_answer_removes_nothing(self, resource: Any) -> None:
        """Another job may have started since the answer, so the extension queries again."""
        quiet = replace(PAGER, quiet_since=ago(hours=10))
        decision = decision_on(resource, LIMITED, (quiet,), ago(hours=10), asked_at=ago(minutes=5))
        assert decision.action is Action.KEEP


@pytest.mark.parametrize("resource", RESOURCES, ids=["app", "kernel", "terminal"])
@pytest.mark.parametrize(
    ("dry_run", "rehearsed_for", "removes"),
    [
        (True, timedelta(hours=11), True),
        (True, timedelta(hours=10), False),  # it worked after the rehearsal
        (True, None, False),
        (False, timedelta(hours=11), False),  # a real removal needs a new answer
    ],
)
def test_a_rehearsed_removal_needs_no_new_answer(
    resource: Any, dry_run: bool, rehearsed_for: timedelta | None, removes: bool
) -> None:
    asked_at = ago(minutes=4)
    work = Work(asked_at, asked_at, "working", "less runs", (PAGER.id,))
    pager, policy = replace(PAGER, quiet_since=ago(hours=11)), replace(LIMITED, dry_run=dry_run)
    snapshot, ledger = alone(resource, (pager,), ago(hours=11), work)
    if rehearsed_for is not None:
        ledger = rehearse(ledger, resource.ref, NOW - rehearsed_for)
    plan = decide(snapshot, ledger, policy, NOW)
    assert bool(plan.removals) is removes
    assert bool(questions(snapshot, plan, ledger, policy, NOW)) is not removes
    if removes:  # it is asked on, because work may begin in what stays
        planned = schedule(snapshot, plan, ledger, policy, NOW)
        assert next_question(planned, NOW) == asked_at + RECHECK


@pytest.mark.parametrize(
    ("sign", "limit"), [("printed_at", "output_only"), ("io_at", "suspect_after")]
)
def test_weak_sign_of_work_counts_for_a_limited_time(sign: str, limit: str) -> None:
    """Output counts for ``output_only_minutes``; a little data, or a connection, counts for
    ``suspect_after_minutes``."""
    policy = replace(LIMITED, **{limit: 2 * HOUR})
    goes_on = replace(PAGER, quiet_since=ago(hours=11), **{sign: NOW})
    assert decision_on(OWN, policy, (goes_on,)).due_at == ago(hours=9) + 10 * HOUR
    has_ended = replace(PAGER, quiet_since=ago(hours=9), **{sign: ago(hours=8)})
    assert decision_on(OWN, policy, (has_ended,)).due_at == ago(hours=8) + 10 * HOUR


@pytest.mark.parametrize(
    ("before", "answer", "active_at"),
    [
        # The idle clock starts at the program's last sign of work, not at the question.
        (Work(NOW, NOW, "working", "", ("a",)), {"programs": ("a",)}, ago(hours=3)),
        (Work(NOW, NOW, "none"), {"programs": ("a",)}, ago(hours=3)),
        # Other work, or another program, has ended since the last answer: that counts as now.
        (Work(NOW, NOW, "working", "", ()), {"programs": ("a",)}, NOW),
        (Work(NOW, NOW, "working", "", ("a", "b")), {"programs": ("a",)}, NOW),
        (Work(NOW, NOW, "working", "", ("a",)), {"working": False, "worked_at": None}, NOW),
        # A low use of the processor may be an idle cluster: only its begin moves the clock.
        (Work(NOW, NOW, "none"), {"low_use": True, "worked_at": None}, NOW),
        (
            Work(NOW, NOW, "working", low_use_since=ago(hours=3)),
            {"low_use": True, "worked_at": None},
            ago(hours=3),
        ),
        (Work(NOW, NOW, "working", low_use_since=ago(hours=3)), {"worked_at": None}, NOW),
        (Work(NOW, NOW, "working", low_use_since=ago(hours=3)), {"working": False}, NOW),
        # Both: the later sign counts, and the end of one part counts as now.
        (
            Work(NOW, NOW, "working", "", ("a",), low_use_since=ago(hours=2)),
            {"programs": ("a",), "low_use": True},
            ago(hours=2),
        ),
        (
            Work(NOW, NOW, "working", "", ("a",), low_use_since=ago(hours=4)),
            {"programs": ("a",), "low_use": True},
            ago(hours=3),
        ),
        (
            Work(NOW, NOW, "working", "", ("a",), low_use_since=ago(hours=4)),
            {"programs": ("a",)},
            NOW,
        ),
        (
            Work(NOW, NOW, "working", "", ("a",), low_use_since=ago(hours=4)),
            {"low_use": True, "worked_at": None},
            NOW,
        ),
        (Work(NOW, NOW, "working", "", ("a",)), {"programs": ("a",), "low_use": True}, NOW),
        # Other work goes on.
        (Work(NOW, NOW, "working", "", ("a",)), {"worked_at": None}, NOW),
    ],
)
def test_when_background_work_counts(
    before: Work, answer: dict[str, Any], active_at: datetime
) -> None:
    known: dict[Ref, Mark] = {OWN.ref: mark(ago(hours=9), "InService", work=before)}
    fields = {"working": True, "worked_at": ago(hours=3), **answer}
    ledger = record_answers(Ledger(NOW, known), [Answer(OWN.ref, True, **fields)], NOW)
    found = ledger.marks[OWN.ref]
    assert (found.active_at, found.signal) == (active_at, Signal.BACKGROUND_WORK)


@pytest.mark.parametrize("policy", [SUSPECT, LIMITED], ids=["without a limit", "max_busy"])
def test_a_suspect_program_is_asked_about_again(policy: Policy) -> None:
    """The program may have begun to work, or another job may have started."""
    work = Work(NOW, NOW, "working", "less runs", (PAGER.id,))
    snapshot, ledger = alone(OWN, (PAGER,), NINE_HOURS_AGO, work)
    plan = decide(snapshot, ledger, policy, NOW)
    planned = schedule(snapshot, plan, ledger, policy, NOW)
    assert next_question(planned, NOW) == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("resource", RESOURCES, ids=["app", "kernel", "terminal"])
@pytest.mark.parametrize("minutes", [0.5, 2.5, 4.9, 30])
def test_few_passes_lead_to_the_removal_after_max_busy(resource: Any, minutes: float) -> None:
    """The last answer is then at most five minutes old, and so new enough for a removal."""
    due_at = NOW + timedelta(minutes=minutes)
    pager = replace(PAGER, quiet_since=due_at - 10 * HOUR)
    answer = Answer(resource.ref, True, working=True, programs=(pager.id,))
    answer = replace(answer, worked_at=pager.quiet_since)
    work = Work(NOW, NOW, "working", "less runs", (pager.id,))
    snapshot, ledger = alone(resource, (pager,), pager.quiet_since or NOW, work)
    moments = moments_until_removal(snapshot, ledger, answer)
    assert len(moments) <= 12
    assert timedelta(0) <= moments[-1] - due_at < timedelta(seconds=1)


@pytest.mark.parametrize("resource", RESOURCES, ids=["app", "kernel", "terminal"])
def test_a_low_use_of_the_processor_ends_its_hold_after_max_busy(resource: Any) -> None:
    due_at = NOW + timedelta(minutes=30)
    work = Work(NOW, NOW, "working", "it used 5%", low_use_since=due_at - 10 * HOUR)
    snapshot, ledger = alone(resource, (), due_at - 10 * HOUR, work)
    answer = Answer(resource.ref, True, working=True, low_use=True)
    moments = moments_until_removal(snapshot, ledger, answer)
    assert timedelta(0) <= moments[-1] - due_at < timedelta(seconds=1)
    strong = replace(answer, low_use=False)
    assert moments_until_removal(snapshot, ledger, strong)[-1] > due_at + HOUR


@pytest.mark.parametrize(
    ("known", "low_use", "since"),
    [
        (Work(), True, NOW),
        (Work(result="working", low_use_since=ago(hours=3)), True, ago(hours=3)),
        (Work(result="working", low_use_since=ago(hours=3)), False, None),
    ],
)
def test_since_when_the_use_of_the_processor_is_low(
    known: Work, low_use: bool, since: datetime | None
) -> None:
    ledger = Ledger(NOW, {OWN.ref: mark(ago(hours=9), "InService", work=known)})
    answer = Answer(OWN.ref, True, working=True, low_use=low_use)
    assert record_answers(ledger, [answer], NOW).marks[OWN.ref].work.low_use_since == since


def moments_until_removal(snapshot: Snapshot, ledger: Ledger, answer: Answer) -> list[datetime]:
    """The instants of the passes until a removal. Each pass names the instant of the next."""
    moments = [NOW]
    while len(moments) < 100:
        now = moments[-1]
        plan = decide(snapshot, ledger, LIMITED, now)
        if questions(snapshot, plan, ledger, LIMITED, now):
            ledger = record_answers(ledger, [answer], now)
            plan = decide(snapshot, ledger, LIMITED, now)
        if plan.removals:
            break
        planned = schedule(snapshot, plan, ledger, LIMITED, now)
        ahead = (plan.next_moment(now), next_question(planned, now))
        moments.append(min(at for at in ahead if at is not None) + timedelta(milliseconds=1))
    return moments

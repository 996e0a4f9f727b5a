"""The rows of programs in the report: whether a program keeps the app, and why."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from program_values import HOUR, LIMITED, NOTEBOOK, PAGER, SUSPECT, alone, decision_on
from scene import ASKED, NOW, OWN, ago

from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.decision import Reason
from auto_shutdown.core.marks import activity
from auto_shutdown.core.model import Answer, Program
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.programs import describe, describe_all
from auto_shutdown.core.signals import Signal
from auto_shutdown.core.suspect import IO_UNKNOWN


@pytest.mark.parametrize(
    ("program", "policy", "holds", "reason"),
    [
        (replace(NOTEBOOK, state="idle"), SUSPECT, False, Reason.IDLE),
        (replace(NOTEBOOK, state="running"), SUSPECT, True, Reason.UNKNOWN),
        (replace(NOTEBOOK, state="unanswered"), SUSPECT, True, Reason.UNKNOWN),
        (replace(NOTEBOOK, quiet_since=NOW), SUSPECT, True, Reason.BACKGROUND_WORK),
        (replace(PAGER, quiet_since=None), SUSPECT, True, Reason.BACKGROUND_WORK),
        (NOTEBOOK, SUSPECT, True, Reason.SUSPECT_BUSY),
        (PAGER, SUSPECT, True, Reason.SUSPECT_BUSY),
        (PAGER, LIMITED, True, Reason.SUSPECT_BUSY),
        (replace(PAGER, quiet_since=ago(hours=10)), LIMITED, False, Reason.MAX_BUSY),
    ],
)
def test_the_row_of_a_program(
    program: Program, policy: Policy, holds: bool, reason: Reason
) -> None:
    row = describe(program, policy, NOW, NOW)
    assert (row.holds, row.reason) == (holds, reason)
    assert row.detail.endswith(".")


@pytest.mark.parametrize("io_unknown", [True, False])
@pytest.mark.parametrize(
    ("hours", "policy"),
    [(9, SUSPECT), (9, LIMITED), (10, LIMITED)],
    ids=["suspect", "before max_busy", "after max_busy"],
)
def test_row_of_a_suspect_program_names_its_other_user(
    hours: int, policy: Policy, io_unknown: bool
) -> None:
    program = replace(PAGER, quiet_since=ago(hours=hours), io_unknown=io_unknown)
    row = describe(program, policy, NOW, NOW)
    decision = decision_on(OWN, policy, (program,), ago(hours=hours))
    assert (IO_UNKNOWN in row.detail) is io_unknown
    assert (IO_UNKNOWN in decision.detail) is io_unknown
    assert ("work_unknown" in decision.parameters) is io_unknown
    assert decision.reason in (Reason.SUSPECT_BUSY, Reason.MAX_BUSY)


@pytest.mark.parametrize(
    ("active_at", "policy", "holds"),
    [
        (NOW, SUSPECT, True),
        (ago(hours=7, minutes=59), SUSPECT, True),
        (ago(hours=8, minutes=1), SUSPECT, False),
        (ago(hours=8, minutes=1), LIMITED, False),
        (ago(hours=8), replace(SUSPECT, suspect_after=9 * HOUR), True),
    ],
)
def test_row_of_an_unreadable_kernel_agrees_with_the_idle_clock_of_its_app(
    active_at: datetime, policy: Policy, holds: bool
) -> None:
    """The kernel keeps the app in the report exactly as long as it counts for the app's idle
    clock."""
    kernel = replace(NOTEBOOK, state="unanswered", quiet_since=NOW)
    snapshot, ledger = alone(OWN, (kernel,), active_at, ASKED)
    ((program, state),) = describe_all(snapshot, ledger, policy, NOW)
    assert (program, state.holds, state.reason) == (kernel, holds, Reason.UNKNOWN)
    sign = Answer(OWN.ref, True, activity={Signal.BACKGROUND_IO: NOW})
    ledger = record_answers(ledger, [sign], NOW)
    since, _ = activity(ledger.marks[OWN.ref], policy.caps)
    assert (since == NOW) is holds
    assert ("no longer" in state.detail) is not holds

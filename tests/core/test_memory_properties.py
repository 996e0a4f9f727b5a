"""Neither lost memory nor a restart causes a removal, over every history that Hypothesis draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from histories import (
    BEGIN,
    MINUTE,
    Life,
    Look,
    Past,
    histories,
    ledger_of,
    live,
    lives,
    look,
    onwards,
    pasts,
    policies,
)
from hypothesis import example, given
from hypothesis import strategies as st

from auto_shutdown.core import ledger_json as archive
from auto_shutdown.core.decision import Reason
from auto_shutdown.core.model import Snapshot, Terminal
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy


def looks_at_a_terminal(*looks: tuple[int, Terminal]) -> list[Look]:
    """Observations of one terminal, each with the minutes since the observation before."""
    return [Look(after * MINUTE, Snapshot(terminals=(seen,))) for after, seen in looks]


#: Last used nine minutes before the first look, and ten before a heartbeat shows it.
_USED = Terminal("1", input_at=BEGIN - MINUTE)


_LATE_HEARTBEAT = looks_at_a_terminal(
    (9, _USED), (9, _USED), (1, replace(_USED, heartbeat_at=BEGIN))
)


@given(histories, policies, pasts, st.integers(0, 11))
@example(
    # The heartbeat shows at the last look. It is older than the notice, and must not void it.
    _LATE_HEARTBEAT,
    Policy(idle_timeout=10 * MINUTE, warn=MINUTE, shortest=MINUTE),
    Past(),
    0,
)
def test_lost_memory_never_causes_a_removal(
    history: list[Look], policy: Any, past: Any, pass_with_loss: int
) -> None:
    """A crash or a damaged file loses the memory before one of the passes. Keep-alives are on disk
    and survive."""
    # The extension knows background work only after a query, and queries shortly before a removal.
    # If the removal is later, so is the query (docs/decisions/006).
    history = onwards([replace(seen, working=frozenset()) for seen in history])
    # Without the memory of a failure, the extension repeats a removal that it had decided before.
    past = replace(past, failures={})
    kept = live(history, policy, past)
    index = pass_with_loss % len(history)
    now, ledger = BEGIN, ledger_of(past)
    unread_since_the_loss: set[str] = set()
    for number, seen in enumerate(history):
        now += seen.after
        if number == index:
            fresh = archive.restore(
                marks=None,
                holds={"keep_alive": archive.holds_to_json(ledger)},
                boot=None,
                quiet_until=max(now, ledger.quiet_until),
                latest_hold=now + timedelta(days=99),
                now=now,
                monotonic=0.0,
            )
            ledger = fresh
            unread_since_the_loss = {Snapshot.KERNELS, Snapshot.TERMINALS, Snapshot.APPS}
        if number >= index:
            # The last values of an unread source were in the server's memory, too.
            unread_since_the_loss &= seen.snapshot.unread.keys()
            nothing: dict[str, Any] = dict.fromkeys(unread_since_the_loss, ())
            seen = replace(seen, snapshot=replace(seen.snapshot, **nothing))
        ledger, plan = look(ledger, seen, policy, now)
    lost = {d.ref for d in plan.removals}
    # A vetoed removal is asked about again at once. The clock of an unknown resource starts anew.
    unsure = {d.ref for d in kept.plan.decisions if d.reason in (Reason.UNKNOWN, Reason.VETOED)}
    assert not lost - kept.removed - unsure


@given(lives)
def test_a_clean_restart_removes_nothing_sooner(life: Life) -> None:
    """The server writes its memory and ends. The next server reads it, and observes a moment
    later."""
    saved = {"boot": "b", "clean": True, "marks": archive.marks_to_json(life.ledger)}
    ledger = archive.restore(
        marks=saved,
        holds={"keep_alive": archive.holds_to_json(life.ledger)},
        boot="b",
        quiet_until=life.now,
        latest_hold=life.now + timedelta(days=99),
        now=life.now,
        monotonic=0.0,
    )
    for ref, mark in ledger.marks.items():
        assert mark.active_at >= life.ledger.marks[ref].active_at
    plan = decide(life.snapshot, ledger, life.policy, life.now)
    failing = {d.ref for d in life.plan.decisions if d.reason is Reason.BACKING_OFF}
    vetoed = {d.ref for d in life.plan.decisions if d.reason is Reason.VETOED}
    assert not {d.ref for d in plan.removals} - life.removed - failing - vetoed

"""A scene in which nothing was used for some time, and which of its resources are queried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scene import (
    APP,
    IMAGE_TERMINAL,
    KERNEL,
    NOW,
    TERMINAL,
    Scene,
    ago,
    mark,
)

from auto_shutdown.core.advance import advance
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import Ref, Snapshot
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.questions import questions

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def idle_for(span: timedelta, **work: object) -> Scene:
    """A scene in which no resource was used for this long. ``work`` is the last known answer of
    each."""
    since = NOW - span
    known = Work(**work)  # type: ignore[arg-type]
    marks = {
        KERNEL.ref: mark(since, "idle", APP.id, work=known),
        TERMINAL.ref: mark(since, "prompt", work=known),
        IMAGE_TERMINAL.ref: mark(since, "prompt", APP.id, stamps={}, work=known),
        APP.ref: mark(
            since,
            "InService",
            stamps={},
            incarnation=APP.created_at.isoformat() if APP.created_at else "",
            work=known,
        ),
    }
    return Scene(
        kernel=replace(KERNEL, last_activity=since),
        terminal=replace(TERMINAL, last_activity=since),
        ledger=Ledger(ago(days=1), marks),
    )


def asked_in(snapshot: Snapshot, ledger: Ledger, policy: Policy) -> set[Ref]:
    ledger = advance(ledger, snapshot, NOW)
    plan = decide(snapshot, ledger, policy, NOW)
    return set(questions(snapshot, plan, ledger, policy, NOW))

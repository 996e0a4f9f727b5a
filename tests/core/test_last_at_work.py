"""The last activity on this server, which the extension reports to other tools."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from scene import KERNEL, NOW, OWN, TERMINAL, ago, mark

from auto_shutdown.core.last_at_work import last_at_work
from auto_shutdown.core.ledger import Hold, Ledger, Veto
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import EVERYTHING, Snapshot, Unread

SOON = NOW + timedelta(minutes=1)
QUIET = Snapshot((KERNEL,), (TERMINAL,), (OWN,))
NOTHING = Ledger(NOW, marks={KERNEL.ref: mark(ago(hours=3), "idle")})


def busy(**more: object) -> Snapshot:
    return replace(QUIET, kernels=(replace(KERNEL, state="busy", **more),))  # type: ignore[arg-type]


def marked(**more: object) -> Ledger:
    return replace(NOTHING, marks={KERNEL.ref: replace(NOTHING.marks[KERNEL.ref], **more)})  # type: ignore[arg-type]


def kernel(**more: object) -> Snapshot:
    return replace(QUIET, kernels=(replace(KERNEL, **more),))  # type: ignore[arg-type]


def unread(source: str) -> Snapshot:
    return replace(QUIET, unread={source: Unread(source, "TimedOut", "", "")})


AT_WORK = {
    "a busy kernel": (busy(), NOTHING, NOW),
    "one that waits for a client": (busy(waiting_for="input", connections=1), NOTHING, NOW),
    "one that waits alone": (busy(waiting_for="input", connections=0), NOTHING, None),
    "an idle kernel": (QUIET, NOTHING, None),
    "a command in a terminal": (
        replace(QUIET, terminals=(replace(TERMINAL, running_job="make"),)),
        NOTHING,
        NOW,
    ),
    "a job in the background": (QUIET, marked(work=Work(NOW, NOW, "working")), NOW),
    "none found": (QUIET, marked(work=Work(NOW, NOW, "none")), None),
    "a keep-alive": (QUIET, replace(NOTHING, holds={EVERYTHING: Hold(SOON)}), NOW),
    "one that is over": (QUIET, replace(NOTHING, holds={EVERYTHING: Hold(NOW)}), None),
    "an objection": (QUIET, replace(NOTHING, vetoes={OWN.ref: Veto("x", "no", SOON)}), NOW),
    "one that is withdrawn": (QUIET, replace(NOTHING, vetoes={OWN.ref: Veto("x", "", NOW)}), None),
    "a heartbeat": (QUIET, marked(signal="heartbeat", active_at=ago(hours=1)), ago(hours=1)),
    "a kernel that cannot be read": (kernel(unreadable="no file descriptors"), NOTHING, NOW),
    "a terminal that cannot be read": (
        replace(QUIET, terminals=(replace(TERMINAL, unreadable="no device"),)),
        NOTHING,
        NOW,
    ),
    "a kernel whose gateway refuses": (kernel(refused="HTTP 502"), NOTHING, NOW),
    "a dead one whose gateway refuses": (kernel(refused="x", state="dead"), NOTHING, None),
    "one that is stuck in starting": (kernel(refused="x", state="starting"), NOTHING, None),
    "a kernel in a state that is not known": (kernel(state="paused"), NOTHING, NOW),
    "kernels that cannot be listed": (unread(Snapshot.KERNELS), NOTHING, NOW),
    "terminals that cannot be listed": (unread(Snapshot.TERMINALS), NOTHING, NOW),
    "apps that cannot be listed": (unread(Snapshot.APPS), NOTHING, None),
    "processes that cannot be read": (QUIET, marked(work=Work(NOW, NOW, "unread")), NOW),
    "a kernel that nobody can ask": (QUIET, marked(work=Work(NOW, NOW, "unanswered")), None),
    "only presence": (QUIET, marked(weak={"presence": NOW}), None),
}


@pytest.mark.parametrize("name", AT_WORK)
def test_last_activity_reported_to_the_host(name: str) -> None:
    snapshot, ledger, expected = AT_WORK[name]
    assert last_at_work(snapshot, ledger, NOW) == expected

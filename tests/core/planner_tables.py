"""The planner's tables for kernels, and the scene in which everything is idle and due. Each row
changes one thing of the scene, and gives the reason that the planner must name. app_tables.py and
terminal_tables.py have the tables for apps and terminals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scene import (
    APP,
    ASKED,
    KERNEL,
    LIMIT,
    NOW,
    Scene,
    ago,
    joined,
    other,
    with_kernel,
    with_ledger,
    with_mark,
    with_policy,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Failure, Hold, Veto
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import EVERYTHING, IOPubActivity, Program
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.policy import Rule

IDLE_SCENE = Scene()
HOUR = timedelta(hours=1)
FAILED = Outcome(Result.TEMPORARY, "It failed.", "ThrottlingException", "Wait.")


def busy(still: timedelta, result: str = "none", **policy: object) -> Scene:
    """A busy kernel whose last message is this old."""
    since = NOW - still
    scene = with_policy(with_kernel(IDLE_SCENE, state="busy"), **policy)
    asked = replace(ASKED, result=result)
    return with_mark(
        scene, KERNEL.ref, state="busy", state_since=since, quiet_since=since, work=asked
    )


def pager(still: timedelta, **policy: object) -> Scene:
    """A pager in tmux that the kernel started. It has shown no sign of work for this long."""
    program = Program("pts/3", "terminal", "less", quiet_since=NOW - still)
    scene = with_policy(replace(IDLE_SCENE, programs=(program,)), suspect_after=2 * HOUR, **policy)
    work = replace(ASKED, result="working", detail="less, detached, runs", programs=("pts/3",))
    return with_mark(scene, KERNEL.ref, work=work)


def low_host_use(still: timedelta, **policy: object) -> Scene:
    """An app in another container, whose host has used the processor only a little for this
    long."""
    used = "its host used 10% of a core, perhaps for an agent or another app"
    work = replace(ASKED, result="working", detail=used, low_use_since=NOW - still)
    scene = with_policy(IDLE_SCENE, suspect_after=HOUR, **policy)
    return with_mark(scene, APP.ref, work=work)


def cluster(still: timedelta, request: timedelta = 9 * HOUR, **policy: object) -> Scene:
    """Idle workers of the kernel, which have used the processor only a little for this long. The
    kernel got its last request ``request`` ago."""
    used = "its processes used 11% of a core"
    work = replace(ASKED, result="working", detail=used, low_use_since=NOW - still)
    kernel = replace(KERNEL, iopub=IOPubActivity(request_at=NOW - request))
    scene = with_policy(replace(IDLE_SCENE, kernel=kernel), suspect_after=2 * HOUR, **policy)
    return with_mark(scene, KERNEL.ref, work=work, stamps={"request": NOW - request})


def unanswered(still: timedelta, **policy: object) -> Scene:
    """A kernel whose shell has not answered for this long."""
    return with_kernel(busy(still, **policy), shell_silent=True)


def refused(still: timedelta, state: str = "starting", **policy: object) -> Scene:
    """A kernel whose gateway has refused each connection for this long."""
    scene = with_kernel(with_policy(IDLE_SCENE, **policy), state=state, refused="HTTP 404")
    since = NOW - still
    return with_mark(
        scene, KERNEL.ref, state=state, state_since=since, quiet_since=since, work=UNREAD
    )


def waiting(for_what: str, connections: int) -> Scene:
    scene = with_kernel(IDLE_SCENE, state="busy", waiting_for=for_what, connections=connections)
    alone = connections == 0
    return with_mark(scene, KERNEL.ref, state="busy", alone=alone, quiet_since=ago(hours=3))


WORKING = Work(NOW, NOW, "working", "99 % of a core")
INCONCLUSIVE = Work(NOW)
UNANSWERED = Work(NOW, NOW, "unanswered", "it does not answer")
UNREAD = Work(NOW, NOW, "unread", "/proc cannot be read (Too many open files)")
VETO = Veto("backup", "the nightly copy runs", NOW + timedelta(minutes=1))
VETOED_UNTIL_NOW = replace(VETO, until=NOW)

KERNEL_ROWS = {
    "a cell that runs beside an idle cluster": (
        with_mark(
            busy(9 * HOUR, suspect_after=2 * HOUR),
            KERNEL.ref,
            work=replace(ASKED, result="working", low_use_since=ago(hours=9)),
        ),
        Reason.BUSY,
    ),
    "an idle cluster for an hour": (cluster(HOUR), Reason.BACKGROUND_WORK),
    "an idle cluster for two hours": (cluster(2 * HOUR), Reason.SUSPECT_BUSY),
    "an idle cluster before max_busy": (cluster(3 * HOUR, max_busy=4 * HOUR), Reason.SUSPECT_BUSY),
    "an idle cluster, and a request": (cluster(3 * HOUR, HOUR), Reason.BACKGROUND_WORK),
    "an idle cluster, and output": (
        with_mark(cluster(3 * HOUR), KERNEL.ref, weak={"output": ago(hours=1)}),
        Reason.BACKGROUND_WORK,
    ),
    "an idle cluster, and output for longer than it counts": (
        with_mark(cluster(3 * HOUR, output_only=HOUR), KERNEL.ref, weak={"output": ago(minutes=5)}),
        Reason.SUSPECT_BUSY,
    ),
    "disabled": (with_policy(IDLE_SCENE, enabled=False), Reason.DISABLED),
    "its manager cannot be read": (replace(IDLE_SCENE, unread=("kernels",)), Reason.UNKNOWN),
    "this kernel cannot be read": (
        with_kernel(IDLE_SCENE, unreadable="TraitError"),
        Reason.UNKNOWN,
    ),
    "a state never heard of": (with_kernel(IDLE_SCENE, state="dreaming"), Reason.UNKNOWN),
    "busy, whatever its stamp": (with_kernel(IDLE_SCENE, state="busy"), Reason.BUSY),
    "a pager in tmux": (pager(HOUR), Reason.BACKGROUND_WORK),
    "a forgotten pager in tmux": (pager(3 * HOUR), Reason.SUSPECT_BUSY),
    "a forgotten pager in tmux, before max_busy": (
        pager(2 * HOUR, max_busy=3 * HOUR),
        Reason.SUSPECT_BUSY,
    ),
    "starting": (with_kernel(IDLE_SCENE, state="starting"), Reason.GRACE),
    "restarting": (with_kernel(IDLE_SCENE, state="restarting"), Reason.GRACE),
    "stuck in starting, not asked": (
        with_mark(
            with_kernel(IDLE_SCENE, state="starting"), KERNEL.ref, state="starting", work=Work()
        ),
        Reason.GRACE,
    ),
    "stuck in starting, and cannot be asked": (
        with_mark(
            with_kernel(IDLE_SCENE, state="starting"), KERNEL.ref, state="starting", work=UNREAD
        ),
        Reason.UNKNOWN,
    ),
    "its gateway refuses, for seven hours": (refused(7 * HOUR), Reason.UNKNOWN),
    "its gateway refuses, for eight hours": (refused(8 * HOUR, "idle"), Reason.SUSPECT_BUSY),
    "it never came up, its gateway refuses for eight hours, and its app is in use": (
        joined(refused(8 * HOUR), other(state="busy")),
        Reason.SUSPECT_BUSY,
    ),
    "listed as busy, and its gateway refuses": (refused(8 * HOUR, "busy"), Reason.BUSY),
    "its gateway refuses for less than max_busy_minutes": (
        refused(9 * HOUR, "idle", max_busy=10 * HOUR),
        Reason.SUSPECT_BUSY,
    ),
    "used an hour ago": (
        with_kernel(IDLE_SCENE, last_activity=ago(hours=1)),
        Reason.RECENT_ACTIVITY,
    ),
    "a stamp of tomorrow": (
        with_kernel(IDLE_SCENE, last_activity=NOW + HOUR),
        Reason.RECENT_ACTIVITY,
    ),
    "connected and protected": (with_policy(IDLE_SCENE, protect_connected=True), Reason.CONNECTED),
    "its own longer limit": (
        with_policy(IDLE_SCENE, kernel_idle_timeout=timedelta(hours=8)),
        Reason.RECENT_ACTIVITY,
    ),
    "a rule for its instance": (
        with_policy(IDLE_SCENE, rules=(Rule(8 * HOUR, instance_type="ml.g5.*"),)),
        Reason.RECENT_ACTIVITY,
    ),
    "a rule for its kernel": (
        with_policy(IDLE_SCENE, rules=(Rule(8 * HOUR, kernel_name="py*"),)),
        Reason.RECENT_ACTIVITY,
    ),
    "a rule for its image": (
        with_policy(IDLE_SCENE, rules=(Rule(8 * HOUR, image="pytorch-*"),)),
        Reason.RECENT_ACTIVITY,
    ),
    "kept alive": (
        with_ledger(IDLE_SCENE, holds={KERNEL.ref: Hold(NOW + HOUR)}),
        Reason.KEPT_ALIVE,
    ),
    "its app kept alive": (
        with_ledger(IDLE_SCENE, holds={APP.ref: Hold(NOW + HOUR)}),
        Reason.KEPT_ALIVE,
    ),
    "kept alive, with a note": (
        with_ledger(IDLE_SCENE, holds={KERNEL.ref: Hold(NOW + HOUR, "waits for a review")}),
        Reason.KEPT_ALIVE,
    ),
    "all kept alive": (
        with_ledger(IDLE_SCENE, holds={EVERYTHING: Hold(NOW + HOUR)}),
        Reason.KEPT_ALIVE,
    ),
    "busy, silent and still, for seven hours": (busy(7 * HOUR), Reason.BUSY),
    "busy, silent and still, for eight": (busy(8 * HOUR), Reason.SUSPECT_BUSY),
    "busy and silent, its processor time unknown": (busy(9 * HOUR, "unanswered"), Reason.BUSY),
    "busy and still for less than max_busy_minutes": (
        busy(2 * HOUR, max_busy=3 * HOUR),
        Reason.BUSY,
    ),
    "its shell does not answer": (unanswered(HOUR), Reason.BUSY),
    "its shell has not answered for eight hours": (unanswered(8 * HOUR), Reason.SUSPECT_BUSY),
    "waits in input() with a client": (waiting("input", 1), Reason.BUSY),
    "stopped in the debugger with a client": (waiting("debugger", 1), Reason.BUSY),
    "a thread at work": (with_mark(IDLE_SCENE, KERNEL.ref, work=WORKING), Reason.BACKGROUND_WORK),
    "its processes cannot be read": (
        with_mark(IDLE_SCENE, KERNEL.ref, work=UNREAD),
        Reason.UNKNOWN,
    ),
    "not yet asked for work": (with_mark(IDLE_SCENE, KERNEL.ref, work=Work()), Reason.GRACE),
    "asked, not long enough watched": (
        with_mark(IDLE_SCENE, KERNEL.ref, work=INCONCLUSIVE),
        Reason.GRACE,
    ),
    "asked long ago": (
        with_mark(IDLE_SCENE, KERNEL.ref, work=replace(ASKED, answered_at=ago(minutes=5))),
        Reason.GRACE,
    ),
    "printing by itself": (
        with_mark(IDLE_SCENE, KERNEL.ref, weak={"output": ago(minutes=10)}),
        Reason.OUTPUT,
    ),
    "a person is present in JupyterLab": (
        with_mark(IDLE_SCENE, KERNEL.ref, weak={"presence": ago(minutes=10)}),
        Reason.PRESENCE,
    ),
    "a request ten minutes ago": (
        with_kernel(IDLE_SCENE, iopub=IOPubActivity(request_at=ago(minutes=10))),
        Reason.RECENT_ACTIVITY,
    ),
    "its kernelspec's own limit": (
        with_kernel(IDLE_SCENE, own_limit=8 * HOUR),
        Reason.RECENT_ACTIVITY,
    ),
    "a hook vetoes": (with_ledger(IDLE_SCENE, vetoes={KERNEL.ref: VETO}), Reason.VETOED),
    "the server has just started": (with_ledger(IDLE_SCENE, quiet_until=NOW + HOUR), Reason.GRACE),
    "removing it failed": (
        with_kernel(
            with_ledger(IDLE_SCENE, failures={KERNEL.ref: Failure(1, NOW + HOUR, FAILED)}), app=None
        ),
        Reason.BACKING_OFF,
    ),
    "no notice was given yet": (with_policy(IDLE_SCENE, warn=timedelta(minutes=5)), Reason.GRACE),
}

KERNEL_STILL_REMOVED = {
    "a client is connected": with_kernel(IDLE_SCENE, connections=5),
    "no stamp at all": with_kernel(IDLE_SCENE, last_activity=None),
    "dead for hours": with_kernel(IDLE_SCENE, state="dead"),
    "a keep-alive that ended": with_ledger(IDLE_SCENE, holds={KERNEL.ref: Hold(NOW)}),
    "a keep-alive on another app": with_ledger(
        IDLE_SCENE, holds={replace(APP, name="other").ref: Hold(NOW + HOUR)}
    ),
    "sessions unread": replace(IDLE_SCENE, unread=("sessions",)),
    "apps unread": replace(IDLE_SCENE, unread=("apps",)),
    "a rule for others": with_policy(IDLE_SCENE, rules=(Rule(8 * HOUR, instance_type="ml.p4d.*"),)),
    "the second rule": with_policy(
        IDLE_SCENE, rules=(Rule(HOUR, kernel_name="python3"), Rule(8 * HOUR, instance_type="*"))
    ),
    "a retry that is due": with_ledger(IDLE_SCENE, failures={KERNEL.ref: Failure(3, NOW, FAILED)}),
}

REMOVED_KERNEL_ROWS = {
    "an idle cluster after max_busy": (cluster(4 * HOUR, max_busy=4 * HOUR), Reason.MAX_BUSY),
    "waits in input() without a client": (waiting("input", 0), Reason.IDLE),
    "stopped in the debugger without a client": (waiting("debugger", 0), Reason.IDLE),
    "a pager in tmux after max_busy": (pager(4 * HOUR, max_busy=4 * HOUR), Reason.MAX_BUSY),
    "a kernel that cannot be asked": (
        with_mark(IDLE_SCENE, KERNEL.ref, work=UNANSWERED),
        Reason.IDLE,
    ),
    "printing for longer than output counts": (
        with_policy(
            with_mark(IDLE_SCENE, KERNEL.ref, weak={"output": NOW}),
            output_only=timedelta(minutes=30),
        ),
        Reason.IDLE,
    ),
    "presence for longer than presence counts": (
        with_policy(
            with_mark(IDLE_SCENE, KERNEL.ref, weak={"presence": NOW}),
            presence_max=timedelta(minutes=30),
        ),
        Reason.IDLE,
    ),
    "an old request, and a new stamp that a reconnect moved": (
        with_kernel(IDLE_SCENE, last_activity=NOW, iopub=IOPubActivity(request_at=ago(hours=3))),
        Reason.IDLE,
    ),
    "its kernelspec's limit is short": (
        with_policy(
            with_kernel(IDLE_SCENE, own_limit=HOUR), idle_timeout=8 * HOUR, app_idle_timeout=LIMIT
        ),
        Reason.IDLE,
    ),
    "busy and still for as long as max_busy_minutes": (
        busy(3 * HOUR, max_busy=3 * HOUR),
        Reason.MAX_BUSY,
    ),
    "its gateway refuses for as long as max_busy_minutes": (
        refused(9 * HOUR, max_busy=9 * HOUR),
        Reason.MAX_BUSY,
    ),
    "a veto that is over": (
        with_ledger(IDLE_SCENE, vetoes={KERNEL.ref: VETOED_UNTIL_NOW}),
        Reason.IDLE,
    ),
}

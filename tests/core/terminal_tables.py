"""The planner's tables for terminals. Each row changes one thing of the scene in which everything
is idle and due, and gives the reason that the planner must name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from planner_tables import HOUR, IDLE_SCENE, UNREAD, VETO, WORKING
from scene import (
    ASKED,
    NOW,
    TERMINAL,
    Scene,
    ago,
    with_ledger,
    with_mark,
    with_policy,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Hold
from auto_shutdown.core.marks import Work


def running(still: timedelta, printed: timedelta, shows: bool = False, **policy: object) -> Scene:
    """A command runs in the terminal's foreground. It has had no key and no sign of work for this
    long, and printed its last output ``printed`` ago."""
    terminal = replace(TERMINAL, running_job="python", only_shows=shows)
    scene = with_policy(replace(IDLE_SCENE, terminal=terminal), **policy)
    since, weak = NOW - still, {"output": NOW - printed}
    return with_mark(
        scene, TERMINAL.ref, state="running", state_since=since, quiet_since=since, weak=weak
    )


def of_another_user(still: timedelta, **policy: object) -> Scene:
    """A silent command that another user runs (``sudo``)."""
    work = replace(ASKED, io_unknown=True)
    return with_mark(running(still, still, **policy), TERMINAL.ref, work=work)


def monitor(still: timedelta, of_another_user: bool = False, **policy: object) -> Scene:
    """A command that only reads a few bytes, like ``vmstat 1`` or an idle ``ssh``."""
    scene = running(still, still, **policy)
    work = replace(ASKED, io_unknown=of_another_user)
    return with_mark(scene, TERMINAL.ref, weak={"background-io": NOW}, work=work)


def idle_cluster(still: timedelta, **policy: object) -> Scene:
    """Several processes in the foreground that use the processor a little, and nothing else."""
    used = "its processes used 10% of a core"
    work = replace(ASKED, result="working", detail=used, low_use_since=NOW - still)
    return with_mark(running(still, still, **policy), TERMINAL.ref, work=work)


TERMINAL_ROWS = {
    "an idle cluster, for seven hours": (idle_cluster(7 * HOUR), Reason.RUNNING_JOB),
    "an idle cluster, for eight": (idle_cluster(8 * HOUR), Reason.SUSPECT_BUSY),
    "an idle cluster that was at work since": (
        with_mark(idle_cluster(8 * HOUR), TERMINAL.ref, quiet_since=ago(hours=1)),
        Reason.RUNNING_JOB,
    ),
    "a command that works": (
        with_mark(running(9 * HOUR, 9 * HOUR), TERMINAL.ref, work=WORKING),
        Reason.RUNNING_JOB,
    ),
    "disabled": (with_policy(IDLE_SCENE, enabled=False), Reason.DISABLED),
    "unread": (replace(IDLE_SCENE, unread=("terminals",)), Reason.UNKNOWN),
    "unreadable": (
        replace(IDLE_SCENE, terminal=replace(TERMINAL, unreadable="bad")),
        Reason.UNKNOWN,
    ),
    "a job in the foreground": (
        replace(IDLE_SCENE, terminal=replace(TERMINAL, running_job="python")),
        Reason.RUNNING_JOB,
    ),
    "a silent command, for seven hours": (running(7 * HOUR, 7 * HOUR), Reason.RUNNING_JOB),
    "a silent command, for eight": (running(8 * HOUR, 8 * HOUR), Reason.SUSPECT_BUSY),
    "a silent command of another user, for seven hours": (
        of_another_user(7 * HOUR),
        Reason.RUNNING_JOB,
    ),
    "a silent command of another user, for eight": (of_another_user(8 * HOUR), Reason.SUSPECT_BUSY),
    "a silent command of another user, before max_busy_minutes": (
        of_another_user(8 * HOUR, max_busy=9 * HOUR, suspect_after=7 * HOUR),
        Reason.SUSPECT_BUSY,
    ),
    "the same while it prints": (running(9 * HOUR, HOUR), Reason.RUNNING_JOB),
    "the same after two caps of printing": (running(17 * HOUR, HOUR), Reason.SUSPECT_BUSY),
    "only a little data, for eight hours": (monitor(8 * HOUR), Reason.RUNNING_JOB),
    "only a little data, for fifteen hours": (monitor(15 * HOUR), Reason.RUNNING_JOB),
    "only a little data, for sixteen hours": (monitor(16 * HOUR), Reason.SUSPECT_BUSY),
    "only data that another user hides, for eight hours": (
        monitor(8 * HOUR, of_another_user=True),
        Reason.SUSPECT_BUSY,
    ),
    "a pager that redraws": (running(9 * HOUR, HOUR, shows=True), Reason.SUSPECT_BUSY),
    "silent, and not asked": (
        with_mark(running(9 * HOUR, 9 * HOUR), TERMINAL.ref, work=Work()),
        Reason.RUNNING_JOB,
    ),
    "silent for less than max_busy_minutes": (
        running(2 * HOUR, 2 * HOUR, max_busy=3 * HOUR),
        Reason.RUNNING_JOB,
    ),
    "its processes cannot be read": (
        with_mark(IDLE_SCENE, TERMINAL.ref, work=UNREAD),
        Reason.UNKNOWN,
    ),
    "a job that only moves bytes": (
        with_mark(IDLE_SCENE, TERMINAL.ref, weak={"background-io": ago(minutes=10)}),
        Reason.BACKGROUND_WORK,
    ),
    "a detached job at work": (
        with_mark(IDLE_SCENE, TERMINAL.ref, work=WORKING),
        Reason.BACKGROUND_WORK,
    ),
    "not yet asked for work": (with_mark(IDLE_SCENE, TERMINAL.ref, work=Work()), Reason.GRACE),
    "printing by itself": (
        with_mark(IDLE_SCENE, TERMINAL.ref, weak={"output": ago(minutes=10)}),
        Reason.OUTPUT,
    ),
    "a hook vetoes": (with_ledger(IDLE_SCENE, vetoes={TERMINAL.ref: VETO}), Reason.VETOED),
    "kept by setting": (with_policy(IDLE_SCENE, keep_terminals=True), Reason.TERMINAL_OPEN),
    "kept by setting, its command silent for as long as max_busy_minutes": (
        running(3 * HOUR, 3 * HOUR, max_busy=3 * HOUR, keep_terminals=True),
        Reason.TERMINAL_OPEN,
    ),
    "kept by setting, with a silent command": (
        running(8 * HOUR, 8 * HOUR, keep_terminals=True),
        Reason.SUSPECT_BUSY,
    ),
    "a key an hour ago": (
        replace(IDLE_SCENE, terminal=replace(TERMINAL, last_activity=ago(hours=1))),
        Reason.RECENT_ACTIVITY,
    ),
    "its own limit": (
        with_policy(IDLE_SCENE, terminal_idle_timeout=8 * HOUR),
        Reason.RECENT_ACTIVITY,
    ),
    "kept alive": (
        with_ledger(IDLE_SCENE, holds={TERMINAL.ref: Hold(NOW + HOUR)}),
        Reason.KEPT_ALIVE,
    ),
}

REMOVED_TERMINAL_ROWS = {
    "only a little data, until max_busy_minutes are over": (
        monitor(11 * HOUR, max_busy=3 * HOUR),
        Reason.MAX_BUSY,
    ),
    "an idle cluster, for as long as max_busy_minutes": (
        idle_cluster(3 * HOUR, max_busy=3 * HOUR),
        Reason.MAX_BUSY,
    ),
    "a silent command of another user, for as long as max_busy_minutes": (
        of_another_user(3 * HOUR, max_busy=3 * HOUR),
        Reason.MAX_BUSY,
    ),
    "a silent job of another user beside an idle prompt": (
        with_mark(IDLE_SCENE, TERMINAL.ref, work=replace(ASKED, io_unknown=True)),
        Reason.IDLE,
    ),
    "a silent command, for as long as max_busy_minutes": (
        running(3 * HOUR, 3 * HOUR, max_busy=3 * HOUR),
        Reason.MAX_BUSY,
    ),
}

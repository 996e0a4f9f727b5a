"""What is worth asking about work in the background, and when.

Nothing else shows a thread or a child process that works silently in an idle kernel, but asking
has a price (a message to a kernel in another container, a walk through the process table). So only
what would otherwise be removed within a few minutes is asked, often enough that its processor
time can be judged over a window; what was found at work is asked again from time to time, so that
its clock starts when the work ends; and a busy kernel that has been still for long.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from .apps import MUTE, is_asked
from .due import window_of
from .ledger import Ledger
from .marks import BUSY, Mark, Work
from .model import App, Kernel, Ref, Resource, Snapshot, Terminal
from .policy import Policy
from .verdict import Decision, Plan, Reason

#: Asking begins so many windows before the time: one to begin with, one to judge, one to spare.
AHEAD = 3

#: What was found at work is asked again after this long (or a quarter of its limit).
RECHECK = timedelta(minutes=5)

#: A busy kernel that is still is asked so often within the time after which it is suspect.
LOOKS_AT_BUSY = 16


def questions(
    snapshot: Snapshot, plan: Plan, ledger: Ledger, policy: Policy, now: datetime
) -> dict[Ref, timedelta]:
    """What to ask now, and over which window it is to be judged."""
    return {
        ref: window
        for ref, (at, window) in _schedule(snapshot, plan, ledger, policy, now).items()
        if at <= now
    }


def next_question(
    snapshot: Snapshot, plan: Plan, ledger: Ledger, policy: Policy, now: datetime
) -> datetime | None:
    """When the next one is worth asking; None when none is in sight."""
    moments = (at for at, _ in _schedule(snapshot, plan, ledger, policy, now).values())
    return min((at for at in moments if at > now), default=None)


def _schedule(
    snapshot: Snapshot, plan: Plan, ledger: Ledger, policy: Policy, now: datetime
) -> Mapping[Ref, tuple[datetime, timedelta]]:
    if not policy.enabled:
        return {}
    terminals: dict[str, list[Terminal]] = {}
    for terminal in snapshot.terminals:
        if terminal.app is not None:
            terminals.setdefault(terminal.app, []).append(terminal)
    due: dict[Ref, tuple[datetime, timedelta]] = {}
    for resource, decision in zip(snapshot.resources, plan.decisions):
        mark = ledger.marks.get(resource.ref)
        work = mark.work if mark is not None else Work()
        if not _can_be_asked(resource, terminals):
            continue
        if isinstance(resource, Kernel) and resource.state == BUSY and not resource.waits_alone:
            if resource.shell_silent:
                limit, _ = policy.limit_of(resource)
                asked_at = work.asked_at or (mark.state_since if mark is not None else None) or now
                due[resource.ref] = asked_at + _until_asked_again(limit), window_of(limit)
                continue
            if resource.iopub is None and not resource.connections:
                continue  # it would lose the output that its gateway keeps for its client
            due[resource.ref] = _while_busy(mark, work, policy, now)
            continue
        if isinstance(resource, Terminal) and resource.running_job:
            due[resource.ref] = _while_busy(mark, work, policy, now)
            continue
        limit, _ = policy.limit_of(resource)
        begin = _when(decision, work, limit)
        if begin is not None:
            due[resource.ref] = begin, window_of(limit)
    return due


def _when(decision: Decision, work: Work, limit: timedelta) -> datetime | None:
    window = window_of(limit)
    works = decision.reason is Reason.BACKGROUND_WORK and decision.due_at is None
    if works and work.asked_at is not None:
        return work.asked_at + _until_asked_again(limit)
    if work.found == "unread" and work.asked_at is not None:
        return work.asked_at + window
    if decision.due_at is None or decision.reason is Reason.APP_REMOVED:
        return None
    begin = decision.due_at - AHEAD * window
    if work.asked_at is None or work.asked_at < begin:
        return begin
    if work.found == "untold":
        return work.asked_at + window  # it would only cost its time-out once more
    # At the very moment of a removal, whatever was asked before.
    return min(work.asked_at + window, max(decision.due_at, work.asked_at + window / 8))


def _while_busy(
    mark: Mark | None, work: Work, policy: Policy, now: datetime
) -> tuple[datetime, timedelta]:
    """When something busy is asked whether it still shows work, and over which window."""
    window = policy.suspect_window / LOOKS_AT_BUSY
    still_since = mark.quiet_since if mark is not None else None
    known = (at for at in (still_since, work.asked_at) if at is not None)
    return max(known, default=now) + window, window


def _until_asked_again(limit: timedelta) -> timedelta:
    """How long after it was found at work something is asked again."""
    return max(window_of(limit), min(RECHECK, limit / 4))


def _can_be_asked(resource: Resource, terminals: Mapping[str, list[Terminal]]) -> bool:
    if isinstance(resource, App):
        return is_asked(resource, terminals.get(resource.id, []))
    if isinstance(resource, Terminal):
        return not (resource.in_image or resource.unreadable)
    return not (resource.unreadable or resource.state in MUTE)

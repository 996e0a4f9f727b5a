"""Which resources to query for background work, and when.

Only a query shows a thread or a child process that works silently in an idle kernel. But a query
has a cost: a message to a kernel in another container, or a walk through the process table. So
these resources are queried:

- a resource that is due within a few minutes, often enough to measure its processor time;
- an app in another container while one of its kernels is due: the last kernel that can report the
  work of the app must not be removed before;
- a resource whose last answer showed background work, so that its idle clock starts when that ends;
- a busy kernel or terminal that has shown no sign of work for a long time;
- a kernel that has been starting for longer than the startup grace period: its manager may have
  missed that it came up.

A resource whose removal ``dry_run`` has rehearsed is queried less often: without ``dry_run`` it
would be gone.

A resource whose removal is in progress is not queried (under_way.py).

While the setting ``enabled`` is off, nothing is due. The other queries go on. Otherwise nobody
would notice the end of work, and the report to other tools that stop idle servers
(last_at_work.py) would say for ever that something works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from .apps import Tenant, is_reporter, needs_work_query, tenants_by_app
from .decision import Decision, Plan, Reason
from .due import window_of
from .ledger import Ledger
from .marks import BUSY, COMING_UP, DEAD, Mark, Work
from .model import App, Kernel, Ref, Resource, Snapshot, Terminal
from .policy import Policy
from .witness import loses_output_if_asked

#: Queries begin this many windows before the due time: one to start the measurement, one to end it
#: and one to spare.
AHEAD = 3

#: A resource with background work is queried again after this time, or a quarter of its limit where
#: that is shorter.
RECHECK = timedelta(minutes=5)

#: How often a busy kernel is queried within the time after which it is suspect.
LOOKS_AT_BUSY = 16


Schedule = Mapping[Ref, "tuple[datetime, timedelta]"]


def questions(
    snapshot: Snapshot, plan: Plan, ledger: Ledger, policy: Policy, now: datetime
) -> dict[Ref, timedelta]:
    """The resources to query now, each with the window over which to measure its processor time."""
    return questions_now(schedule(snapshot, plan, ledger, policy, now), now)


def questions_now(planned: Schedule, now: datetime) -> dict[Ref, timedelta]:
    """The :func:`questions` of a schedule."""
    return {ref: window for ref, (at, window) in planned.items() if at <= now}


def next_question(planned: Schedule, now: datetime) -> datetime | None:
    """When the next query is due after ``now``; None if none is planned."""
    return min((at for at, _ in planned.values() if at > now), default=None)


def schedule(
    snapshot: Snapshot, plan: Plan, ledger: Ledger, policy: Policy, now: datetime
) -> Schedule:
    """When to query each resource, and the window over which to measure its processor time. Of the
    ``ledger`` only the marks and the rehearsed removals count."""
    tenants: Mapping[str, Sequence[Tenant]] = {}
    removable: Mapping[Ref, Decision] = {}
    if any(not app.own for app in snapshot.apps):  # only apps in other containers need these
        tenants = tenants_by_app(snapshot)
        removable = {d.ref: d for d in plan.decisions if _may_be_removed(d, ledger, policy, now)}
    due: dict[Ref, tuple[datetime, timedelta]] = {}
    for resource, decision in zip(snapshot.resources, plan.decisions):
        mark = ledger.marks.get(resource.ref)
        work = mark.work if mark is not None else Work()
        if not _can_be_queried(resource, work, tenants):
            continue
        if isinstance(resource, Kernel) and resource.state == BUSY and not resource.waits_alone:
            if resource.shell_silent:
                limit, _ = policy.limit_of(resource)
                asked_at = _last_asked(mark, work, now)
                due[resource.ref] = asked_at + _recheck_interval(limit), window_of(limit)
                continue
            if loses_output_if_asked(resource):
                continue
            due[resource.ref] = _while_busy(mark, work, policy, now)
            continue
        if isinstance(resource, Terminal) and resource.running_job:
            due[resource.ref] = _while_busy(mark, work, policy, now)
            continue
        limit, _ = policy.limit_of(resource)
        rehearsed = ledger.was_rehearsed(resource.ref, decision.idle_since)
        if policy.dry_run and decision.removes and rehearsed:
            # dry_run leaves it running, so work may begin in it. SageMaker's own idle shutdown goes
            # by the activity that this extension reports, which must include that work.
            if work.asked_at is not None:
                due[resource.ref] = work.asked_at + _recheck_interval(limit), window_of(limit)
            continue
        if isinstance(resource, Kernel) and resource.refused:
            asked_at = _last_asked(mark, work, now)
            due[resource.ref] = asked_at + window_of(limit), window_of(limit)
            continue
        if isinstance(resource, App):
            decision = _with_first_kernel(decision, resource, tenants, removable)
        begin = _query_at(decision, work, limit)
        if isinstance(resource, Kernel) and resource.state in COMING_UP:
            begin = _when_stuck(mark, work, limit, begin, policy, now)
        if begin is not None:
            due[resource.ref] = begin, window_of(limit)
    return due


def _may_be_removed(decision: Decision, ledger: Ledger, policy: Policy, now: datetime) -> bool:
    """Whether the resource is removed now or has a due time. A removal that ``dry_run`` has
    rehearsed does not count: it happens no second time."""
    if policy.dry_run and ledger.was_rehearsed(decision.ref, decision.idle_since):
        return False
    return decision.due_at is not None and (decision.removes or decision.due_at > now)


def _with_first_kernel(
    decision: Decision,
    app: App,
    tenants: Mapping[str, Sequence[Tenant]],
    removable: Mapping[Ref, Decision],
) -> Decision:
    """The decision on ``app`` with the due time of the first kernel of it that may report its work,
    if that kernel is due before the app."""
    if app.own:
        return decision
    kernels = (
        removable[tenant.ref]
        for tenant in tenants.get(app.id, ())
        if isinstance(tenant, Kernel) and tenant.ref in removable and is_reporter(app, tenant)
    )
    dues = [d.due_at for d in (decision, *kernels) if d.due_at is not None]
    return replace(decision, due_at=min(dues)) if dues else decision


def _last_asked(mark: Mark | None, work: Work, now: datetime) -> datetime:
    """When the resource was last queried; if it never was, when it came into its state."""
    return work.asked_at or (mark.state_since if mark is not None else None) or now


def _query_at(decision: Decision, work: Work, limit: timedelta) -> datetime | None:
    window = window_of(limit)
    if work.result == "unread" and work.asked_at is not None:
        return work.asked_at + window
    again = None
    if work.result == "working" and work.asked_at is not None:
        again = work.asked_at + _recheck_interval(limit)
    if decision.due_at is None or decision.reason is Reason.APP_REMOVED:
        return again  # also if it is kept for another reason: nothing else shows when work ends
    begin = decision.due_at - AHEAD * window
    if work.asked_at is None or work.asked_at < begin:
        return begin if again is None else min(again, begin)
    if work.result == "unanswered":
        return work.asked_at + window  # another query would only time out again
    # Query again at the time of the removal, even shortly after another query.
    return min(work.asked_at + window, max(decision.due_at, work.asked_at + window / 8))


def _when_stuck(
    mark: Mark | None,
    work: Work,
    limit: timedelta,
    before_removal: datetime | None,
    policy: Policy,
    now: datetime,
) -> datetime:
    """When to query a starting kernel: after the startup grace period, and then regularly."""
    since = mark.state_since if mark is not None else None
    stuck_at = (since or now) + policy.startup_grace
    if work.asked_at is None:
        return stuck_at
    again = work.asked_at + _recheck_interval(limit)
    return max(stuck_at, min(again, before_removal or again))


def _while_busy(
    mark: Mark | None, work: Work, policy: Policy, now: datetime
) -> tuple[datetime, timedelta]:
    """When to query a busy kernel or terminal for signs of work, and over which window."""
    window = policy.suspect_window / LOOKS_AT_BUSY
    quiet_since = mark.quiet_since if mark is not None else None
    known = (at for at in (quiet_since, work.asked_at) if at is not None)
    return max(known, default=now) + window, window


def _recheck_interval(limit: timedelta) -> timedelta:
    """The time between two queries of a resource that does background work."""
    return max(window_of(limit), min(RECHECK, limit / 4))


def _can_be_queried(
    resource: Resource, work: Work, tenants: Mapping[str, Sequence[Tenant]]
) -> bool:
    if isinstance(resource, App):
        # Its last image terminal may be closed while a job of it works: ask until that has ended.
        working = work.result == "working"
        return working or needs_work_query(resource, tenants.get(resource.id, ()), work)
    if isinstance(resource, Terminal):
        return not (resource.in_image or resource.unreadable)
    return not (resource.unreadable or resource.state in DEAD)

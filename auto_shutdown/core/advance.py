"""Update the ledger from the snapshot of a pass: the marks of all resources.

This module records since when each resource is idle. It does not decide what to remove; planner.py
does that, from the updated ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from .ledger import Ledger
from .marks import COMING_UP, AppActivity, Mark, first_sight
from .model import IN_SERVICE, App, Kernel, Kind, Ref, Resource, Snapshot, Terminal
from .next_marks import advance_app, advance_kernel, advance_terminal
from .signals import Signal


def advance(ledger: Ledger, snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger after the pass that read ``snapshot``.

    The marks of resources that a source no longer lists are dropped. The marks of a source that
    could not be read stay unchanged, because ``snapshot`` only repeats its previous resources.
    """
    marks: dict[Ref, Mark] = {}
    known = dict(ledger.marks)
    tenants: tuple[Resource, ...] = (*snapshot.kernels, *snapshot.terminals)
    for tenant in tenants if ledger.forgotten else ():
        if _SOURCES[tenant.ref.kind] in ledger.forgotten:
            # The restart lost the mark, which may have held newer activity than the stamps show.
            known.setdefault(tenant.ref, first_sight(now))
    for kernel in snapshot.kernels:
        previous = known.get(kernel.ref)
        unchanged = previous if Snapshot.KERNELS in snapshot.unread else None
        marks[kernel.ref] = unchanged or advance_kernel(previous, kernel, now)
    for terminal in snapshot.terminals:
        previous = known.get(terminal.ref)
        unchanged = previous if Snapshot.TERMINALS in snapshot.unread else None
        marks[terminal.ref] = unchanged or advance_terminal(previous, terminal, now)
    departed = [
        mark
        for ref, mark in ledger.marks.items()
        if ref not in marks and _SOURCES[ref.kind] not in snapshot.unread
    ]
    activity = _activity_in_apps(ledger.marks, marks, departed, snapshot, now)
    # A removal call that timed out may still have succeeded: then the app is no longer in service,
    # and the failure is dropped.
    ending = {app.ref for app in snapshot.apps if app.status != IN_SERVICE}
    for app in snapshot.apps:
        previous = ledger.marks.get(app.ref)
        marks[app.ref] = advance_app(previous, app, activity.get(app.id), now)
    if snapshot.unread:
        for ref, mark in ledger.marks.items():
            if ref not in marks and _SOURCES[ref.kind] in snapshot.unread:
                marks[ref] = mark
    return replace(
        ledger,
        marks=marks,
        holds={ref: hold for ref, hold in ledger.holds.items() if hold.until > now},
        failures={ref: f for ref, f in ledger.failures.items() if ref in marks.keys() - ending},
        notices={ref: n for ref, n in ledger.notices.items() if ref in marks},
        vetoes={ref: veto for ref, veto in ledger.vetoes.items() if veto.until > now},
        forgotten=ledger.forgotten & frozenset(snapshot.unread),
        rehearsed={ref: since for ref, since in ledger.rehearsed.items() if ref in marks},
    )


def advance_part(ledger: Ledger, part: Snapshot, now: datetime) -> Ledger:
    """The ledger after ``part``, which holds only some of the resources. The marks of the other
    resources stay unchanged."""
    advanced = advance(ledger, part, now)
    return replace(ledger, marks={**ledger.marks, **advanced.marks})


_SOURCES = {
    Kind.KERNEL: Snapshot.KERNELS,
    Kind.TERMINAL: Snapshot.TERMINALS,
    Kind.APP: Snapshot.APPS,
}


def _activity_in_apps(
    before: Mapping[Ref, Mark],
    after: Mapping[Ref, Mark],
    departed: Iterable[Mark],
    snapshot: Snapshot,
    now: datetime,
) -> dict[str, AppActivity]:
    """The latest activity of the kernels and terminals in each app, by app id.

    - A resource that is new since the previous pass is an arrival: it counts as activity now.
    - A resource that disappeared does not count. Otherwise this extension's own shutdown of a
      kernel would keep the app of that kernel.
    - A resource that disappeared while it was at work counts as activity now, because its work
      ended at some time since the previous pass. So does a kernel whose cell nobody saw end, and a
      resource whose background work nobody saw end, unless that work may only have waited.
    - A kernel that was used and disappeared between two passes counts by its last use
      (:class:`Departure`).
    """
    activities: dict[str, AppActivity] = {}
    for ref, mark in after.items():
        if mark.app is None:
            continue
        previous = before.get(ref)
        arrived = previous is None or previous.app != mark.app
        at, signal = (now, Signal.ARRIVAL) if arrived else (mark.active_at, mark.signal)
        activity = activities.get(mark.app)
        if activity is None:
            activity = activities[mark.app] = AppActivity(at, signal)
        activity.add(at, signal, mark.weak)
    tenants: tuple[Kernel | Terminal, ...] = (*snapshot.kernels, *snapshot.terminals)
    for tenant in tenants:
        if isinstance(tenant, Kernel) and tenant.state in COMING_UP:
            # A kernel that starts on this host has no process yet. It looks like a kernel that
            # runs in another container, in any of the apps.
            continue
        for app_id in tenant.may_be_in:
            mark = after[tenant.ref]
            arrived = tenant.ref not in before
            at, signal = (now, Signal.ARRIVAL) if arrived else (mark.active_at, mark.signal)
            activity = activities.setdefault(app_id, AppActivity(at, signal))
            activity.add(at, signal, mark.weak)
    for mark in departed:
        if mark.app is not None and (mark.at_work or mark.may_run_cell or mark.work.goes_on):
            activity = activities.setdefault(mark.app, AppActivity(now, mark.signal))
            activity.add(now, mark.signal, {})
    for departure in snapshot.departures:
        at = min(departure.at, now)
        for app in snapshot.apps:
            if departure.anywhere or departure.app == app.id:
                activity = activities.setdefault(app.id, AppActivity(at, departure.signal))
                activity.add(at, departure.signal, {})
    return activities


def arrivals(ledger: Ledger, resources: Iterable[Resource]) -> bool:
    """Whether a kernel or terminal appeared in an app or left it since the previous pass.

    Then the cached list of apps may be out of date.
    """
    count = 0
    for resource in resources:
        if isinstance(resource, App) or not resource.app:
            continue
        count += 1
        mark = ledger.marks.get(resource.ref)
        if mark is None or mark.app != resource.app:
            return True
    previous = (ref for ref, mark in ledger.marks.items() if mark.app)
    return count != sum(ref.kind is not Kind.APP for ref in previous)

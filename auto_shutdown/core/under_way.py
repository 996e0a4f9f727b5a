"""What a pass does about the removals that are in progress: it shows them as such, with the reason
``shutting-down``, and it does not query what they remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from .decision import Action, Decision, Plan, Reason
from .formatting import iso
from .model import App, Kernel, Kind, Ref, Snapshot, Terminal, apps_of

#: A removal that takes longer than this is late, which is a fault. It continues: nothing cancels
#: it. But nothing waits for it any longer.
LATE = timedelta(seconds=60)


def with_removals_under_way(plan: Plan, since: Mapping[Ref, datetime]) -> Plan:
    """``plan`` with the decision to keep, for the reason ``shutting-down``, on each resource in
    ``since``. ``since`` holds the time when each removal began.

    The decision is not to remove, so that no pass begins a second removal.
    """
    if not since:
        return plan
    return Plan(
        tuple(
            _shutting_down(decision, since[decision.ref]) if decision.ref in since else decision
            for decision in plan.decisions
        )
    )


def with_postponed_queries(
    planned: Mapping[Ref, tuple[datetime, timedelta]],
    snapshot: Snapshot,
    since: Mapping[Ref, datetime],
    now: datetime,
) -> Mapping[Ref, tuple[datetime, timedelta]]:
    """The schedule ``planned``, with each query of what is being removed postponed until the
    removal would be late. ``since`` holds the time when each removal began.

    A removal asks its resource itself. The query of a pass at the same time would move the stamps
    of a kernel. It also costs the kernel processor time, which looks like work because the pass
    measures over a short time. So the removal would keep an idle kernel. An app is queried through
    its kernels. So the query of the app waits while one of its kernels is being removed, and the
    queries of what runs in an app wait while the app is being removed.

    The end of a removal begins another pass, which makes a new schedule. No query waits for a
    removal that is late.
    """
    recent = {ref: at for ref, at in since.items() if timedelta(0) <= now - at < LATE}
    if not recent:
        return planned
    later = dict(planned)
    tenants: tuple[Kernel | Terminal, ...] = (*snapshot.kernels, *snapshot.terminals)
    for resource in snapshot.resources:
        at, window = planned.get(resource.ref, (None, None))
        if at is None or window is None:
            continue
        if isinstance(resource, App):
            related = [tenant.ref for tenant in tenants if resource.id in apps_of(tenant)]
        else:
            related = [Ref(Kind.APP, app_id) for app_id in apps_of(resource)]
        begun = [recent[ref] for ref in (resource.ref, *related) if ref in recent]
        if begun:
            later[resource.ref] = max(at, max(begun) + LATE), window
    return later


def _shutting_down(decision: Decision, since: datetime) -> Decision:
    # The decision keeps its times, so that the notice remains valid if the removal fails.
    return replace(
        decision,
        action=Action.KEEP,
        reason=Reason.SHUTTING_DOWN,
        detail=f"Shutting down since {since:%H:%M:%S} UTC.",
        parameters={"since": str(iso(since))},
    )

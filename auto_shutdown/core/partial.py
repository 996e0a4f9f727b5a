"""Decide again on a few kernels that changed, and on their apps: a *partial pass*.

A full pass reads and decides everything. But most changes in a server concern one kernel, which
begins or ends a cell. The decisions on all other resources then still hold: each of them changes
only when its own resource changes, or at an instant that it names (``warn_at``, ``due_at``), and a
full pass runs at each such instant.

A partial pass removes nothing. If it is not enough, :func:`decide_part` returns None, and a full
pass runs (docs/decisions/028).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from .apps import decide_app, follow_app
from .decision import Decision, Plan
from .due import Context, apply_veto, show_keep_alive, waits_for_end_of_notice
from .ledger import Ledger
from .marks import moved
from .model import Kind, Ref, Resource, Snapshot, Terminal
from .next_marks import advance_kernel
from .planner import decide_kernel, tenants_by_last_app
from .policy import Policy


def advance_kernels(ledger: Ledger, part: Snapshot, now: datetime) -> Ledger:
    """The ledger after reading the kernels of ``part`` again. The last full pass has seen all of
    them. Their activity is also activity of their apps."""
    marks = dict(ledger.marks)
    for kernel in part.kernels:
        mark = marks[kernel.ref] = advance_kernel(marks.get(kernel.ref), kernel, now)
        app = Ref(Kind.APP, kernel.app or "")
        if app in marks:
            marks[app] = moved(marks[app], mark.signal, mark.active_at)
            for signal, at in mark.weak.items():
                marks[app] = moved(marks[app], signal, at)
    return replace(ledger, marks=marks)


def decide_part(
    plan: Plan, part: Snapshot, snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime
) -> tuple[Plan, Plan] | None:
    """Returns ``plan`` with new decisions on ``part`` of ``snapshot``, and a plan of only those.

    Returns None if a full pass is needed: if something is due for removal or waits only for its
    notice, if something cannot be read, or if a decision may depend on the decision on another app.
    """
    if policy.unread is not None or snapshot.unread or policy.may_stop_only_to_save:
        return None
    if any(decision.removes for decision in plan.decisions):
        return None
    if any(kernel.unreadable or kernel.may_be_in for kernel in snapshot.kernels):
        return None
    if any(terminal.may_be_in for terminal in snapshot.terminals):
        return None
    context = Context(snapshot, ledger, policy, now)
    if [decision.ref for decision in plan.decisions] != [r.ref for r in snapshot.resources]:
        return None  # the plan was made from another snapshot
    decisions = {decision.ref: decision for decision in plan.decisions}
    changed: dict[Ref, Decision] = {}

    def change(resource: Resource, decision: Decision) -> None:
        changed[resource.ref] = show_keep_alive(context, decision, resource)
        decisions[resource.ref] = changed[resource.ref]

    for kernel in part.kernels:
        change(kernel, apply_veto(context, decide_kernel(context, kernel)))
    tenants = tenants_by_last_app(snapshot, ledger)
    for app in part.apps:
        inside = tenants.get(app.id, [])
        change(app, apply_veto(context, decide_app(context, app, inside, decisions)))
        for tenant in inside:
            if isinstance(tenant, Terminal):
                change(tenant, follow_app(tenant, decisions[tenant.ref], decisions[app.ref]))
    if any(decision.removes for decision in changed.values()):
        return None
    # A kernel that is over its limit may have to stay as the witness of its app (witness.py).
    if any(waits_for_end_of_notice(changed[kernel.ref]) for kernel in part.kernels):
        return None
    whole = tuple(changed.get(decision.ref, decision) for decision in plan.decisions)
    return Plan(whole), Plan(tuple(decisions[resource.ref] for resource in part.resources))


def changed_without_signal(
    before: Snapshot, after: Snapshot, signalled: Collection[str]
) -> set[str]:
    """The ids of the kernels and terminals on this host that changed between the two snapshots
    without a change signal. ``signalled`` are the ids for which a change signal came.

    Kernels in other containers are left out, because not every change of theirs is reported to this
    server. What one of the snapshots could not read is left out, too: that its manager gives no
    model of a kernel is no change of the kernel.
    """
    if before.unread or after.unread:
        return set()

    def shown(snapshot: Snapshot) -> dict[str, str]:
        kernels = {k.id: k.state for k in snapshot.kernels if k.iopub is not None}
        return {**kernels, **{t.id: "" for t in snapshot.terminals if not t.in_image}}

    old, new = shown(before), shown(after)
    if old == new:
        return set()
    changed = {i for i in old.keys() | new.keys() if old.get(i) != new.get(i)}
    not_read = {k.id for k in (*before.kernels, *after.kernels) if k.unreadable}
    return changed - not_read - set(signalled)

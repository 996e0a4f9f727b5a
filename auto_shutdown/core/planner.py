"""Who is idle: one pure function from what was seen to one decision for every resource.

The order of the questions is the order of the laws (semantics.md): may we act at all, do we know
enough, is it active by itself, did somebody ask to keep it, and only then the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Union

from .ledger import BUSY, Ledger, Mark, has_notice
from .model import (
    IN_SERVICE,
    KERNEL_GATEWAY,
    App,
    Kernel,
    Kind,
    Ref,
    Resource,
    Snapshot,
    Terminal,
    Unread,
)
from .policy import Policy
from .verdict import Action, Decision, Plan, Reason
from .words import duration

#: States of a kernel on its way to being usable: never activity, but given time to get there.
COMING_UP = frozenset({"starting", "restarting", "autorestarting", "unknown"})

#: States in which a kernel can do nothing any more.
DEAD = frozenset({"dead", "terminating", "terminated"})

#: The state in which the clock decides.
QUIET = frozenset({"idle"})

#: What runs in an app, or in the server's own host.
Tenant = Union[Kernel, Terminal]


@dataclass(frozen=True)
class _Context:
    snapshot: Snapshot
    ledger: Ledger
    policy: Policy
    now: datetime

    def keep(self, ref: Ref, reason: Reason, detail: str, signal: str | None = None) -> Decision:
        """A decision to keep that no clock can end."""
        return Decision(ref, Action.KEEP, reason, detail, signal)

    def mark(self, ref: Ref) -> Mark:
        found = self.ledger.marks.get(ref)
        # Without a mark nothing is known before now (law 5): a caller that skipped advance()
        # gets a new clock, never an old one.
        return found or Mark(self.now, self.now, self.now, "first-seen")


def decide(snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime) -> Plan:
    """Exactly one decision, with one reason, for every resource of ``snapshot``, in its order."""
    context = _Context(snapshot, ledger, policy, now)
    made: dict[Ref, Decision] = {}
    for kernel in snapshot.kernels:
        made[kernel.ref] = _decide_kernel(context, kernel)
    for terminal in snapshot.terminals:
        made[terminal.ref] = _decide_terminal(context, terminal)
    inside = _what_runs_where(snapshot, ledger)
    for app in snapshot.apps:
        tenants = inside.get(app.id, []) + inside.get(None, [])
        decision = _decide_app(context, app, tenants, made)
        made[app.ref] = decision
        for tenant in tenants:
            made[tenant.ref] = _following(tenant, made[tenant.ref], decision)
    decisions = (made[resource.ref] for resource in snapshot.resources)
    return Plan(tuple(_with_hold(context, decision, snapshot) for decision in decisions))


def _what_runs_where(snapshot: Snapshot, ledger: Ledger) -> dict[str | None, list[Tenant]]:
    """Kernels and terminals by the id of their app. Under None: the kernels that may be in any.

    A kernel that cannot be read is where it was last seen; never seen, it may be anywhere.
    """
    inside: dict[str | None, list[Tenant]] = {}
    tenants: list[Tenant] = [*snapshot.kernels, *snapshot.terminals]
    for resource in tenants:
        app = resource.app
        if isinstance(resource, Kernel) and resource.unreadable:
            mark = ledger.marks.get(resource.ref)
            app = mark.app if mark is not None else None
        elif app is None:
            continue  # it runs in the server's own host
        inside.setdefault(app, []).append(resource)
    return inside


def _with_hold(context: _Context, decision: Decision, snapshot: Snapshot) -> Decision:
    """A keep-alive is shown whatever the reason: a busy kernel may be kept, too."""
    if decision.kept_until is not None or not context.ledger.holds:
        return decision
    resource = snapshot.find(decision.ref)
    app = None if resource is None or isinstance(resource, App) else resource.app
    held = context.ledger.held_until(_refs(decision.ref, app), context.now)
    return decision if held is None else replace(decision, kept_until=held)


# -- kernels ---------------------------------------------------------------------------------


def _decide_kernel(context: _Context, kernel: Kernel) -> Decision:
    ref, policy = kernel.ref, context.policy
    if not policy.enabled:
        return _disabled(context, ref)
    unread = context.snapshot.unread.get(Snapshot.KERNELS)
    if unread is not None:
        return _unread(context, ref, unread)
    if kernel.unreadable:
        return context.keep(
            ref, Reason.UNKNOWN, f"This kernel cannot be read: {kernel.unreadable}."
        )
    mark = context.mark(ref)
    if kernel.state == BUSY:
        running = duration(context.now - (mark.state_since or context.now))
        return context.keep(
            ref, Reason.BUSY, f"Running a cell, seen busy for {running}.", "execution-state"
        )
    if policy.protect_connected and kernel.connections > 0:
        detail = "A client is connected, and the setting protect_connected keeps it."
        return context.keep(ref, Reason.CONNECTED, detail, "connections")
    if kernel.state in COMING_UP:
        if not _is_stuck(context, kernel):
            detail = (
                f"The kernel is {kernel.state}; that may take {duration(policy.startup_grace)}."
            )
            return context.keep(ref, Reason.GRACE, detail, "execution-state")
    elif kernel.state not in DEAD | QUIET:
        detail = f"The kernel reports the state '{kernel.state}', which is not known here."
        return context.keep(ref, Reason.UNKNOWN, detail, "execution-state")
    return _by_the_clock(context, kernel, covers=_refs(kernel.ref, kernel.app))


def _is_stuck(context: _Context, kernel: Kernel) -> bool:
    """Dead, or on its way up for longer than the grace for that: it does nothing for anybody."""
    if kernel.state in COMING_UP:
        since = context.mark(kernel.ref).state_since or context.now
        return since + context.policy.startup_grace <= context.now
    return kernel.state in DEAD


def _holds_its_app(context: _Context, kernel: Kernel, decision: Decision) -> bool:
    """A kernel that is kept holds its app, unless it is stuck, or is due itself and only could
    not be shut down: the app takes it along."""
    if decision.removes or decision.reason is Reason.BACKING_OFF:
        return False
    if kernel.unreadable or decision.reason is Reason.KEPT_ALIVE:
        return True
    return not _is_stuck(context, kernel)


# -- terminals -------------------------------------------------------------------------------


def _decide_terminal(context: _Context, terminal: Terminal) -> Decision:
    ref, policy = terminal.ref, context.policy
    if not policy.enabled:
        return _disabled(context, ref)
    unread = context.snapshot.unread.get(Snapshot.TERMINALS)
    if unread is not None:
        return _unread(context, ref, unread)
    if terminal.unreadable:
        return context.keep(
            ref, Reason.UNKNOWN, f"This terminal cannot be read: {terminal.unreadable}."
        )
    if terminal.running_job:
        detail = f"Running {terminal.running_job}."
        return context.keep(ref, Reason.RUNNING_JOB, detail, "foreground-process")
    if policy.keep_terminals:
        detail = "An open terminal is kept by the setting keep_terminals."
        return context.keep(ref, Reason.TERMINAL_OPEN, detail)
    if terminal.in_image:
        return _decide_image_terminal(context, terminal)
    return _by_the_clock(context, terminal, covers=_refs(ref, terminal.app))


def _decide_image_terminal(context: _Context, terminal: Terminal) -> Decision:
    """It runs in another container and tells nothing: it lives and goes with its app
    (``_following`` gives the second half)."""
    held = context.ledger.held_until(_refs(terminal.ref, terminal.app), context.now)
    if held is not None:
        detail = "Kept alive on request; so is the app that it runs in."
        return Decision(terminal.ref, Action.KEEP, Reason.KEPT_ALIVE, detail, None, kept_until=held)
    if terminal.app is None:
        detail = "It runs in an app that cannot be told from its name; it is left alone."
        return context.keep(terminal.ref, Reason.UNKNOWN, detail)
    detail = "What runs in this terminal cannot be seen from here; it stays while its app does."
    return context.keep(terminal.ref, Reason.IN_USE, detail)


# -- apps ------------------------------------------------------------------------------------


def _decide_app(
    context: _Context,
    app: App,
    tenants: Sequence[Tenant],
    made: Mapping[Ref, Decision],
) -> Decision:
    ref = app.ref
    if app.type != KERNEL_GATEWAY:
        detail = f"Apps of type {app.type} are not removed by this extension."
        return context.keep(ref, Reason.NOT_COVERED, detail)
    if not context.policy.enabled:
        return _disabled(context, ref)
    # What runs in an app is known from all of these together; one missing, and it is not known.
    for source in (Snapshot.APPS, Snapshot.KERNELS, Snapshot.SESSIONS, Snapshot.TERMINALS):
        if source in context.snapshot.unread:
            return _unread(context, ref, context.snapshot.unread[source])
    if app.status != IN_SERVICE:
        detail = f"SageMaker reports it {app.status}; only an app in service can be idle."
        return context.keep(ref, Reason.NOT_IN_SERVICE, detail)
    holders = [
        t for t in tenants if isinstance(t, Kernel) and _holds_its_app(context, t, made[t.ref])
    ]
    if any(made[kernel.ref].reason is Reason.UNKNOWN for kernel in holders):
        detail = "A kernel that may run in it cannot be read or understood."
        return context.keep(ref, Reason.UNKNOWN, detail)
    terminals = [t for t in tenants if isinstance(t, Terminal)]
    return _decide_app_in_service(context, app, holders, terminals, made)


def _decide_app_in_service(
    context: _Context,
    app: App,
    holders: Sequence[Kernel],
    terminals: Sequence[Terminal],
    made: Mapping[Ref, Decision],
) -> Decision:
    ref = app.ref
    for kernel in holders:
        verdict = made[kernel.ref]
        if verdict.due_at is None:
            detail = f"{_title(kernel)} is kept ({verdict.reason.value})."
            return context.keep(ref, Reason.IN_USE, detail, verdict.signal)
    for terminal in terminals:
        verdict = made[terminal.ref]
        if verdict.reason in (Reason.TERMINAL_OPEN, Reason.RUNNING_JOB):
            return context.keep(ref, verdict.reason, f"Terminal {terminal.name} is kept.")
    by_clock = _by_the_clock(
        context,
        app,
        covers=(ref, *(terminal.ref for terminal in terminals)),
        in_service_since=context.mark(ref).first_seen,
    )
    # Each kernel that is still kept has a time of its own, and the app goes with the last one.
    for kernel in holders:
        verdict = made[kernel.ref]
        if by_clock.due_at is None or verdict.due_at is None or verdict.due_at <= by_clock.due_at:
            continue
        by_clock = replace(by_clock, warn_at=verdict.warn_at, due_at=verdict.due_at)
        if by_clock.reason is not Reason.RECENT_ACTIVITY:
            detail = f"{_title(kernel)} is kept ({verdict.reason.value})."
            by_clock = replace(by_clock, action=Action.KEEP, reason=Reason.IN_USE, detail=detail)
    return by_clock


def _following(tenant: Tenant, own: Decision, app: Decision) -> Decision:
    """What runs in an app that is removed goes with it: that nothing in it holds it has been
    decided by then. Until that time, an image terminal shows its app's clock as its own."""
    if own.removes:
        return own
    if app.removes:
        own = replace(own, action=Action.REMOVE, reason=Reason.APP_REMOVED)
        own = replace(own, detail=f"Its app is removed: {app.detail}")
    elif not (isinstance(tenant, Terminal) and tenant.in_image and own.reason is Reason.IN_USE):
        return own
    return replace(own, idle_since=app.idle_since, warn_at=app.warn_at, due_at=app.due_at)


# -- the clock, and what they share ----------------------------------------------------------


def _by_the_clock(
    context: _Context,
    resource: Resource,
    covers: Sequence[Ref],
    in_service_since: datetime | None = None,
) -> Decision:
    """Idle for longer than its limit? Then not before every other wait is over.

    ``covers`` are the refs whose keep-alives hold this resource.
    """
    ref, now, policy, ledger = resource.ref, context.now, context.policy, context.ledger
    mark = context.mark(ref)
    limit, rule = policy.limit_of(resource)
    ripe_at = mark.active_at + limit
    kept_until = ledger.held_until(covers, now)
    calm_at = ledger.quiet_until
    if in_service_since is not None:
        calm_at = max(calm_at, in_service_since + policy.grace)
    failure = ledger.failures.get(ref)
    retry_at = failure.retry_at if failure is not None else ripe_at

    floor = max(ripe_at, kept_until or ripe_at, calm_at, retry_at)
    warn = min(policy.warn, limit)
    warn_at = floor - warn
    due_at = floor
    if has_notice(ledger, ref, mark.active_at):
        due_at = max(floor, ledger.notices[ref].at + warn)
    elif warn_at <= now:
        # Nobody has been told yet: the notice runs from now (a limit that was just lowered).
        due_at = now + warn
    idle_for = f"Idle {duration(now - mark.active_at)} of {duration(limit)}"

    def verdict(action: Action, reason: Reason, detail: str) -> Decision:
        return Decision(
            ref, action, reason, detail, mark.signal, mark.active_at, warn_at, due_at, kept_until
        )

    if due_at <= now:
        detail = f"{idle_for} ({rule}), last by {mark.signal}."
        return verdict(Action.REMOVE, Reason.IDLE, detail)
    left = duration(due_at - now)
    if kept_until is not None:
        left = duration(kept_until - now)
        return verdict(Action.KEEP, Reason.KEPT_ALIVE, f"Kept alive on request for {left} more.")
    if ripe_at > now:
        return verdict(Action.KEEP, Reason.RECENT_ACTIVITY, f"{idle_for}, last by {mark.signal}.")
    if failure is not None and failure.retry_at > now:
        detail = f"{idle_for}; removing it failed ({failure.outcome.code}), next try in {left}."
        return verdict(Action.KEEP, Reason.BACKING_OFF, detail)
    return verdict(Action.KEEP, Reason.GRACE, f"{idle_for}; grace or notice runs, {left} left.")


def _refs(ref: Ref, app: str | None) -> tuple[Ref, ...]:
    """A keep-alive on an app covers what runs in it: its memory is what people mean to keep."""
    return (ref,) if app is None else (ref, Ref(Kind.APP, app))


def _title(kernel: Kernel) -> str:
    return kernel.paths[0] if kernel.paths else f"Kernel {kernel.name or kernel.id}"


def _disabled(context: _Context, ref: Ref) -> Decision:
    return context.keep(ref, Reason.DISABLED, "The setting enabled is off: nothing is removed.")


def _unread(context: _Context, ref: Ref, unread: Unread) -> Decision:
    detail = f"Cannot read the {unread.source} ({unread.code}); nothing that depends on it goes."
    return context.keep(ref, Reason.UNKNOWN, detail)

"""The verdict on an app: what runs in it, and its own clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Union

from .due import Context, by_the_clock, clock_of, disabled, unread
from .marks import COMING_UP
from .model import IN_SERVICE, KERNEL_GATEWAY, App, Kernel, Ref, Snapshot, Terminal
from .signals import Signal
from .verdict import Action, Decision, Reason

#: What runs in an app, or in the server's own host.
Tenant = Union[Kernel, Terminal]

#: States in which a kernel can do nothing any more.
DEAD = frozenset({"dead", "terminating", "terminated"})

#: Those in which one cannot answer.
MUTE = COMING_UP | DEAD


#: Of an app that is not removed because it cannot be seen into, what can and what cannot.
UNSEEN = {
    "CodeEditor": (
        "A Code Editor app is not removed by this extension: kernels and terminals of a Jupyter "
        "server in it are seen from here, the editor's own files, terminals and programs are not."
    )
}


def is_stuck(context: Context, kernel: Kernel) -> bool:
    """Dead, or starting for longer than the grace for that: it does nothing for anybody."""
    if kernel.state not in COMING_UP:
        return kernel.state in DEAD
    return not is_coming_up(context, kernel)


def is_coming_up(context: Context, kernel: Kernel) -> bool:
    """Whether it is starting, and within the grace for that."""
    since = context.mark(kernel.ref).state_since or context.now
    return kernel.state in COMING_UP and since + context.policy.startup_grace > context.now


def decide_app(
    context: Context,
    app: App,
    tenants: Sequence[Tenant],
    made: Mapping[Ref, Decision],
) -> Decision:
    """The decision on ``app``, those on what runs in it being ``made``."""
    ref = app.ref
    if app.type != KERNEL_GATEWAY and not app.own:
        detail = UNSEEN.get(app.type, f"Apps of type {app.type} are not removed by this extension.")
        return context.keep(ref, Reason.NOT_COVERED, detail, app_type=app.type)
    if not context.policy.enabled:
        return disabled(context, ref)
    # What runs in an app is known from all of these together; one missing, and it is not known.
    for source in (Snapshot.APPS, Snapshot.KERNELS, Snapshot.SESSIONS, Snapshot.TERMINALS):
        if source in context.snapshot.unread:
            return unread(context, ref, context.snapshot.unread[source])
    if app.status != IN_SERVICE:
        detail = f"SageMaker reports it {app.status}; only an app in service can be idle."
        return context.keep(ref, Reason.NOT_IN_SERVICE, detail, status=app.status)
    # By name, so that what is said of it does not depend on the order in which they are listed.
    tenants = sorted(tenants, key=lambda tenant: tenant.id)
    holders = [t for t in tenants if _holds_its_app(context, t, made[t.ref])]
    if any(made[holder.ref].reason is Reason.UNKNOWN for holder in holders):
        detail = "What may run in it cannot be read or understood."
        return context.keep(ref, Reason.UNKNOWN, detail, case="inside")
    return _decide_in_service(context, app, holders, tenants, made)


def _holds_its_app(context: Context, tenant: Tenant, decision: Decision) -> bool:
    """What is kept holds its app, unless it is stuck, or is due itself and only could not be
    removed: the app takes it along. An image terminal follows its app."""
    if decision.removes or decision.reason is Reason.BACKING_OFF:
        return False
    if tenant.unreadable:
        return True
    if isinstance(tenant, Terminal):
        return not tenant.in_image or decision.reason in (Reason.TERMINAL_OPEN, Reason.RUNNING_JOB)
    return decision.reason is Reason.KEPT_ALIVE or not is_stuck(context, tenant)


def _decide_in_service(
    context: Context,
    app: App,
    holders: Sequence[Tenant],
    tenants: Sequence[Tenant],
    made: Mapping[Ref, Decision],
) -> Decision:
    ref = app.ref
    terminals = [t for t in tenants if isinstance(t, Terminal)]
    for holder in holders:
        verdict = made[holder.ref]
        if verdict.due_at is None:
            return _held(context, ref, holder, verdict)
    for tenant in tenants:
        # A hook's objection to one of them is one to what would take it along.
        veto = context.ledger.veto_on(tenant.ref, context.now)
        if veto is not None:
            detail = f"{_title(tenant)} is kept by {veto.hook}: {veto.text}."
            named = {"hook": veto.hook, "text": veto.text, **_holder(tenant)}
            vetoed = context.keep(ref, Reason.VETOED, detail, **named)
            return replace(vetoed, due_at=veto.until)
    mark = context.mark(ref)
    if mark.work.found == "working":
        work = mark.work.detail
        detail = f"Something works in it: {work}."
        return context.keep(ref, Reason.BACKGROUND_WORK, detail, Signal.BACKGROUND_WORK, work=work)
    by_clock = by_the_clock(
        context,
        ref,
        clock_of(context, app),
        covers=(ref, *(terminal.ref for terminal in terminals)),
        in_service_since=mark.first_seen,
        ask=is_asked(app, terminals),
    )
    # Each that is still kept has a time of its own, and the app goes with the last one.
    for holder in holders:
        verdict = made[holder.ref]
        if by_clock.due_at is None or verdict.due_at is None or verdict.due_at <= by_clock.due_at:
            continue
        by_clock = replace(by_clock, warn_at=verdict.warn_at, due_at=verdict.due_at)
        if by_clock.removes or by_clock.reason in (Reason.GRACE, Reason.IN_USE):
            detail = f"{_title(holder)} is kept ({verdict.reason.value})."
            by_clock = replace(
                by_clock,
                action=Action.KEEP,
                reason=Reason.IN_USE,
                detail=detail,
                parameters=_holder(holder, verdict),
            )
    return by_clock


def is_asked(app: App, terminals: Sequence[Terminal]) -> bool:
    """Whether an app must be asked for work that none of its kernels shows: what runs in an
    image terminal, beside everything in the server's own app, or for another server."""
    return app.own or app.shared or any(terminal.in_image for terminal in terminals)


def _held(context: Context, ref: Ref, holder: Tenant, verdict: Decision) -> Decision:
    if verdict.reason in (Reason.TERMINAL_OPEN, Reason.RUNNING_JOB):
        detail = f"Terminal {holder.name} is kept."
        return context.keep(ref, verdict.reason, detail, **_holder(holder, verdict))
    detail = f"{_title(holder)} is kept ({verdict.reason.value})."
    return context.keep(ref, Reason.IN_USE, detail, verdict.signal, **_holder(holder, verdict))


def _holder(tenant: Tenant, verdict: Decision | None = None) -> dict[str, str]:
    """The parameters that name what keeps an app."""
    named = {"holder_kind": tenant.ref.kind.value, "holder_id": tenant.id}
    return named if verdict is None else {**named, "holder_reason": verdict.reason.value}


def following(tenant: Tenant, own: Decision, app: Decision) -> Decision:
    """What runs in an app that is removed goes with it: that nothing in it holds it has been
    decided by then. Until that time, an image terminal shows its app's clock as its own."""
    if own.removes:
        return own
    if app.removes:
        own = replace(own, action=Action.REMOVE, reason=Reason.APP_REMOVED)
        own = replace(own, detail=f"Its app is removed: {app.detail}", parameters={})
    elif not (isinstance(tenant, Terminal) and tenant.in_image and own.reason is Reason.IN_USE):
        return own
    return replace(own, idle_since=app.idle_since, warn_at=app.warn_at, due_at=app.due_at)


def _title(tenant: Tenant) -> str:
    if isinstance(tenant, Terminal):
        return f"Terminal {tenant.name}"
    return tenant.paths[0] if tenant.paths else f"Kernel {tenant.name or tenant.id}"

"""Decide on an app, from the decisions on its kernels and terminals and from its own idle clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Union

from .decision import Action, Decision, Reason
from .due import Context, clock_of, decide_by_clock, keep_alive_refs, keep_disabled, keep_unread
from .marks import COMING_UP, DEAD, Work
from .model import IN_SERVICE, KERNEL_GATEWAY, App, Kernel, Ref, Snapshot, Terminal, apps_of
from .signals import Signal
from .suspect import decide_background_work

#: A kernel or terminal that runs in an app or in the server's own host.
Tenant = Union[Kernel, Terminal]

#: By app type, the ``detail`` of the decision on apps that this extension cannot observe well
#: enough to remove.
UNSEEN = {
    "CodeEditor": (
        "A Code Editor app is not removed by this extension: kernels and terminals of a Jupyter "
        "server in it are seen from here, the editor's own files, terminals and programs are not."
    )
}


def is_stuck(context: Context, kernel: Kernel) -> bool:
    """Whether the kernel is dead, or has been starting for longer than the startup grace period."""
    if kernel.state not in COMING_UP:
        return kernel.state in DEAD
    return not is_coming_up(context, kernel)


def is_coming_up(context: Context, kernel: Kernel) -> bool:
    """Whether the kernel is starting, and the startup grace period is not over."""
    since = context.mark(kernel.ref).state_since or context.now
    return kernel.state in COMING_UP and since + context.policy.startup_grace > context.now


def decide_app(
    context: Context,
    app: App,
    tenants: Sequence[Tenant],
    decisions: Mapping[Ref, Decision],
) -> Decision:
    """Decide on ``app``. ``decisions`` already holds the decision on each of ``tenants``."""
    ref = app.ref
    if app.type != KERNEL_GATEWAY and not app.own:
        detail = UNSEEN.get(app.type, f"Apps of type {app.type} are not removed by this extension.")
        return context.keep(ref, Reason.NOT_COVERED, detail, app_type=app.type)
    if not context.policy.enabled:
        return keep_disabled(context, ref)
    # Only all of these sources together show what runs in an app.
    for source in (Snapshot.APPS, Snapshot.KERNELS, Snapshot.SESSIONS, Snapshot.TERMINALS):
        if source in context.snapshot.unread:
            return keep_unread(context, ref, context.snapshot.unread[source])
    if app.status != IN_SERVICE:
        detail = f"SageMaker reports it {app.status}; only an app in service can be idle."
        return context.keep(ref, Reason.NOT_IN_SERVICE, detail, status=app.status)
    # Sort by id, so that the decision does not depend on the order of the lists.
    tenants = sorted(tenants, key=attrgetter("id"))
    holders = [t for t in tenants if _holds_its_app(context, t, decisions[t.ref])]
    if any(decisions[holder.ref].reason is Reason.UNKNOWN for holder in holders):
        detail = "What may run in it cannot be read or understood."
        return context.keep(ref, Reason.UNKNOWN, detail, case="inside")
    return _decide_in_service(context, app, holders, tenants, decisions)


def _holds_its_app(context: Context, tenant: Tenant, decision: Decision) -> bool:
    """Whether this tenant keeps its app from being removed.

    A kept tenant holds its app, with these exceptions:

    - a dead kernel;
    - a kernel that is stuck in starting, once a query has found no sign of work. Before that it may
      work: some gateways list a working kernel as starting for ever;
    - a stuck kernel whose gateway refuses each connection, once it is suspect;
    - a tenant that is due and whose removal failed: removing the app ends it;
    - an image terminal, unless a setting or a running command keeps it.

    A keep-alive overrides the first three. A tenant that cannot be read always holds its app.
    """
    if decision.removes or decision.reason is Reason.BACKING_OFF:
        return False
    if tenant.unreadable:
        return True
    if isinstance(tenant, Terminal):
        return not tenant.in_image or decision.reason in (Reason.TERMINAL_OPEN, Reason.RUNNING_JOB)
    if not is_stuck(context, tenant):
        return True
    own_app = () if tenant.app is None else (tenant.app,)
    if context.ledger.hold_on(keep_alive_refs(tenant.ref, *own_app), context.now) is not None:
        return True  # a user set a keep-alive, which counts more than the state of the kernel
    if tenant.refused:  # nobody can ask it: its decision is UNKNOWN until it is suspect
        return decision.reason is not Reason.SUSPECT_BUSY
    asked = context.mark(tenant.ref).work.result in ("none", "unanswered")
    return tenant.state in COMING_UP and not asked


def _decide_in_service(
    context: Context,
    app: App,
    holders: Sequence[Tenant],
    tenants: Sequence[Tenant],
    decisions: Mapping[Ref, Decision],
) -> Decision:
    ref = app.ref
    terminals = [t for t in tenants if isinstance(t, Terminal)]
    for holder in holders:
        decision = decisions[holder.ref]
        if decision.due_at is None:
            return _keep_for(context, ref, holder, decision)
    for tenant in tenants if context.ledger.vetoes else ():
        # A veto on a tenant also vetoes the removal of its app, which would end the tenant.
        veto = context.ledger.veto_on(tenant.ref, context.now)
        if veto is not None:
            detail = f"{_title(tenant)} is kept by {veto.hook}: {veto.text}."
            parameters = {"hook": veto.hook, "text": veto.text, **_holder_parameters(tenant)}
            vetoed = context.keep(ref, Reason.VETOED, detail, **parameters)
            return replace(vetoed, due_at=veto.until)
    mark, clock = context.mark(ref), clock_of(context, app)
    covers = (ref, *(terminal.ref for terminal in terminals))
    if mark.work.result == "working":
        work = mark.work.detail
        verb = "works" if mark.work.low_use_since is None else "may work"
        detail = f"Something {verb} in it: {work}."
        working = context.keep(
            ref, Reason.BACKGROUND_WORK, detail, Signal.BACKGROUND_WORK, work=work
        )
        by_clock = decide_background_work(working, context, clock, covers, mark.first_seen)
        if by_clock.due_at is None:
            return by_clock
    else:
        query_work = needs_work_query(app, tenants, mark.work)
        by_clock = decide_by_clock(context, ref, clock, covers, mark.first_seen, query_work)
    # Each remaining holder has its own due time. The app is due when the last of them is due.
    for holder in holders:
        decision = decisions[holder.ref]
        if by_clock.due_at is None or decision.due_at is None:
            continue
        if decision.due_at <= by_clock.due_at:
            continue
        by_clock = replace(by_clock, warn_at=decision.warn_at, due_at=decision.due_at)
        if by_clock.removes or by_clock.reason in (Reason.GRACE, Reason.IN_USE):
            detail = f"{_title(holder)} is kept ({decision.reason.value})."
            by_clock = replace(
                by_clock,
                action=Action.KEEP,
                reason=Reason.IN_USE,
                detail=detail,
                parameters=_holder_parameters(holder, decision),
            )
    return by_clock


def needs_work_query(app: App, tenants: Iterable[Tenant], work: Work) -> bool:
    """Whether to query the processes of this app for background work before its removal.

    The states of kernels and terminals do not show all work: for example that of other programs in
    the server's own app, or of kernels that another Jupyter server started in a shared app. If
    nobody could answer the last query, a kernel that was started since then may be able to.
    """
    if app.own or app.shared or work.result == "unanswered":
        return True
    return needs_host_query(app, tenants)


def needs_host_query(app: App, tenants: Iterable[Tenant]) -> bool:
    """Whether to query the host of an app in another container for background work: a job that was
    started in an image terminal, or one that a kernel started and left (``nohup``).

    Only a kernel in the app can answer. An app without kernels and image terminals is not queried:
    it was, before its last kernel was removed (witness.py).
    """
    return any(
        tenant.in_image if isinstance(tenant, Terminal) else is_reporter(app, tenant)
        for tenant in tenants
    )


def tenants_by_app(snapshot: Snapshot) -> dict[str, list[Tenant]]:
    """The kernels and terminals by the id of each app in which they run or may run."""
    by_app: dict[str, list[Tenant]] = {}
    tenants: tuple[Tenant, ...] = (*snapshot.kernels, *snapshot.terminals)
    for tenant in tenants:
        for app_id in apps_of(tenant):
            by_app.setdefault(app_id, []).append(tenant)
    return by_app


def is_reporter(app: App, kernel: Kernel) -> bool:
    """Whether the kernel may be able to report the work of ``app``. A kernel whose app is unknown
    is not asked about this one."""
    return kernel.app == app.id and not kernel.unreadable and may_report(kernel)


def may_report(kernel: Kernel) -> bool:
    """Whether the kernel runs, so that it may be able to report the work of its app, now or later.

    A dead kernel cannot, and neither can a kernel that has sent no message since it was started.
    """
    return kernel.state not in DEAD | COMING_UP


def _keep_for(context: Context, ref: Ref, holder: Tenant, decision: Decision) -> Decision:
    """Keep the app ``ref`` because of ``decision``, the decision on ``holder``."""
    parameters = _holder_parameters(holder, decision)
    if decision.reason in (Reason.TERMINAL_OPEN, Reason.RUNNING_JOB):
        detail = f"Terminal {holder.name} is kept."
        return context.keep(ref, decision.reason, detail, **parameters)
    detail = f"{_title(holder)} is kept ({decision.reason.value})."
    return context.keep(ref, Reason.IN_USE, detail, decision.signal, **parameters)


def _holder_parameters(tenant: Tenant, decision: Decision | None = None) -> dict[str, str]:
    """The decision parameters that name the kernel or terminal that keeps an app."""
    parameters = {"holder_kind": tenant.ref.kind.value, "holder_id": tenant.id}
    if decision is not None:
        parameters["holder_reason"] = decision.reason.value
    return parameters


def follow_app(tenant: Tenant, own: Decision, app: Decision) -> Decision:
    """The decision on ``tenant`` once the decision on its app is known.

    A tenant of an app that is removed is removed with it; :func:`decide_app` has already checked
    that no tenant holds the app. An image terminal whose app stays shows the times of its app.
    """
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

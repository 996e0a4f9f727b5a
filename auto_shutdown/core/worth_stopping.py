"""Keep an idle resource while stopping it would save nothing (the setting ``only_when_it_saves``).

SageMaker bills an instance until its last app is gone, and an owner has one instance of each type
(AWS, "Dive deep into Amazon SageMaker Studio Notebooks architecture"). So two kinds of removal save
no money: that of an idle app while another app stays on the same instance, and that of an idle
kernel or terminal while its app stays.

A resource that is kept for this reason gets the notice time and the due time of the app that stays.
So people get one notice of all these removals, and one pass executes them.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from datetime import datetime, timezone

from .decision import Action, Decision, Reason
from .due import Context
from .formatting import duration
from .model import FREE_APP_TYPES, IN_SERVICE, App, Kernel, Ref, Terminal, apps_of

_NEVER = datetime.max.replace(tzinfo=timezone.utc)

#: An app in one of these states has an instance, or is about to get one.
_BILLED_STATES = frozenset({IN_SERVICE, "Pending"})

#: Resources with these reasons are over their idle limit; only this module would keep them.
_OVER_ITS_LIMIT = frozenset({Reason.IDLE, Reason.GRACE})

#: Resources with these reasons are within their idle limit. Their due time moves to that of the app
#: that stays, if that is later.
_WITHIN_ITS_LIMIT = frozenset({Reason.RECENT_ACTIVITY, Reason.PRESENCE, Reason.OUTPUT})


def keep_apps(context: Context, decisions: MutableMapping[Ref, Decision]) -> None:
    """Change the decision on each app whose instance stays billed because of another app."""
    decided = dict(decisions)
    for app in context.snapshot.apps:
        if not context.policy.stops_only_to_save(app):
            continue
        staying = [
            other for other in _on_same_instance(context, app) if not decided[other.ref].removes
        ]
        if not staying:
            continue
        last = max(staying, key=lambda other: (_end(decided[other.ref]), other.id))
        why = f"{last.name} keeps the same {app.instance_type} billed"
        holder = {"case": "instance", **_holder(decided[last.ref])}
        decisions[app.ref] = _wait_for(context, decided[app.ref], decided[last.ref], why, holder)


def keep_tenants(context: Context, decisions: MutableMapping[Ref, Decision]) -> None:
    """Change the decision on each kernel and terminal whose billed app stays."""
    staying = {
        app.id: app
        for app in context.snapshot.apps
        if context.policy.stops_only_to_save(app)
        and _is_billed(app)
        and not decisions[app.ref].removes
    }
    if not staying:
        return
    tenants: tuple[Kernel | Terminal, ...] = (
        *context.snapshot.kernels,
        *context.snapshot.terminals,
    )
    for tenant in tenants:
        apps = [staying.get(app_id) for app_id in apps_of(tenant)]
        if apps and None not in apps:
            # If the app of a tenant is unknown, the tenant is removed with whichever of the apps,
            # in which it may run, is due first.
            app = min(filter(None, apps), key=lambda a: (_end(decisions[a.ref]), a.id))
            decision, of_app = decisions[tenant.ref], decisions[app.ref]
            why = f"its app {app.name} stays. {of_app.detail}".rstrip(".")
            holder = {"case": "app", **_holder(of_app)}
            decisions[tenant.ref] = _wait_for(context, decision, of_app, why, holder)


def _on_same_instance(context: Context, app: App) -> list[App]:
    """The other billed apps of the same owner and instance type; empty if the type is unknown."""
    if app.instance_type is None:
        return []
    return [
        other
        for other in context.snapshot.apps
        if other.ref != app.ref and other.instance_type == app.instance_type and _is_billed(other)
    ]


def _is_billed(app: App) -> bool:
    return app.type not in FREE_APP_TYPES and app.status in _BILLED_STATES


def _end(decision: Decision) -> datetime:
    """When the resource is due; the latest possible time if it has no due time."""
    return decision.due_at or _NEVER


def _holder(decision: Decision) -> dict[str, str]:
    """The parameters that name the app that stays, and why it stays."""
    return {
        "holder_kind": decision.ref.kind.value,
        "holder_id": decision.ref.id,
        "holder_reason": decision.reason.value,
    }


def _wait_for(
    context: Context, own: Decision, other: Decision, why: str, parameters: Mapping[str, str]
) -> Decision:
    """The decision ``own``, changed so that its resource is due no sooner than that of ``other``.

    ``why`` becomes part of ``detail``. For ``parameters`` see docs/reason-parameters.md.
    """
    if own.idle_since is None or own.due_at is None:
        return own
    if other.due_at is not None and not own.removes and own.due_at >= other.due_at:
        return own
    if own.reason in _OVER_ITS_LIMIT:
        idle = duration(context.now - own.idle_since)
        detail = f"Idle {idle}. Kept because stopping it would save nothing: {why}."
        own = replace(
            own,
            action=Action.KEEP,
            reason=Reason.SAVES_NOTHING,
            detail=detail,
            parameters=parameters,
        )
    elif own.reason not in _WITHIN_ITS_LIMIT:
        return own
    return replace(own, warn_at=other.warn_at, due_at=other.due_at)

"""The property of apps: no app is removed within a limit of any activity in it."""

from __future__ import annotations

from typing import Any

from histories import (
    BEGIN,
    Look,
    histories,
    live,
    pasts,
    policies,
)
from hypothesis import given

from auto_shutdown.core.model import App, Kernel, Kind, Ref, Terminal


@given(histories, policies, pasts)
def test_app_is_never_removed_within_a_limit_of_any_activity_in_it(
    history: list[Look], policy: Any, past: Any
) -> None:
    """The test computes ``seen``, the latest activity in each app, without the product's marks."""
    life = live(history, policy, past)
    seen: dict[str, Any] = {}
    now, before, running = BEGIN, {}, {}  # type: ignore[var-annotated]
    for at_look in history:
        now += at_look.after
        s = at_look.snapshot
        there = {r.ref: r for r in s.resources}
        for r in (*s.kernels, *s.terminals):
            old = before.get(r.ref)
            if r.unreadable or (old and source(r.ref) in s.unread):
                there[r.ref] = old or r
            elif r.app is not None:
                arrived = old is None or old.unreadable or old.app != r.app
                at = now if arrived or at_work(r) or (old and at_work(old)) else None
                moments = [at, *moved_stamps(old, r, now)]
                seen[r.app] = max([m for m in moments if m] + [seen.get(r.app, BEGIN)])
        for app in s.apps:
            old = before.get(app.ref)
            if app.status == "InService" and (old is None or old.status != "InService"):
                seen[app.id] = now
        running = {
            ref: r
            for ref, r in before.items()
            if ref not in there and ref.kind is not Kind.APP and source(ref) not in s.unread
        }
        for r in running.values():
            if r.app and at_work(r):
                seen[r.app] = now
        kept = {ref: r for ref, r in before.items() if source(ref) in s.unread}
        before = {**kept, **there}
    for decision in life.plan.removals:
        app = life.snapshot.find(decision.ref)
        if isinstance(app, App):
            limit, _ = policy.limit_of(app)
            assert now - seen[app.id] >= limit
            for tenant in (*life.snapshot.kernels, *life.snapshot.terminals):
                if tenant.app != app.id:
                    continue
                limit, _ = policy.limit_of(tenant)
                stuck = isinstance(tenant, Kernel) and tenant.state != "idle"
                in_image = isinstance(tenant, Terminal) and tenant.in_image
                assert stuck or in_image or now - life.ledger.marks[tenant.ref].active_at >= limit


def source(ref: Ref) -> str:
    return f"{ref.kind.value}s"


def at_work(r: Any) -> bool:
    if r.unreadable:
        return False
    if isinstance(r, Kernel):
        return r.state == "busy" and not (r.waiting_for and not r.connections)
    return bool(r.running_job)


def moved_stamps(old: Any, new: Any, now: Any) -> list[Any]:
    """The strong time stamps that changed since the last pass and are not in the future."""

    def strong(r: Any) -> dict[str, Any]:
        if r is None or r.unreadable:
            return {}
        if isinstance(r, Kernel):
            own = r.iopub.request_at if r.iopub else r.last_activity
        else:
            own = r.input_at or r.last_activity
        return {"own": own, "heartbeat": r.heartbeat_at}

    known = strong(old)
    return [min(at, now) for name, at in strong(new).items() if at and at != known.get(name)]

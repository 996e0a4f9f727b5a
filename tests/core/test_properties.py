"""Invariants of the decisions, for every history that Hypothesis draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from histories import (
    APPS,
    BEGIN,
    MINUTE,
    OWN,
    Life,
    Look,
    Past,
    histories,
    live,
    lives,
    pasts,
    policies,
)
from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st

from auto_shutdown.core.advance import advance, advance_part
from auto_shutdown.core.decision import REMOVING, Reason
from auto_shutdown.core.ledger import record
from auto_shutdown.core.model import EVERYTHING, App, Kernel, Kind, Ref, Snapshot, Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy

HOUR = 60 * MINUTE


def tenants(snapshot: Snapshot, app: App) -> list[Kernel | Terminal]:
    return [r for r in (*snapshot.kernels, *snapshot.terminals) if r.app == app.id]


@given(lives)
def test_each_resource_gets_one_decision_with_one_reason(life: Life) -> None:
    assert [d.ref for d in life.plan.decisions] == [r.ref for r in life.snapshot.resources]
    assert all((d.reason in REMOVING) == d.removes and d.detail for d in life.plan.decisions)


def suspect_in(terminal: Terminal, **policy: Any) -> Life:
    """A command in an app without other tenants. It has shown no sign of work for six hours."""
    app_type, name = APPS[0].split("/")
    app = App(type=app_type, name=name, status="InService")
    looks = [Look(2 * HOUR, Snapshot(terminals=(terminal,), apps=(app,)))] * 4
    return live(looks, Policy(idle_timeout=HOUR, suspect_after=HOUR, **policy), Past())


_PAGER = Terminal("1", input_at=BEGIN, running_job="less", app=APPS[0])


@given(lives)
@example(suspect_in(_PAGER, keep_terminals=True, max_busy=2 * HOUR))
@example(suspect_in(_PAGER, max_busy=2 * HOUR))
def test_busy_kept_unread_and_in_grace_resources_are_never_removed(life: Life) -> None:
    snapshot, ledger, policy, now = life.snapshot, life.ledger, life.policy, life.now
    if not policy.enabled or ledger.quiet_until > now or ledger.held_until([EVERYTHING], now):
        assert not life.removed
    for kernel in snapshot.kernels:
        if keeps_itself(life, kernel):
            with_its_app = any(ref in life.removed for ref in apps_of(life, kernel))
            assert not with_its_app or not holds(life, kernel)
            assert kernel.ref not in life.removed or with_its_app
    for terminal in snapshot.terminals:
        if keeps_itself(life, terminal):
            assert terminal.ref not in life.removed
            assert Ref(Kind.APP, str(terminal.app)) not in life.removed
    for app in snapshot.apps:
        mark = ledger.marks[app.ref]
        held = ledger.held_until([app.ref], now)
        if (
            not (app.own or app.type == "KernelGateway")
            or app.status != "InService"
            or snapshot.unread
            or held
            or mark.first_seen + policy.grace > now
            or mark.work.result == "working"
            or ledger.veto_on(app.ref, now)
        ):
            assert app.ref not in life.removed


def keeps_itself(life: Life, tenant: Kernel | Terminal) -> bool:
    """Whether the planner must keep the tenant, whatever its age. The planner may remove a busy
    kernel and a terminal with a command only if the administrator has set ``max_busy_minutes``."""
    snapshot, ledger, policy, now = life.snapshot, life.ledger, life.policy, life.now
    covers = [tenant.ref, *([Ref(Kind.APP, tenant.app)] if tenant.app else [])]
    if ledger.held_until(covers, now) or tenant.unreadable or ledger.veto_on(tenant.ref, now):
        return True
    if isinstance(tenant, Terminal):
        return bool(
            (tenant.running_job and policy.max_busy is None)
            or policy.keep_terminals
            or "terminals" in snapshot.unread
            or (not tenant.in_image and ledger.marks[tenant.ref].work.result == "working")
        )
    at_it = tenant.state == "busy" and not tenant.waits_alone
    busy = at_it and policy.max_busy is None
    idle = tenant.state != "busy"
    protected = policy.protect_connected and tenant.connections > 0 and idle
    idle_at_work = tenant.state == "idle" and ledger.marks[tenant.ref].work.result == "working"
    return busy or "kernels" in snapshot.unread or protected or idle_at_work


def apps_of(life: Life, kernel: Kernel) -> list[Ref]:
    """The apps in which the kernel may run. An unreadable kernel is in the app in which it was last
    observed. If it was in no app then, it may be in any app."""
    if not kernel.unreadable:
        return [Ref(Kind.APP, str(kernel.app))]
    last_seen = life.ledger.marks[kernel.ref].app
    if last_seen is None:
        return [app.ref for app in life.snapshot.apps]
    return [Ref(Kind.APP, last_seen)]


def holds(life: Life, kernel: Kernel) -> bool:
    """Whether the kernel keeps its app. A kernel that can no longer run a cell does not, unless it
    has a keep-alive."""
    held = life.ledger.held_until([kernel.ref, Ref(Kind.APP, str(kernel.app))], life.now)
    stuck = kernel.state in ("dead", "starting", "restarting", "unknown")
    return bool(held or kernel.unreadable or "kernels" in life.snapshot.unread or not stuck)


@given(lives)
def test_repeated_pass_removes_no_resource_twice(life: Life) -> None:
    ledger = life.ledger
    for decision in life.plan.removals:
        ledger = record(ledger, decision.ref, Outcome(Result.REMOVED), life.now)
    s = life.snapshot
    after = replace(
        s,
        kernels=tuple(k for k in s.kernels if k.ref not in life.removed),
        terminals=tuple(t for t in s.terminals if t.ref not in life.removed),
        apps=tuple(replace(a, status="Deleting") if a.ref in life.removed else a for a in s.apps),
    )
    again = decide(after, advance(ledger, after, life.now), life.policy, life.now)
    assert not {d.ref for d in again.removals} & life.removed


@given(lives)
def test_a_failed_removal_is_not_tried_again_at_once(life: Life) -> None:
    ledger = life.ledger
    for decision in life.plan.removals:
        ledger = record(ledger, decision.ref, Outcome(Result.TEMPORARY), life.now)
    again = decide(life.snapshot, ledger, life.policy, life.now)
    assert not [d for d in again.removals if d.reason is not Reason.APP_REMOVED]


@given(lives)
def test_decision_to_remove_stands_while_nothing_changes(life: Life) -> None:
    """If nothing changes, a later pass decides to remove the same resources."""
    later = life.now + MINUTE / 60
    again = decide(life.snapshot, advance(life.ledger, life.snapshot, later), life.policy, later)
    assert life.removed <= {d.ref for d in again.removals}


@given(lives)
def test_kept_resource_is_never_overdue(life: Life) -> None:
    """An overdue time would make the loop run passes without a pause."""
    assert all(
        d.due_at is None or d.due_at > life.now for d in life.plan.decisions if not d.removes
    )


@given(lives)
def test_nothing_is_removed_without_a_notice(life: Life) -> None:
    for decision in life.plan.removals:
        resource = life.snapshot.find(decision.ref)
        assert resource is not None
        if decision.reason is Reason.IDLE:
            limit, _ = life.policy.limit_of(resource)
            notice = life.ledger.notices[decision.ref]
            assert notice.at + min(life.policy.warn, limit) <= life.now
            assert decision.idle_since is not None
            assert notice.at >= decision.idle_since


def terminal_that_can_no_longer_be_read() -> Life:
    """The terminal ran a command in an app. Now its app and its command are unknown."""
    app_type, name = APPS[0].split("/")
    app = App(type=app_type, name=name, status="InService")
    working = Terminal("1", running_job="train", app=APPS[0])
    looks = [
        Look(HOUR, Snapshot(terminals=(terminal,), apps=(app,)))
        for terminal in (working, Terminal("1", unreadable="OSError"))
    ]
    policy = Policy(idle_timeout=HOUR, warn=0 * HOUR, grace=0 * HOUR)
    return live(looks, policy, Past())


def test_terminal_that_can_no_longer_be_read_keeps_the_app_in_which_it_was() -> None:
    life = terminal_that_can_no_longer_be_read()
    (app,) = life.snapshot.apps
    decision = life.plan.of(app.ref)
    assert decision is not None
    assert decision.reason is Reason.UNKNOWN


@given(lives)
@example(terminal_that_can_no_longer_be_read())
def test_the_second_look_decides_the_same_for_an_unchanged_resource(life: Life) -> None:
    for decision in life.plan.removals:
        ref = decision.ref
        resource = life.snapshot.find(ref)
        assert resource is not None
        if decision.reason is Reason.APP_REMOVED and not isinstance(resource, App):
            assert resource.app is not None
            ref = Ref(Kind.APP, resource.app)
        part = life.snapshot.bearing_on(ref)
        again = decide(part, advance_part(life.ledger, part, life.now), life.policy, life.now)
        found = again.of(decision.ref)
        assert found is not None
        assert found.removes


REACHED = {
    "an app with an idle kernel": lambda life: any(
        isinstance(r := life.snapshot.find(ref), App) and any(tenants(life.snapshot, r))
        for ref in life.removed
    ),
    "the server's own app": lambda life: Ref(Kind.APP, OWN) in life.removed,
    "a terminal": lambda life: any(ref.kind is Kind.TERMINAL for ref in life.removed),
    **{
        reason.value: lambda life, reason=reason: any(
            d.reason is reason for d in life.plan.decisions
        )
        for reason in Reason
        # A request, and a removal in progress, are not decisions of ``decide``.
        if reason not in (Reason.REQUESTED, Reason.SHUTTING_DOWN)
    },
}


#: Only a policy with ``only_when_it_saves`` can reach the reason ``saves-nothing``.
saving_lives = st.builds(
    live, histories, policies.map(lambda policy: replace(policy, only_when_it_saves=True)), pasts
)


@pytest.mark.soak
@pytest.mark.timeout(3600)  # up to 20,000 histories
@pytest.mark.parametrize("what", REACHED)
def test_random_histories_reach_each_reason(what: str) -> None:
    """Otherwise the properties above could hold for histories without any removal."""
    many = settings(max_examples=20000, database=None, phases=[Phase.generate], derandomize=True)
    source = saving_lives if what == Reason.SAVES_NOTHING.value else lives
    assert find(source, REACHED[what], settings=many)

"""Invariants of the decision, over any world that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from scene import NOW

from auto_shutdown.core.ledger import Hold, Ledger, advance, give_notice, shift
from auto_shutdown.core.model import EVERYTHING, App, Kernel, Kind, Ref, Snapshot, Terminal, Unread
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy
from auto_shutdown.core.verdict import REMOVING, Plan

MINUTE = timedelta(minutes=1)
APPS = tuple(f"KernelGateway/app-{n}" for n in range(3))

instants = st.integers(-600, 10).map(lambda minutes: NOW + minutes * MINUTE)
some_app = st.sampled_from((None, *APPS))
kernels = st.builds(
    Kernel,
    id=st.sampled_from(("k1", "k2", "k3", "k4")),
    name=st.just("python3"),
    state=st.sampled_from(("idle", "idle", "busy", "starting", "dead", "unknown", "dreaming")),
    last_activity=st.none() | instants,
    connections=st.integers(0, 2),
    app=some_app,
    unreadable=st.sampled_from((None, None, None, "TraitError")),
)
terminals = st.builds(
    Terminal,
    id=st.sampled_from(("1", "2", "arn:x__1__ml.t3.medium")),
    last_activity=st.none() | instants,
    running_job=st.sampled_from((None, None, "python")),
    environment=st.sampled_from((None, "arn:x")),
    app=some_app,
)
apps = st.builds(
    App,
    type=st.sampled_from(("KernelGateway", "KernelGateway", "JupyterServer", "Odd")),
    name=st.sampled_from(("app-0", "app-1", "app-2")),
    status=st.sampled_from(("InService", "InService", "Pending", "Deleting", "Odd")),
)
unread = st.sets(st.sampled_from(("kernels", "sessions", "terminals", "apps")), max_size=1).map(
    lambda names: {n: Unread(n, "x", "x", "x") for n in names}
)


def by_ref(items):  # type: ignore[no-untyped-def]
    return st.lists(items, max_size=4, unique_by=lambda item: item.ref).map(tuple)


snapshots = st.builds(Snapshot, by_ref(kernels), by_ref(terminals), by_ref(apps), unread)
histories = st.lists(st.tuples(st.integers(1, 90), snapshots), min_size=1, max_size=5)
policies = st.builds(
    Policy,
    enabled=st.sampled_from((True, True, True, False)),
    idle_timeout=st.integers(10, 240).map(lambda m: m * MINUTE),
    kernel_idle_timeout=st.none() | st.integers(10, 240).map(lambda m: m * MINUTE),
    warn=st.integers(0, 10).map(lambda m: m * MINUTE),
    keep_terminals=st.booleans(),
    protect_connected=st.booleans(),
)
held = st.dictionaries(
    st.sampled_from((Ref(Kind.KERNEL, "k1"), Ref(Kind.APP, APPS[0]), EVERYTHING)),
    instants.map(lambda at: Hold(at + 300 * MINUTE)),
    max_size=1,
)


def live(history: list[tuple[int, Snapshot]], policy: Policy, holds: object) -> tuple:  # type: ignore[type-arg]
    """Run the passes; the last snapshot, ledger, plan and instant."""
    now = NOW - 400 * MINUTE
    ledger = Ledger(quiet_until=now, holds=holds)  # type: ignore[arg-type]
    plan = Plan()
    for minutes, snapshot in history:
        now += minutes * MINUTE
        ledger = advance(ledger, snapshot, now)
        plan = decide(snapshot, ledger, policy, now)
        ledger = give_notice(ledger, plan.decisions, now)
    return history[-1][1], ledger, plan, now


@settings(max_examples=300, deadline=None)
@given(histories, policies, held)
def test_exactly_one_decision_with_one_reason_for_each(history, policy, holds) -> None:  # type: ignore[no-untyped-def]
    snapshot, _, plan, _ = live(history, policy, holds)
    assert [d.ref for d in plan.decisions] == [r.ref for r in snapshot.resources]
    assert all((d.reason in REMOVING) == d.removes and d.detail for d in plan.decisions)


@settings(max_examples=300, deadline=None)
@given(histories, policies, held)
def test_what_must_never_be_removed(history, policy, holds) -> None:  # type: ignore[no-untyped-def]
    snapshot, ledger, plan, now = live(history, policy, holds)
    removed = {d.ref for d in plan.removals}
    if not policy.enabled or ledger.held_until([EVERYTHING], now) or ledger.quiet_until > now:
        assert not removed
    for kernel in snapshot.kernels:
        refs = [kernel.ref] + ([Ref(Kind.APP, kernel.app)] if kernel.app else [])
        if (
            kernel.state == "busy"
            or kernel.unreadable
            or "kernels" in snapshot.unread
            or ledger.held_until(refs, now)
        ):
            assert kernel.ref not in removed
            assert not kernel.app or Ref(Kind.APP, kernel.app) not in removed
    for app in snapshot.apps:
        if app.type != "KernelGateway" or app.status != "InService" or snapshot.unread:
            assert app.ref not in removed
    for terminal in snapshot.terminals:
        if terminal.running_job or "terminals" in snapshot.unread:
            assert terminal.ref not in removed


@settings(max_examples=200, deadline=None)
@given(histories, policies, held)
def test_nothing_goes_before_a_limit_since_anything_seen_on_it(history, policy, holds) -> None:  # type: ignore[no-untyped-def]
    snapshot, ledger, plan, now = live(history, policy, holds)
    for decision in plan.removals:
        resource = snapshot.find(decision.ref)
        assert resource is not None
        if decision.ref.kind is Kind.APP:
            limit, _ = policy.limit_of(resource)
            mark = ledger.marks[decision.ref]
            assert now - mark.active_at >= limit
            inside = [r for r in (*snapshot.kernels, *snapshot.terminals) if r.app == resource.id]
            assert all(now - ledger.marks[r.ref].active_at >= limit for r in inside)


@settings(max_examples=200, deadline=None)
@given(histories, policies, held, st.randoms(use_true_random=False))
def test_the_order_of_the_snapshot_changes_nothing(history, policy, holds, shuffle) -> None:  # type: ignore[no-untyped-def]
    def mixed(items: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(shuffle.sample(items, len(items)))

    others = [
        (m, replace(s, kernels=mixed(s.kernels), terminals=mixed(s.terminals), apps=mixed(s.apps)))
        for m, s in history
    ]
    one, two = live(history, policy, holds)[2], live(others, policy, holds)[2]
    assert {(d.ref, d.action, d.due_at) for d in one.decisions} == {
        (d.ref, d.action, d.due_at) for d in two.decisions
    }


def moved(snapshot: Snapshot, by: timedelta) -> Snapshot:
    def one(item):  # type: ignore[no-untyped-def]
        return replace(item, last_activity=item.last_activity and item.last_activity + by)

    return replace(
        snapshot,
        kernels=tuple(one(k) for k in snapshot.kernels),
        terminals=tuple(one(t) for t in snapshot.terminals),
    )


@settings(max_examples=200, deadline=None)
@given(histories, policies, held, st.integers(-(10**6), 10**6))
def test_shifting_all_instants_changes_nothing(history, policy, holds, minutes) -> None:  # type: ignore[no-untyped-def]
    by = minutes * MINUTE
    snapshot, ledger, _, now = live(history, policy, holds)
    shifted = shift(ledger, by)
    again = decide(moved(snapshot, by), shifted, policy, now + by)
    assert [(d.ref, d.action, d.reason, d.detail) for d in again.decisions] == [
        (d.ref, d.action, d.reason, d.detail)
        for d in decide(snapshot, ledger, policy, now).decisions
    ]


@settings(max_examples=200, deadline=None)
@given(histories, policies, held, st.integers(0, 600))
def test_more_activity_never_hastens_a_removal(history, policy, holds, later) -> None:  # type: ignore[no-untyped-def]
    """One kernel more active in the last look: nothing that was kept is now removed."""
    quiet = live(history, policy, holds)[2]
    minutes, last = history[-1]
    active = tuple(
        replace(k, last_activity=_later(k.last_activity, later * MINUTE)) for k in last.kernels
    )
    busier = live([*history[:-1], (minutes, replace(last, kernels=active))], policy, holds)[2]
    kept = {d.ref for d in quiet.decisions if not d.removes}
    assert not kept & {d.ref for d in busier.removals}


def _later(stamp: datetime | None, by: timedelta) -> datetime | None:
    return None if stamp is None else stamp + by


@settings(max_examples=200, deadline=None)
@given(histories, policies, held)
def test_an_unchanged_world_only_gets_older(history, policy, holds) -> None:  # type: ignore[no-untyped-def]
    """A decision to remove stands when nothing moves: the loop cannot waver."""
    snapshot, ledger, plan, now = live(history, policy, holds)
    if any(k.state == "busy" for k in snapshot.kernels):
        return
    later = now + MINUTE
    again = decide(snapshot, advance(ledger, snapshot, later), policy, later)
    assert {d.ref for d in plan.removals} <= {d.ref for d in again.removals}

"""Two properties of the planner: some changes of the input change no decision, and more activity
causes no removal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from histories import (
    BEGIN,
    MINUTE,
    Life,
    Look,
    histories,
    live,
    lives,
    pasts,
    policies,
    shifted,
)
from hypothesis import given
from hypothesis import strategies as st

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import shift
from auto_shutdown.core.planner import decide

HOUR = 60 * MINUTE


@given(histories, policies, pasts, st.randoms(use_true_random=False))
def test_order_of_the_snapshot_changes_no_decision(
    history: list[Look], policy: Any, past: Any, shuffle: Any
) -> None:
    def mixed(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(shuffle.sample(items, len(items)))

    def reordered(seen: Look) -> Look:
        s = seen.snapshot
        parts = {name: mixed(getattr(s, name)) for name in ("kernels", "terminals", "apps")}
        return replace(seen, snapshot=replace(s, **parts))

    one, two = live(history, policy, past), live([*map(reordered, history)], policy, past)
    assert set(one.plan.decisions) == set(two.plan.decisions)


@given(histories, policies, pasts, st.integers(-(10**6), 10**6))
def test_shifting_all_instants_changes_no_decision(
    history: list[Look], policy: Any, past: Any, minutes: int
) -> None:
    by = minutes * MINUTE
    one = live(history, policy, past)
    two = live(shifted(history, by), policy, past, BEGIN + by)
    instants = ("idle_since", "warn_at", "due_at", "kept_until")

    def without_times(parameters: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in parameters.items() if name != "silent_since"}

    back = [
        replace(d, **{n: getattr(d, n) and getattr(d, n) - by for n in instants})
        for d in two.plan.decisions
    ]
    for shifted_back, decision in zip(back, one.plan.decisions):
        parameters = without_times(shifted_back.parameters)
        assert parameters == without_times(decision.parameters)
        assert replace(shifted_back, parameters={}) == replace(decision, parameters={})
    assert len(back) == len(one.plan.decisions)


@given(lives, st.integers(-(10**6), 10**6))
def test_step_of_the_clock_changes_no_decision(life: Life, minutes: int) -> None:
    """The stamps of other programs stay as reported. The extension's own instants move with the
    clock."""
    by = minutes * MINUTE
    again = decide(life.snapshot, shift(life.ledger, by), life.policy, life.now + by)
    assert [(d.ref, d.action, d.reason, d.detail) for d in again.decisions] == [
        (d.ref, d.action, d.reason, d.detail)
        for d in decide(life.snapshot, life.ledger, life.policy, life.now).decisions
    ]


more = st.sampled_from(
    ("request", "output", "last_activity", "beat", "input", "busy", "job", "said", "stamp")
)


@given(histories, policies, pasts, more, st.data())
def test_more_activity_never_causes_a_removal(
    history: list[Look], policy: Any, past: Any, what: str, data: Any
) -> None:
    """A user is active in one more pass. The planner then removes no resource that it would have
    kept."""
    index = data.draw(st.integers(0, len(history) - 1))
    busier = [*history[:index], with_more(history, index, what), *history[index + 1 :]]
    quiet, active = live(history, policy, past), live(busier, policy, past)
    additional = active.removed - quiet.removed
    # A resource with the reason UNKNOWN may become known through the additional activity.
    known = {d.ref for d in quiet.plan.decisions if d.reason is not Reason.UNKNOWN}
    assert not additional & known


def with_more(history: list[Look], index: int, what: str) -> Look:
    """``history[index]`` with additional activity at the instant of that pass."""
    at = BEGIN + sum((seen.after for seen in history[: index + 1]), timedelta(0))
    seen = history[index]
    s = seen.snapshot
    if what == "said":
        return replace(seen, said=(*seen.said, *((r.ref, "heartbeat") for r in s.resources)))
    kernels, terminals, apps = s.kernels, s.terminals, s.apps
    if what in ("request", "output"):
        name = f"{what}_at"
        kernels = tuple(
            replace(k, iopub=replace(k.iopub, **{name: at})) if k.iopub else k for k in kernels
        )
    elif what == "busy":
        kernels = tuple(replace(k, state="busy", waiting_for=None) for k in kernels)
    elif what == "job":
        terminals = tuple(replace(t, running_job="python") for t in terminals)
    elif what == "input":
        terminals = tuple(replace(t, input_at=at) if t.input_at else t for t in terminals)
    elif what == "stamp":
        apps = tuple(replace(a, stamps={**a.stamps, "saved": at}) for a in apps)
    else:
        name = {"beat": "heartbeat_at"}.get(what, what)
        kernels = tuple(replace(k, **{name: at}) for k in kernels)
        terminals = tuple(replace(t, **{name: at}) for t in terminals)
    return replace(seen, snapshot=replace(s, kernels=kernels, terminals=terminals, apps=apps))

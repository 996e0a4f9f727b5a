"""A partial pass makes the same decisions as a full pass, or leaves the decision to a full pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from histories import Life, kernels, lives
from hypothesis import assume, given
from hypothesis import strategies as st
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, POLICY, TERMINAL, ago

from auto_shutdown.core.advance import advance
from auto_shutdown.core.decision import Decision, Plan
from auto_shutdown.core.due import Context, waits_for_end_of_notice
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.model import IOPubActivity, Kernel, Snapshot, Unread
from auto_shutdown.core.partial import advance_kernels, changed_without_signal, decide_part
from auto_shutdown.core.planner import decide, decide_kernel
from auto_shutdown.core.policy import Policy


def verdict(decision: Decision) -> tuple[object, ...]:
    """The decision without its sentence, because the sentence contains ages."""
    return (
        decision.ref,
        decision.action,
        decision.reason,
        decision.idle_since,
        decision.warn_at,
        decision.due_at,
        decision.kept_until,
    )


@given(lives, kernels, st.integers(0, 90))
def test_a_partial_pass_decides_as_a_full_one(life: Life, fresh: Kernel, seconds: int) -> None:
    assume(life.snapshot.kernels)
    readable = tuple(replace(kernel, unreadable=None) for kernel in life.snapshot.kernels)
    before = replace(life.snapshot, kernels=readable, unread={})
    policy = replace(life.policy, unread=None, rules=(), only_when_it_saves=False)
    ledger = advance(life.ledger, before, life.now)
    plan = decide(before, ledger, policy, life.now)
    known, now = readable[0], life.now + timedelta(seconds=seconds)
    fresh = replace(
        fresh,
        id=known.id,
        app=known.app,
        heartbeat_at=known.heartbeat_at,
        own_limit=known.own_limit,
        unreadable=None,
    )
    after = before.with_kernels([fresh])
    assert after is not None
    part = after.part({fresh.id})
    decided = decide_part(plan, part, after, advance_kernels(ledger, part, now), policy, now)
    full = decide(after, advance(ledger, after, now), policy, now)
    if decided is None:
        context = Context(after, advance_kernels(ledger, part, now), policy, now)
        removes = plan.removals or any(decision.removes for decision in full.decisions)
        assert removes or waits_for_end_of_notice(decide_kernel(context, fresh))
        return
    whole, of_part = decided
    assert [d.ref for d in whole.decisions] == [r.ref for r in after.resources]
    assert [verdict(d) for d in whole.decisions if d.ref == fresh.ref] == [
        verdict(d) for d in full.decisions if d.ref == fresh.ref
    ]
    unchanged = decide(before, advance(ledger, before, now), policy, now)
    if list(map(verdict, unchanged.decisions)) == list(map(verdict, plan.decisions)):
        # Time alone changes nothing else.
        assert list(map(verdict, whole.decisions)) == list(map(verdict, full.decisions))
    assert of_part.decisions == tuple(d for d in whole.decisions if part.find(d.ref))


@given(lives)
def test_a_partial_pass_never_removes(life: Life) -> None:
    assume(life.snapshot.kernels)
    part = life.snapshot.part({life.snapshot.kernels[0].id})
    decided = decide_part(life.plan, part, life.snapshot, life.ledger, life.policy, life.now)
    assert decided is None or not any(d.removes for d in decided[0].decisions)


class TestChangesThatNeedAFullPass:
    """An idle kernel in an app begins a cell. Each test adds one change that a partial pass cannot
    handle."""

    policy = replace(POLICY, idle_timeout=timedelta(hours=12))
    kernel = replace(KERNEL, last_activity=ago(minutes=5))

    def decided(
        self, snapshot: Snapshot | None = None, policy: Policy | None = None, **changes: object
    ) -> tuple[Plan, Plan] | None:
        policy = policy or self.policy
        before = snapshot or Snapshot((self.kernel,), (TERMINAL,), (APP,))
        ledger = advance(Ledger(ago(days=1)), before, ago(seconds=9))
        plan = decide(before, ledger, policy, ago(seconds=9))
        busy = replace(self.kernel, **{"state": "busy", **changes})  # type: ignore[arg-type]
        after = before.with_kernels([busy])
        if after is None:
            return None
        part = after.part({busy.id})
        return decide_part(plan, part, after, advance_kernels(ledger, part, NOW), policy, NOW)

    def test_start_of_a_cell_needs_no_full_pass(self) -> None:
        decided = self.decided()
        assert decided is not None
        plan, of_part = decided
        assert [d.reason.value for d in plan.decisions] == ["busy", "recent-activity", "in-use"]
        assert of_part.decisions == (plan.decisions[0], plan.decisions[2])

    def test_partial_pass_gives_an_image_terminal_the_clock_of_its_app(self) -> None:
        before = Snapshot((self.kernel,), (IMAGE_TERMINAL,), (APP,))
        decided = self.decided(before, state="idle", last_activity=ago(seconds=5))
        assert decided is not None
        kernel, terminal, app = decided[0].decisions
        assert kernel.idle_since == terminal.idle_since == app.idle_since == ago(seconds=5)
        assert decided[1] == decided[0]

    @pytest.mark.parametrize("changes", [{"app": None}, {"unreadable": "TraitError"}])
    def test_moved_or_unreadable_kernel_needs_a_full_pass(self, changes: dict[str, object]) -> None:
        assert self.decided(**changes) is None

    def test_unread_source_needs_a_full_pass(self) -> None:
        unread = {"apps": Unread("apps", "E", "m", "r")}
        assert self.decided(Snapshot((self.kernel,), (TERMINAL,), (APP,), unread)) is None

    def test_unreadable_second_kernel_needs_a_full_pass(self) -> None:
        other = Kernel("k2", unreadable="TraitError")
        assert self.decided(Snapshot((self.kernel, other), (), (APP,))) is None

    def test_due_removal_of_another_kernel_needs_a_full_pass(self) -> None:
        dead = Kernel("k2", state="dead", last_activity=ago(hours=13))
        assert self.decided(Snapshot((self.kernel, dead), (), (APP,))) is None

    def test_removal_of_the_changed_kernel_needs_a_full_pass(self) -> None:
        """The kernel had unknown background work. Now it is dead, and due."""
        self.kernel = replace(KERNEL, last_activity=ago(hours=13))
        assert self.decided(state="idle") is not None
        assert self.decided(state="dead") is None

    def test_only_when_it_saves_needs_a_full_pass(self) -> None:
        assert self.decided(policy=replace(self.policy, only_when_it_saves=True)) is None

    def test_plan_of_other_resources_needs_a_full_pass(self) -> None:
        snapshot = Snapshot((self.kernel,), (), (APP,))
        ledger = advance(Ledger(ago(days=1)), snapshot, NOW)
        plan = decide(Snapshot(), ledger, self.policy, NOW)
        part = snapshot.part({self.kernel.id})
        assert decide_part(plan, part, snapshot, ledger, self.policy, NOW) is None


def test_changes_without_a_signal_are_counted() -> None:
    heard = IOPubActivity()
    before = Snapshot(
        (Kernel("a", state="idle", iopub=heard), Kernel("remote", state="idle")), (TERMINAL,)
    )
    after = Snapshot((Kernel("a", state="busy", iopub=heard), Kernel("remote", state="busy")), ())
    assert changed_without_signal(before, before, ()) == set()
    assert changed_without_signal(before, after, ()) == {"a", TERMINAL.id}
    assert changed_without_signal(before, after, {"a"}) == {TERMINAL.id}
    assert changed_without_signal(before, replace(after, unread={"apps": after}), ()) == set()  # type: ignore[dict-item]


def test_kernel_that_cannot_be_read_has_not_changed() -> None:
    """This holds when the reading fails and when it succeeds again, because no change signal can
    report either."""
    read = Snapshot((Kernel("a", state="idle", iopub=IOPubActivity()),))
    not_read = Snapshot((Kernel("a", unreadable="its manager gives no model for it"),))
    assert changed_without_signal(read, not_read, ()) == set()
    assert changed_without_signal(not_read, read, ()) == set()
    assert changed_without_signal(read, Snapshot(), ()) == {"a"}, "a kernel that has ended"

"""The planner's times: when it removes a resource, and when it announces the removal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scene import (
    APP,
    KERNEL,
    LIMIT,
    NOW,
    Scene,
    ago,
    joined,
    mark,
    other,
    with_kernel,
    with_ledger,
    with_policy,
)

from auto_shutdown.core.decision import Reason
from auto_shutdown.core.ledger import Hold, Notice
from auto_shutdown.core.policy import Rule

OK = Scene()
HOUR = timedelta(hours=1)


class TestTimes:
    """The planner's times of a removal and of its notice."""

    def test_a_removal_is_due_one_idle_timeout_after_the_last_activity(self) -> None:
        scene = with_kernel(OK, last_activity=ago(minutes=100))
        decision = with_policy(scene, warn=timedelta(minutes=5)).of(KERNEL.ref)
        assert decision.idle_since == ago(minutes=100)
        assert decision.due_at == ago(minutes=100) + LIMIT
        assert decision.warn_at == ago(minutes=105) + LIMIT

    def test_kernel_is_removed_at_its_due_time_and_not_a_microsecond_earlier(self) -> None:
        just = with_kernel(OK, last_activity=NOW - LIMIT + timedelta(microseconds=1))
        assert not just.of(KERNEL.ref).removes
        exactly = with_kernel(OK, last_activity=None)
        exactly = with_ledger(
            exactly, marks={**OK.ledger.marks, KERNEL.ref: mark(NOW - LIMIT, "idle", APP.id)}
        )
        assert exactly.of(KERNEL.ref).removes

    def test_kernel_overdue_after_a_lowered_limit_still_gets_a_notice(self) -> None:
        """The kernel was idle for three hours when the user lowered the limit to two. The planner
        removes it five minutes later, and not at once."""
        scene = with_policy(OK, warn=timedelta(minutes=5))
        assert scene.of(KERNEL.ref).due_at == NOW + timedelta(minutes=5)

    def test_kernel_is_removed_once_its_notice_is_warn_minutes_old(self) -> None:
        scene = with_policy(OK, warn=timedelta(minutes=5))
        early = Notice(ago(minutes=5))
        assert with_ledger(scene, notices={KERNEL.ref: early}).of(KERNEL.ref).removes
        late = Notice(ago(minutes=4))
        assert not with_ledger(scene, notices={KERNEL.ref: late}).of(KERNEL.ref).removes

    def test_only_activity_after_a_notice_voids_it(self) -> None:
        """The kernel was last active three hours ago. Evidence of that activity which arrives late
        does not void the notice."""
        scene = with_policy(OK, warn=timedelta(minutes=5))
        before = Notice(ago(hours=3, minutes=1))
        assert not with_ledger(scene, notices={KERNEL.ref: before}).of(KERNEL.ref).removes
        after = Notice(ago(hours=2, minutes=59))
        assert with_ledger(scene, notices={KERNEL.ref: after}).of(KERNEL.ref).removes

    def test_app_is_due_with_the_last_of_its_kernels(self) -> None:
        late = other(last_activity=None)
        scene = joined(with_policy(OK, rules=(Rule(8 * HOUR, kernel_name="late"),)), late)
        scene = replace(scene, more_kernels=(replace(late, name="late"),))
        assert scene.of(APP.ref).due_at == scene.of(late.ref).due_at == ago(hours=3) + 8 * HOUR

    def test_busy_kernel_and_its_app_have_no_due_time(self) -> None:
        scene = with_kernel(OK, state="busy")
        assert scene.of(KERNEL.ref).due_at is None
        assert scene.of(APP.ref).due_at is None

    def test_busy_kernel_with_a_keep_alive_reports_busy_and_kept_until(self) -> None:
        scene = with_ledger(with_kernel(OK, state="busy"), holds={KERNEL.ref: Hold(NOW + HOUR)})
        decision = scene.of(KERNEL.ref)
        assert (decision.reason, decision.kept_until) == (Reason.BUSY, NOW + HOUR)

    def test_plan_wakes_the_loop_at_the_earliest_future_notice_or_removal(self) -> None:
        scene = with_policy(with_kernel(OK, last_activity=ago(minutes=100)), warn=HOUR / 12)
        moments = [
            m for d in scene.plan().decisions for m in (d.warn_at, d.due_at) if m and m > NOW
        ]
        assert scene.plan().next_moment(NOW) == min(moments)
        assert with_policy(OK, enabled=False).plan().next_moment(NOW) is None

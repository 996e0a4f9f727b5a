"""Marks of activity: which evidence moves them forward. Nothing moves them back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scene import APP, KERNEL, NOW, TERMINAL, ago, mark, settled_ledger

from auto_shutdown.core.advance import advance, advance_part, arrivals
from auto_shutdown.core.decision import Action, Decision, Reason
from auto_shutdown.core.ledger import (
    LONGEST_RETRY,
    Hold,
    Ledger,
    Notice,
    Veto,
    give_notice,
    hold,
    record,
    shift,
)
from auto_shutdown.core.ledger_json import holds_from_json, holds_to_json
from auto_shutdown.core.model import (
    EVERYTHING,
    App,
    IOPubActivity,
    Kernel,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.core.outcome import Outcome, Result

MINUTE = timedelta(minutes=1)
EMPTY = Ledger(quiet_until=ago(days=1))
BEFORE = NOW - MINUTE
STAMP = ago(hours=1)


def kernel_seen(kernel: Kernel, state: str = "idle") -> Ledger:
    """The ledger after a pass that observed the kernel a minute ago."""
    seen = mark(STAMP, state, kernel.app, seen_at=BEFORE, stamps={"last-activity": STAMP})
    return replace(EMPTY, marks={kernel.ref: seen})


def kernel(**changes: object) -> Kernel:
    return replace(KERNEL, last_activity=STAMP, **changes)  # type: ignore[arg-type]


NOBODY = {"waiting_for": "input", "connections": 0}

KERNEL_ROWS = {
    "nothing new": (kernel(), "idle", STAMP),
    "no stamp any more": (replace(kernel(), last_activity=None), "idle", STAMP),
    "a newer stamp": (replace(kernel(), last_activity=NOW - MINUTE / 2), "idle", NOW - MINUTE / 2),
    "a stamp of the future": (replace(kernel(), last_activity=NOW + MINUTE), "idle", NOW),
    "a changed stamp of a clock that is slow": (
        replace(kernel(), last_activity=ago(hours=9)),
        "idle",
        NOW,
    ),
    "a changed stamp of the last look's instant": (
        replace(kernel(), last_activity=BEFORE),
        "idle",
        BEFORE,
    ),
    "busy": (kernel(state="busy"), "idle", NOW),
    "found waiting, and nobody there": (kernel(state="busy", **NOBODY), "idle", NOW),
    "first seen busy, and nobody there any more": (kernel(state="busy", **NOBODY), "busy", NOW),
    "still busy": (kernel(state="busy"), "busy", NOW),
    "no longer busy, stamp frozen": (kernel(), "busy", NOW),
    "no longer busy, a request seen on its way, stamp frozen": (
        kernel(request_sent_at=NOW - MINUTE / 2),
        "busy",
        NOW,
    ),
    "no longer busy, with the stamp of its end": (
        replace(kernel(), last_activity=NOW - MINUTE / 2),
        "busy",
        NOW - MINUTE / 2,
    ),
    "unreadable": (kernel(unreadable="TraitError"), "idle", STAMP),
    "starting": (kernel(state="starting"), "idle", STAMP),
}


@pytest.mark.parametrize("name", KERNEL_ROWS)
def test_activity_time_of_a_kernel_after_each_kind_of_event(name: str) -> None:
    now_seen, state_before, active_at = KERNEL_ROWS[name]
    after = advance(kernel_seen(KERNEL, state_before), Snapshot((now_seen,)), NOW)
    assert after.marks[KERNEL.ref].active_at == active_at


@pytest.mark.parametrize("heartbeat_at", [ago(hours=9), NOW - MINUTE / 3])
def test_end_of_a_cell_counts_as_now_whatever_the_heartbeat_says(heartbeat_at: datetime) -> None:
    """The end of the cell is activity now. A heartbeat for the whole server does not replace it."""
    after = advance(
        kernel_seen(KERNEL, "busy"), Snapshot((kernel(heartbeat_at=heartbeat_at),)), NOW
    )
    assert after.marks[KERNEL.ref].active_at == NOW


def test_stamp_of_a_slow_clock_that_changes_counts_as_activity_now() -> None:
    ledger = advance(kernel_seen(KERNEL), Snapshot((kernel(),)), NOW)
    slow = replace(kernel(), last_activity=ago(hours=9))
    after = advance(ledger, Snapshot((slow,)), NOW + MINUTE)
    assert after.marks[KERNEL.ref].active_at == NOW + MINUTE


FIRST_SIGHT = {
    "an old stamp": (ago(hours=5), ago(hours=5)),
    "no stamp": (None, NOW),
    "a future stamp": (NOW + MINUTE, NOW),
}


@pytest.mark.parametrize("name", FIRST_SIGHT)
def test_activity_time_of_a_resource_that_is_seen_for_the_first_time(name: str) -> None:
    stamp, active_at = FIRST_SIGHT[name]
    for resource in (replace(KERNEL, last_activity=stamp), Terminal("1", stamp)):
        kernels = (resource,) if isinstance(resource, Kernel) else ()
        terminals = (resource,) if isinstance(resource, Terminal) else ()
        after = advance(EMPTY, Snapshot(kernels, terminals), NOW)
        assert after.marks[resource.ref].active_at == active_at


def test_without_memory_every_idle_clock_begins_at_the_first_pass() -> None:
    """The kernel's time stamp does not include the presence and the background work that an earlier
    server knew."""
    lost = replace(EMPTY, forgotten=frozenset({"kernels", "terminals"}))
    typed = replace(TERMINAL, last_activity=STAMP)
    unread = {"terminals": Unread("terminals", "x", "x", "x")}
    first = advance(lost, Snapshot((kernel(),), (), (), unread), BEFORE)
    assert first.marks[KERNEL.ref].active_at == BEFORE
    assert first.forgotten == {"terminals"}
    new = replace(kernel(), id="new")
    second = advance(first, Snapshot((kernel(), new), (typed,)), NOW)
    assert second.marks[TERMINAL.ref].active_at == NOW
    assert second.marks[new.ref].active_at == STAMP, "kernels have been read since"
    assert second.forgotten == frozenset()


BEATEN = {
    "a kernel not yet heard": Kernel("k", state="idle", iopub=IOPubActivity()),
    "a kernel that has only printed": Kernel("k", state="idle", iopub=IOPubActivity(output_at=NOW)),
    "a kernel without a stamp": Kernel("k", state="idle"),
    "a terminal without a stamp": Terminal("1"),
}


@pytest.mark.parametrize("name", BEATEN)
def test_heartbeat_older_than_a_new_resource_does_not_make_it_old(name: str) -> None:
    """Yesterday's heartbeat file must not make a resource that was started today look a day old."""
    new = replace(BEATEN[name], heartbeat_at=ago(days=1))
    snapshot = Snapshot((new,)) if isinstance(new, Kernel) else Snapshot((), (new,))
    assert advance(EMPTY, snapshot, NOW).marks[new.ref].active_at == NOW


def test_first_pass_uses_the_newer_of_heartbeat_and_stamp() -> None:
    seen = replace(kernel(), heartbeat_at=ago(minutes=3))
    after = advance(EMPTY, Snapshot((seen,)), NOW).marks[KERNEL.ref]
    assert (after.active_at, after.signal) == (ago(minutes=3), "heartbeat")


def test_running_job_counts_as_activity_until_a_pass_sees_its_end() -> None:
    working = replace(TERMINAL, running_job="python")
    one = advance(EMPTY, Snapshot((), (working,)), BEFORE)
    two = advance(one, Snapshot((), (TERMINAL,)), NOW)
    three = advance(two, Snapshot((), (TERMINAL,)), NOW + MINUTE)
    assert [ledger.marks[TERMINAL.ref].active_at for ledger in (one, two, three)] == [
        BEFORE,
        NOW,
        NOW,
    ]


def test_marks_of_an_unread_source_are_kept_and_of_vanished_resources_deleted() -> None:
    ledger = kernel_seen(KERNEL)
    unread = {"kernels": Unread("kernels", "x", "x", "x")}
    assert KERNEL.ref in advance(ledger, Snapshot(unread=unread), NOW).marks
    assert KERNEL.ref not in advance(ledger, Snapshot(), NOW).marks


def test_a_partial_snapshot_keeps_the_marks_of_other_resources() -> None:
    ledger = advance(EMPTY, Snapshot((KERNEL,), (TERMINAL,), (APP,)), BEFORE)
    part = Snapshot((replace(KERNEL, state="busy"),))
    after = advance_part(ledger, part, NOW)
    assert after.marks[KERNEL.ref].active_at == NOW
    assert {TERMINAL.ref, APP.ref} <= set(after.marks)


def test_failures_back_off_up_to_an_hour_and_end_with_success() -> None:
    failed = Outcome(Result.PERMANENT, "No.", "AccessDenied", "Allow it.")
    ledger, waits = replace(EMPTY, marks={APP.ref: mark(BEFORE)}), []
    for _ in range(10):
        ledger = record(ledger, APP.ref, failed, NOW)
        waits.append((ledger.failures[APP.ref].retry_at - NOW) / MINUTE)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert LONGEST_RETRY == 60 * MINUTE
    assert not record(ledger, APP.ref, Outcome(Result.GONE), NOW).failures
    assert not record(ledger, APP.ref, Outcome(Result.STALE), NOW).failures
    assert not advance(ledger, Snapshot(), NOW).failures  # it is no longer there


def test_note_comes_from_the_keep_alive_that_ends_last() -> None:
    ledger = hold(settled_ledger(), EVERYTHING, NOW + MINUTE, "a review")
    ledger = hold(ledger, KERNEL.ref, NOW + 2 * MINUTE, "a demo")
    assert ledger.hold_on([KERNEL.ref], NOW) == Hold(NOW + 2 * MINUTE, "a demo")
    assert ledger.hold_on([], NOW) == Hold(NOW + MINUTE, "a review")
    assert holds_from_json(holds_to_json(ledger)) == ledger.holds
    old = [{"kind": "all", "id": "all", "until": "2026-03-29T01:00:00+00:00"}]
    assert [h.note for h in holds_from_json(old).values()] == [""], "a file of an earlier version"


def test_keep_alive_ends_at_its_time_or_on_request() -> None:
    ledger = hold(EMPTY, KERNEL.ref, NOW + MINUTE)
    assert ledger.held_until([KERNEL.ref], NOW) == NOW + MINUTE
    assert ledger.held_until([KERNEL.ref], NOW + MINUTE) is None
    assert not advance(ledger, Snapshot(), NOW + MINUTE).holds
    assert not hold(ledger, KERNEL.ref, None).holds


def test_notice_is_given_once_and_void_after_activity() -> None:
    ledger = replace(EMPTY, marks={KERNEL.ref: mark(STAMP)})
    due = Decision(
        KERNEL.ref, Action.KEEP, Reason.RECENT_ACTIVITY, ".", None, STAMP, BEFORE, NOW + MINUTE
    )
    first = give_notice(ledger, [due], NOW)
    assert give_notice(first, [due], NOW + MINUTE).notices == {KERNEL.ref: Notice(NOW)}
    used = replace(due, idle_since=NOW + MINUTE / 2)
    assert give_notice(first, [used], NOW + MINUTE).notices[KERNEL.ref].at == NOW + MINUTE
    used_before_the_notice = replace(due, idle_since=NOW - MINUTE / 2)
    after = give_notice(first, [used_before_the_notice], NOW + MINUTE)
    assert after.notices[KERNEL.ref].at == NOW
    far = replace(due, warn_at=NOW + MINUTE * 9)
    assert not give_notice(first, [far], NOW).notices
    busy = replace(due, idle_since=None, warn_at=None)
    assert not give_notice(first, [busy], NOW).notices
    no_due_time = replace(due, due_at=None)
    assert not give_notice(ledger, [no_due_time], NOW).notices
    assert give_notice(first, [no_due_time], NOW).notices == first.notices


def test_a_step_of_the_clock_leaves_every_duration_as_it_was() -> None:
    step = timedelta(hours=-1)
    before = replace(
        hold(kernel_seen(KERNEL), KERNEL.ref, NOW + MINUTE),
        notices={KERNEL.ref: Notice(BEFORE)},
    )
    before = record(before, KERNEL.ref, Outcome(Result.TEMPORARY), NOW)
    after = shift(before, step)
    moved = after.marks[KERNEL.ref]
    assert moved.active_at == STAMP + step
    assert moved.stamps == {"last-activity": STAMP}  # another's word, and compared only with itself
    assert after.holds[KERNEL.ref] == Hold(NOW + MINUTE + step)
    assert after.notices[KERNEL.ref] == Notice(BEFORE + step)
    retry = before.failures[KERNEL.ref].retry_at
    assert after.failures[KERNEL.ref].retry_at == retry + step
    assert after.quiet_until == before.quiet_until + step
    assert shift(after, -step) == before


def test_arrivals_and_departures_in_apps_are_detected() -> None:
    ledger = advance(EMPTY, Snapshot((KERNEL,), (TERMINAL,), (APP,)), BEFORE)
    assert not arrivals(ledger, (KERNEL, TERMINAL, APP))
    assert arrivals(ledger, (TERMINAL, APP))
    assert arrivals(ledger, (KERNEL, replace(KERNEL, id="k2"), APP))
    assert not arrivals(ledger, (KERNEL, Kernel("free"), APP))
    assert arrivals(ledger, (replace(KERNEL, app="KernelGateway/other"), TERMINAL, APP))


def test_veto_counts_until_its_end() -> None:
    """A veto counts for a resource alone, too: a second look decides with a ledger that has
    advanced only in part."""
    ledger = replace(EMPTY, vetoes={KERNEL.ref: Veto("hook", "no", NOW)})
    assert ledger.veto_on(KERNEL.ref, BEFORE) is not None
    assert ledger.veto_on(KERNEL.ref, NOW) is None
    assert ledger.veto_on(TERMINAL.ref, BEFORE) is None


def test_late_answer_about_a_vanished_resource_records_no_failure() -> None:
    """SageMaker lists a deleted app for one more day. A query to such an app fails, and this is not
    a failure of the app."""
    app = App("KernelGateway", "a", "InService")
    ledger = advance(Ledger(NOW), Snapshot(apps=(app,)), NOW)
    ledger = record(ledger, app.ref, Outcome(Result.TEMPORARY, "No answer."), NOW)
    assert app.ref in advance(ledger, Snapshot(apps=(app,)), NOW).failures
    for status in ("Deleting", "Deleted", "Failed"):
        after = advance(ledger, Snapshot(apps=(replace(app, status=status),)), NOW)
        assert after.failures == {}

"""Marks of activity: what moves them, and that nothing moves them back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from scene import APP, KERNEL, NOW, TERMINAL, ago, mark, settled_ledger

from auto_shutdown.core.ledger import (
    LONGEST_RETRY,
    Hold,
    Ledger,
    Notice,
    Veto,
    advance,
    advance_part,
    arrivals,
    give_notice,
    hold,
    record,
    shift,
)
from auto_shutdown.core.ledger_json import holds_from_json, holds_to_json
from auto_shutdown.core.model import (
    EVERYTHING,
    App,
    Departure,
    IOPubActivity,
    Kernel,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.core.verdict import Action, Decision, Outcome, Reason, Result

MINUTE = timedelta(minutes=1)
EMPTY = Ledger(quiet_until=ago(days=1))
BEFORE = NOW - MINUTE
STAMP = ago(hours=1)


def kernel_seen(kernel: Kernel, state: str = "idle") -> Ledger:
    """As left by the pass a minute ago."""
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
def test_events_that_move_a_kernels_mark(name: str) -> None:
    now_seen, state_before, active_at = KERNEL_ROWS[name]
    after = advance(kernel_seen(KERNEL, state_before), Snapshot((now_seen,)), NOW)
    assert after.marks[KERNEL.ref].active_at == active_at


@pytest.mark.parametrize("heartbeat_at", [ago(hours=9), NOW - MINUTE / 3])
def test_the_end_of_a_cell_that_only_a_heartbeat_came_with(heartbeat_at: datetime) -> None:
    """Whoever touches the file for everything does not say when this cell ended."""
    after = advance(
        kernel_seen(KERNEL, "busy"), Snapshot((kernel(heartbeat_at=heartbeat_at),)), NOW
    )
    assert after.marks[KERNEL.ref].active_at == NOW


def test_a_changed_stamp_counts_as_now_also_where_the_last_look_found_nothing_new() -> None:
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
def test_first_sight(name: str) -> None:
    stamp, active_at = FIRST_SIGHT[name]
    for resource in (replace(KERNEL, last_activity=stamp), Terminal("1", stamp)):
        kernels = (resource,) if isinstance(resource, Kernel) else ()
        terminals = (resource,) if isinstance(resource, Terminal) else ()
        after = advance(EMPTY, Snapshot(kernels, terminals), NOW)
        assert after.marks[resource.ref].active_at == active_at


def test_without_memory_every_idle_clock_begins_at_the_first_pass() -> None:
    """Its stamp does not tell of the presence or the work that were known beside it."""
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
def test_an_old_heartbeat_does_not_tell_when_a_thing_began(name: str) -> None:
    """Yesterday's file covers what is started today, and must not make it look a day old."""
    new = replace(BEATEN[name], heartbeat_at=ago(days=1))
    snapshot = Snapshot((new,)) if isinstance(new, Kernel) else Snapshot((), (new,))
    assert advance(EMPTY, snapshot, NOW).marks[new.ref].active_at == NOW


def test_a_heartbeat_counts_at_first_sight_beside_a_stamp() -> None:
    seen = replace(kernel(), heartbeat_at=ago(minutes=3))
    after = advance(EMPTY, Snapshot((seen,)), NOW).marks[KERNEL.ref]
    assert (after.active_at, after.signal) == (ago(minutes=3), "heartbeat")


def test_a_running_job_is_activity_until_the_look_that_finds_it_ended() -> None:
    working = replace(TERMINAL, running_job="python")
    one = advance(EMPTY, Snapshot((), (working,)), BEFORE)
    two = advance(one, Snapshot((), (TERMINAL,)), NOW)
    three = advance(two, Snapshot((), (TERMINAL,)), NOW + MINUTE)
    assert [ledger.marks[TERMINAL.ref].active_at for ledger in (one, two, three)] == [
        BEFORE,
        NOW,
        NOW,
    ]


class TestApps:
    """The clock of an app moves with what runs in it."""

    used = ago(minutes=10)

    def settled(self, *kernels: Kernel) -> Ledger:
        """App and kernels known for three hours; the last look a minute ago."""
        ledger = advance(EMPTY, Snapshot(kernels, (), (APP,)), ago(hours=3))
        return advance(ledger, Snapshot(kernels, (), (APP,)), BEFORE)

    def active_at(self, ledger: Ledger) -> object:
        return ledger.marks[APP.ref].active_at

    def test_the_clock_starts_at_first_sight(self) -> None:
        """Not at CreationTime: what was before is not known, and must not count against it."""
        assert self.active_at(advance(EMPTY, Snapshot((), (), (APP,)), NOW)) == NOW

    def test_activity_of_its_kernels_is_its_own(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        ledger = self.settled(old)
        used = replace(old, last_activity=NOW - MINUTE / 2)
        after = advance(ledger, Snapshot((used,), (), (APP,)), NOW)
        assert self.active_at(after) == NOW - MINUTE / 2
        assert after.marks[APP.ref].signal == "last-activity"

    def test_used_for_three_hours_then_closed(self) -> None:
        """The incumbent's worst: its stamp of "empty since" was never cleared."""
        ledger = advance(EMPTY, Snapshot((), (), (APP,)), ago(hours=4))
        for minutes in range(180, 0, -1):
            busy = replace(KERNEL, state="busy")
            ledger = advance(ledger, Snapshot((busy,), (), (APP,)), ago(minutes=minutes))
        ledger = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert self.active_at(ledger) == NOW, "it was at work until somewhere since the last look"
        later = advance(ledger, Snapshot((), (), (APP,)), NOW + MINUTE)
        assert self.active_at(later) == NOW

    def test_closing_a_kernel_that_waits_for_nobody_is_no_activity(self) -> None:
        waiting = replace(KERNEL, state="busy", connections=0, waiting_for="input")
        ledger = self.settled(waiting)
        assert self.active_at(advance(ledger, Snapshot((), (), (APP,)), NOW)) == ago(hours=3)

    @pytest.mark.parametrize(
        ("departure", "expected"),
        [
            (Departure(APP.id, NOW - MINUTE / 2, "request"), NOW - MINUTE / 2),
            (Departure(APP.id, NOW + MINUTE, "request"), NOW),
            (Departure(None, NOW - MINUTE / 2, "request", anywhere=True), NOW - MINUTE / 2),
            (Departure(None, NOW - MINUTE / 2, "request"), ago(hours=3)),
            (Departure("KernelGateway/other", NOW, "request"), ago(hours=3)),
            (Departure(APP.id, ago(hours=5), "request"), ago(hours=3)),
        ],
    )
    def test_the_use_of_a_kernel_that_is_gone_counts_for_its_app(
        self, departure: Departure, expected: datetime
    ) -> None:
        ledger = self.settled(KERNEL)
        after = advance(ledger, Snapshot((KERNEL,), (), (APP,), departures=(departure,)), NOW)
        assert self.active_at(after) == expected

    def test_a_terminal_closed_with_its_job_running_was_at_work(self) -> None:
        inside = replace(TERMINAL, app=APP.id, running_job="python")
        ledger = advance(EMPTY, Snapshot((), (inside,), (APP,)), BEFORE)
        ledger = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert (self.active_at(ledger), ledger.marks[APP.ref].signal) == (NOW, "foreground-process")

    @pytest.mark.parametrize("source", ["kernels", "terminals"])
    def test_the_last_values_of_an_unread_source_are_no_activity(self, source: str) -> None:
        """It may even be older than what an answer has told since."""
        seen = Snapshot((KERNEL,), (TERMINAL,))
        ledger = advance(EMPTY, seen, BEFORE)
        newer = {r: replace(m, stamps={"last-activity": NOW}) for r, m in ledger.marks.items()}
        ledger = replace(ledger, marks=newer)
        unread = {source: Unread(source, "x", "x", "x")}
        after = advance(ledger, replace(seen, unread=unread), NOW)
        stays, moves = (KERNEL, TERMINAL) if source == "kernels" else (TERMINAL, KERNEL)
        assert after.marks[stays.ref] == ledger.marks[stays.ref]
        assert after.marks[moves.ref].seen_at == NOW

    def test_a_kernel_that_cannot_be_read_has_not_left(self) -> None:
        busy = replace(KERNEL, state="busy")
        ledger = advance(EMPTY, Snapshot((busy,), (), (APP,)), BEFORE)
        unread = {"kernels": Unread("kernels", "x", "x", "x")}
        after = advance(ledger, Snapshot((), (), (APP,), unread), NOW)
        assert after.marks[KERNEL.ref] == ledger.marks[KERNEL.ref]
        assert self.active_at(after) == BEFORE

    def test_an_arrival_is_activity_and_a_departure_is_not(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        ledger = self.settled(old)
        gone = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert self.active_at(gone) == ago(hours=3)
        back = advance(gone, Snapshot((old,), (), (APP,)), NOW + MINUTE)
        assert self.active_at(back) == NOW + MINUTE
        assert back.marks[APP.ref].signal == "arrival"

    def test_a_kernel_we_removed_but_that_is_listed_for_a_moment_is_no_arrival(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        removed = record(self.settled(old), KERNEL.ref, Outcome(Result.REMOVED), NOW)
        after = advance(removed, Snapshot((old,), (), (APP,)), NOW)
        assert self.active_at(after) == ago(hours=3)

    @pytest.mark.parametrize("kept", [True, False], ids=["same CreationTime", "new CreationTime"])
    def test_created_again_under_the_same_name(self, kept: bool) -> None:
        """SageMaker keeps the CreationTime of an app that comes back within 24 hours."""
        ledger = self.settled()
        if kept:
            for status in ("Deleting", "Deleted", "Pending"):
                app = replace(APP, status=status)
                ledger = advance(ledger, Snapshot((), (), (app,)), BEFORE)
        again = APP if kept else replace(APP, created_at=ago(seconds=30))
        after = advance(ledger, Snapshot((), (), (again,)), NOW)
        assert (self.active_at(after), after.marks[APP.ref].first_seen) == (NOW, NOW)

    def test_an_app_we_deleted_is_forgotten(self) -> None:
        ledger = record(self.settled(), APP.ref, Outcome(Result.REMOVED), NOW)
        assert self.active_at(advance(ledger, Snapshot((), (), (APP,)), NOW)) == NOW

    def test_a_missing_creation_time_is_no_new_app(self) -> None:
        bare = replace(APP, created_at=None)
        ledger = advance(EMPTY, Snapshot((), (), (bare,)), ago(hours=3))
        assert self.active_at(advance(ledger, Snapshot((), (), (bare,)), NOW)) == ago(hours=3)


def test_marks_of_an_unread_source_stay_and_of_a_read_one_go() -> None:
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


def test_the_note_of_a_keep_alive_is_that_of_the_one_that_ends_last() -> None:
    ledger = hold(settled_ledger(), EVERYTHING, NOW + MINUTE, "a review")
    ledger = hold(ledger, KERNEL.ref, NOW + 2 * MINUTE, "a demo")
    assert ledger.hold_on([KERNEL.ref], NOW) == Hold(NOW + 2 * MINUTE, "a demo")
    assert ledger.hold_on([], NOW) == Hold(NOW + MINUTE, "a review")
    assert holds_from_json(holds_to_json(ledger)) == ledger.holds
    old = [{"kind": "all", "id": "all", "until": "2026-03-29T01:00:00+00:00"}]
    assert [h.note for h in holds_from_json(old).values()] == [""], "a file of an earlier version"


def test_a_keep_alive_ends() -> None:
    ledger = hold(EMPTY, KERNEL.ref, NOW + MINUTE)
    assert ledger.held_until([KERNEL.ref], NOW) == NOW + MINUTE
    assert ledger.held_until([KERNEL.ref], NOW + MINUTE) is None
    assert not advance(ledger, Snapshot(), NOW + MINUTE).holds
    assert not hold(ledger, KERNEL.ref, None).holds


def test_a_notice_is_given_once_and_void_after_activity() -> None:
    ledger = replace(EMPTY, marks={KERNEL.ref: mark(STAMP)})
    due = Decision(
        KERNEL.ref, Action.KEEP, Reason.RECENT_ACTIVITY, ".", idle_since=STAMP, warn_at=BEFORE
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


def test_arrivals_and_departures_are_noticed() -> None:
    ledger = advance(EMPTY, Snapshot((KERNEL,), (TERMINAL,), (APP,)), BEFORE)
    assert not arrivals(ledger, (KERNEL, TERMINAL, APP))
    assert arrivals(ledger, (TERMINAL, APP))
    assert arrivals(ledger, (KERNEL, replace(KERNEL, id="k2"), APP))
    assert not arrivals(ledger, (KERNEL, Kernel("free"), APP))
    assert arrivals(ledger, (replace(KERNEL, app="KernelGateway/other"), TERMINAL, APP))


@pytest.mark.parametrize("order", [1, -1])
def test_an_apps_clock_is_that_of_the_latest_in_it(order: int) -> None:
    """Strong and weak evidence each, whichever kernel comes first."""
    other = replace(KERNEL, id="k2")
    marks = {
        KERNEL.ref: mark(ago(hours=2), "idle", APP.id, weak={"output": ago(minutes=9)}),
        other.ref: mark(ago(hours=1), "idle", APP.id, weak={"output": ago(minutes=40)}),
        APP.ref: mark(ago(hours=3), "InService", stamps={}),
    }
    kernels = (replace(KERNEL, last_activity=None), replace(other, last_activity=None))[::order]
    app = replace(APP, created_at=None)
    after = advance(replace(EMPTY, marks=marks), Snapshot(kernels, (), (app,)), NOW)
    assert after.marks[APP.ref].active_at == ago(hours=1)
    assert after.marks[APP.ref].weak == {"output": ago(minutes=9)}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_at_the_same_instant_an_app_names_always_the_same(order: int) -> None:
    asked, printed = replace(KERNEL, id="k2"), replace(KERNEL, id="k3")
    marks = {
        asked.ref: replace(mark(ago(hours=1), "idle", APP.id), signal="request"),
        printed.ref: replace(mark(ago(hours=1), "idle", APP.id), signal="last-activity"),
        APP.ref: mark(ago(hours=3), "InService", stamps={}),
    }
    kernels = (replace(asked, last_activity=None), replace(printed, last_activity=None))[::order]
    app = replace(APP, created_at=None)
    after = advance(replace(EMPTY, marks=marks), Snapshot(kernels, (), (app,)), NOW)
    assert (after.marks[APP.ref].active_at, after.marks[APP.ref].signal) == (
        ago(hours=1),
        "request",
    )


def test_an_objection_is_in_force_until_its_end() -> None:
    """Asked by itself, too: a second look decides on a ledger that only part of has advanced."""
    ledger = replace(EMPTY, vetoes={KERNEL.ref: Veto("hook", "no", NOW)})
    assert ledger.veto_on(KERNEL.ref, BEFORE) is not None
    assert ledger.veto_on(KERNEL.ref, NOW) is None
    assert ledger.veto_on(TERMINAL.ref, BEFORE) is None


def test_a_removal_that_was_answered_too_late_is_no_failure_of_what_is_gone() -> None:
    """SageMaker lists a deleted app for a day more; it was asked in vain only as it seemed."""
    app = App("KernelGateway", "a", "InService")
    ledger = advance(Ledger(NOW), Snapshot(apps=(app,)), NOW)
    ledger = record(ledger, app.ref, Outcome(Result.TEMPORARY, "No answer."), NOW)
    assert app.ref in advance(ledger, Snapshot(apps=(app,)), NOW).failures
    for status in ("Deleting", "Deleted", "Failed"):
        after = advance(ledger, Snapshot(apps=(replace(app, status=status),)), NOW)
        assert after.failures == {}

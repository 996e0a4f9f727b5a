"""The idle clock of an app moves with the kernels and terminals that run in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from scene import APP, KERNEL, NOW, TERMINAL, ago, mark

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.ledger import Ledger, record
from auto_shutdown.core.model import Answer, Departure, Kernel, Snapshot, Unread
from auto_shutdown.core.outcome import Outcome, Result

MINUTE = timedelta(minutes=1)
EMPTY = Ledger(quiet_until=ago(days=1))
BEFORE = NOW - MINUTE


class TestIdleClockOfAnApp:
    """The idle clock of an app follows the activity of its kernels and terminals."""

    def settled(self, *kernels: Kernel) -> Ledger:
        """The ledger that has known the app and the kernels for three hours. The last pass was a
        minute ago."""
        ledger = advance(EMPTY, Snapshot(kernels, (), (APP,)), ago(hours=3))
        return advance(ledger, Snapshot(kernels, (), (APP,)), BEFORE)

    def active_at(self, ledger: Ledger) -> object:
        return ledger.marks[APP.ref].active_at

    def test_idle_clock_of_a_new_app_starts_at_the_first_pass(self) -> None:
        """The clock must not start at CreationTime, because nobody observed the app before this
        pass."""
        assert self.active_at(advance(EMPTY, Snapshot((), (), (APP,)), NOW)) == NOW

    def test_activity_of_a_kernel_counts_for_its_app(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        ledger = self.settled(old)
        used = replace(old, last_activity=NOW - MINUTE / 2)
        after = advance(ledger, Snapshot((used,), (), (APP,)), NOW)
        assert self.active_at(after) == NOW - MINUTE / 2
        assert after.marks[APP.ref].signal == "last-activity"

    def test_app_stays_for_a_whole_limit_after_its_last_kernel_was_closed(self) -> None:
        """The incumbent deletes such an app at once: it never clears the time at which the app was
        empty before."""
        ledger = advance(EMPTY, Snapshot((), (), (APP,)), ago(hours=4))
        for minutes in range(180, 0, -1):
            busy = replace(KERNEL, state="busy")
            ledger = advance(ledger, Snapshot((busy,), (), (APP,)), ago(minutes=minutes))
        ledger = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert self.active_at(ledger) == NOW, "it was at work until somewhere since the last look"
        later = advance(ledger, Snapshot((), (), (APP,)), NOW + MINUTE)
        assert self.active_at(later) == NOW

    def test_closing_a_kernel_whose_cell_has_no_observed_end_is_activity_of_its_app(self) -> None:
        """The user closed the page while a cell ran, and the manager reports the kernel as idle."""
        kernel = replace(KERNEL, last_activity=ago(hours=5))
        unseen = replace(kernel, end_unseen=True)
        gone = Snapshot((), (), (APP,))
        assert self.active_at(advance(self.settled(unseen), gone, NOW)) == NOW
        free = advance(self.settled(unseen), Snapshot((kernel,), (), (APP,)), BEFORE)
        assert self.active_at(advance(free, gone, NOW)) == ago(hours=3), "its shell has answered"
        answered = record_answers(self.settled(unseen), [Answer(KERNEL.ref, True)], BEFORE)
        assert self.active_at(advance(answered, gone, NOW)) == ago(hours=3)

    @pytest.mark.parametrize(
        ("answer", "counts"),
        [({}, True), ({"low_use": True}, False), ({"programs": ("pts/3",)}, False)],
    )
    def test_closing_a_kernel_with_background_work_is_activity_of_its_app(
        self, answer: dict[str, Any], counts: bool
    ) -> None:
        """A thread works until its kernel is closed, not only until the last query. A program or a
        cluster may only wait, so its last sign of work counts."""
        ledger = self.settled(replace(KERNEL, last_activity=ago(hours=5)))
        works = Answer(KERNEL.ref, True, working=True, worked_at=ago(hours=4), **answer)
        ledger = record_answers(ledger, [works], BEFORE)
        gone = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert (self.active_at(gone) == NOW) is counts
        ended = record_answers(ledger, [Answer(KERNEL.ref, True)], BEFORE)
        assert self.active_at(advance(ended, Snapshot((), (), (APP,)), NOW)) != NOW

    def test_closing_a_kernel_that_waits_in_input_is_not_activity_of_its_app(self) -> None:
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
    def test_last_use_of_a_kernel_that_is_gone_counts_for_its_app(
        self, departure: Departure, expected: datetime
    ) -> None:
        ledger = self.settled(KERNEL)
        after = advance(ledger, Snapshot((KERNEL,), (), (APP,), departures=(departure,)), NOW)
        assert self.active_at(after) == expected

    def test_terminal_closed_while_its_job_runs_counts_for_its_app_until_now(self) -> None:
        inside = replace(TERMINAL, app=APP.id, running_job="python")
        ledger = advance(EMPTY, Snapshot((), (inside,), (APP,)), BEFORE)
        ledger = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert (self.active_at(ledger), ledger.marks[APP.ref].signal) == (NOW, "foreground-process")

    @pytest.mark.parametrize("source", ["kernels", "terminals"])
    def test_last_values_of_an_unread_source_do_not_count_as_activity(self, source: str) -> None:
        """The last values may be older than an answer that has arrived since."""
        seen = Snapshot((KERNEL,), (TERMINAL,))
        ledger = advance(EMPTY, seen, BEFORE)
        newer = {r: replace(m, stamps={"last-activity": NOW}) for r, m in ledger.marks.items()}
        ledger = replace(ledger, marks=newer)
        unread = {source: Unread(source, "x", "x", "x")}
        after = advance(ledger, replace(seen, unread=unread), NOW)
        stays, moves = (KERNEL, TERMINAL) if source == "kernels" else (TERMINAL, KERNEL)
        assert after.marks[stays.ref] == ledger.marks[stays.ref]
        assert after.marks[moves.ref].seen_at == NOW

    def test_kernel_of_an_unread_source_has_not_left_its_app(self) -> None:
        busy = replace(KERNEL, state="busy")
        ledger = advance(EMPTY, Snapshot((busy,), (), (APP,)), BEFORE)
        unread = {"kernels": Unread("kernels", "x", "x", "x")}
        after = advance(ledger, Snapshot((), (), (APP,), unread), NOW)
        assert after.marks[KERNEL.ref] == ledger.marks[KERNEL.ref]
        assert self.active_at(after) == BEFORE

    def test_arrival_of_a_kernel_is_activity_of_its_app_and_its_departure_is_not(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        ledger = self.settled(old)
        gone = advance(ledger, Snapshot((), (), (APP,)), NOW)
        assert self.active_at(gone) == ago(hours=3)
        back = advance(gone, Snapshot((old,), (), (APP,)), NOW + MINUTE)
        assert self.active_at(back) == NOW + MINUTE
        assert back.marks[APP.ref].signal == "arrival"

    def test_removed_kernel_that_is_still_listed_is_not_an_arrival(self) -> None:
        old = replace(KERNEL, last_activity=ago(hours=5))
        removed = record(self.settled(old), KERNEL.ref, Outcome(Result.REMOVED), NOW)
        after = advance(removed, Snapshot((old,), (), (APP,)), NOW)
        assert self.active_at(after) == ago(hours=3)

    @pytest.mark.parametrize("kept", [True, False], ids=["same CreationTime", "new CreationTime"])
    def test_app_created_again_under_the_same_name_has_a_new_idle_clock(self, kept: bool) -> None:
        """SageMaker keeps the CreationTime of an app that comes back within 24 hours."""
        ledger = self.settled()
        if kept:
            for status in ("Deleting", "Deleted", "Pending"):
                app = replace(APP, status=status)
                ledger = advance(ledger, Snapshot((), (), (app,)), BEFORE)
        again = APP if kept else replace(APP, created_at=ago(seconds=30))
        after = advance(ledger, Snapshot((), (), (again,)), NOW)
        assert (self.active_at(after), after.marks[APP.ref].first_seen) == (NOW, NOW)

    def test_ledger_forgets_an_app_that_the_extension_deleted(self) -> None:
        ledger = record(self.settled(), APP.ref, Outcome(Result.REMOVED), NOW)
        assert self.active_at(advance(ledger, Snapshot((), (), (APP,)), NOW)) == NOW

    def test_app_without_creation_time_keeps_its_idle_clock(self) -> None:
        bare = replace(APP, created_at=None)
        ledger = advance(EMPTY, Snapshot((), (), (bare,)), ago(hours=3))
        assert self.active_at(advance(ledger, Snapshot((), (), (bare,)), NOW)) == ago(hours=3)


@pytest.mark.parametrize("order", [1, -1])
def test_idle_clock_of_an_app_follows_its_latest_kernel(order: int) -> None:
    """The test covers strong and weak evidence, in each order of the kernels."""
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
def test_app_names_the_same_signal_in_any_order_of_its_kernels(order: int) -> None:
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

"""Marks after answers to the queries for background work, and while a terminal command runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from mark_steps import EMPTY, HOUR, MINUTE, look
from scene import KERNEL, NOW, OWN, TERMINAL, ago

from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.marks import DEAD, Mark, Work
from auto_shutdown.core.model import (
    Answer,
    IOPubActivity,
    Kernel,
    Resource,
    Snapshot,
    Terminal,
)
from auto_shutdown.core.signals import Signal


class TestAnswers:
    settled = look(EMPTY, replace(KERNEL, last_activity=ago(hours=3)), NOW)

    def after(self, **answer: object) -> Mark:
        made = Answer(KERNEL.ref, True, **answer)  # type: ignore[arg-type]
        return record_answers(self.settled, [made], NOW + MINUTE).marks[KERNEL.ref]

    def test_background_work_counts_as_activity(self) -> None:
        mark = self.after(working=True, cores=1.0, detail="x")
        assert (mark.active_at, mark.signal) == (NOW + MINUTE, Signal.BACKGROUND_WORK)
        assert mark.work.result == "working"

    def test_stamp_moved_by_a_query_of_the_extension_is_not_activity(self) -> None:
        stamp = NOW + MINUTE / 2
        made = Answer(KERNEL.ref, True, stamps={Signal.LAST_ACTIVITY: stamp})
        ledger = record_answers(self.settled, [made], NOW + MINUTE)
        ledger = look(ledger, replace(KERNEL, last_activity=stamp), NOW + 2 * MINUTE)
        assert ledger.marks[KERNEL.ref].active_at == ago(hours=3)
        later = replace(KERNEL, last_activity=NOW + MINUTE)
        assert look(ledger, later, NOW + 3 * MINUTE).marks[KERNEL.ref].active_at > NOW

    def test_idle_clock_starts_at_the_answer_that_finds_no_work(self) -> None:
        """The work may have ended at any time since the answer before. The latest possible time
        counts, so that no idle time is too long."""
        working = record_answers(
            self.settled, [Answer(KERNEL.ref, True, working=True)], NOW + MINUTE
        )
        for answer, active_at in (
            ({"conclusive": True}, NOW + HOUR),
            ({"conclusive": True, "answered": False}, NOW + HOUR),
            ({"conclusive": False}, NOW + MINUTE),
        ):
            after = record_answers(working, [Answer(KERNEL.ref, **answer)], NOW + HOUR)
            assert after.marks[KERNEL.ref].active_at == active_at
        ended = record_answers(working, [Answer(KERNEL.ref, True)], NOW + HOUR)
        again = record_answers(ended, [Answer(KERNEL.ref, True)], NOW + 2 * HOUR)
        assert again.marks[KERNEL.ref].active_at == NOW + HOUR

    def test_a_request_of_another_client_during_the_question_counts(self) -> None:
        assert self.after(other_client_seen=True).active_at == NOW + MINUTE

    def test_answer_about_a_vanished_resource_is_dropped(self) -> None:
        assert record_answers(EMPTY, [Answer(KERNEL.ref, True)], NOW) == EMPTY


class TestBackgroundWorkBesideACell:
    """An answer that has reported background work is not lost when a cell or command begins or
    ends. Otherwise the idle clock would start with the cell, even if the work ended hours later."""

    prompt = replace(TERMINAL, input_at=ago(hours=3))
    command = replace(prompt, running_job="ls")
    heard = replace(KERNEL, iopub=IOPubActivity(ago(hours=3)), connections=0)
    #: A kernel behind a gateway, whose gateway keeps the output of a cell for its client.
    alone = replace(KERNEL, connections=0)

    def steps(self, *steps: Resource | Answer) -> Mark:
        """The mark after these observations and answers, which follow each other in steps of one
        hour."""
        ledger, ref = EMPTY, KERNEL.ref
        for number, step in enumerate(steps):
            at = NOW + number * HOUR
            if isinstance(step, Answer):
                ledger = record_answers(ledger, [step], at)
            elif isinstance(step, Terminal):
                ledger = advance(ledger, Snapshot((), (step,)), at)
            elif isinstance(step, Kernel):
                ledger = advance(ledger, Snapshot((step,)), at)
            ref = step.ref
        return ledger.marks[ref]

    def test_end_of_a_job_starts_the_clock_after_a_later_command_has_ended(self) -> None:
        works = Answer(TERMINAL.ref, True, working=True)
        begun = (self.prompt, works, self.command, self.prompt)
        assert self.steps(*begun).work.result == "working"
        mark = self.steps(*begun, Answer(TERMINAL.ref, True))
        assert (mark.active_at, mark.signal) == (NOW + 4 * HOUR, Signal.BACKGROUND_WORK)
        assert not mark.work.in_background

    @pytest.mark.parametrize("kernel", [heard, KERNEL], ids=["local", "with a client"])
    def test_end_of_a_thread_starts_the_clock_after_a_later_cell_has_ended(
        self, kernel: Kernel
    ) -> None:
        works, busy = Answer(KERNEL.ref, True, working=True), replace(kernel, state="busy")
        begun = (kernel, works, busy, kernel)
        assert self.steps(*begun).work.result == "working"
        mark = self.steps(*begun, Answer(KERNEL.ref, True))
        assert mark.active_at == NOW + 4 * HOUR

    def test_a_query_for_a_thread_waits_until_it_cannot_lose_the_output_of_a_cell(self) -> None:
        works, busy = Answer(KERNEL.ref, True, working=True), replace(self.alone, state="busy")
        begun = (self.alone, works, busy, self.alone)
        assert self.steps(*begun).work == Work(in_background=True)
        mark = self.steps(*begun, Answer(KERNEL.ref, True))
        assert mark.active_at == NOW + 4 * HOUR, "the thread may have ended a moment ago"

    @pytest.mark.parametrize(
        ("answer", "remains"),
        [({"working": True}, True), ({}, False), ({"answered": False}, False)],
    )
    def test_only_an_answer_without_work_ends_background_work_during_a_command(
        self, answer: dict[str, Any], remains: bool
    ) -> None:
        works, later = (
            Answer(TERMINAL.ref, True, working=True),
            Answer(TERMINAL.ref, True, **answer),
        )
        mark = self.steps(self.prompt, works, self.command, later, self.prompt)
        assert (mark.work.result == "working") is remains

    def test_work_of_a_cell_is_no_background_work(self) -> None:
        works, busy = Answer(KERNEL.ref, True, working=True), replace(self.heard, state="busy")
        assert self.steps(busy, works, self.heard).work == Work()
        waits = replace(busy, waiting_for="input")
        assert self.steps(waits, works, self.heard).work != Work(), "the cell only waits"

    @pytest.mark.parametrize("state", sorted(DEAD))
    def test_kernel_that_has_ended_does_no_background_work(self, state: str) -> None:
        works = Answer(KERNEL.ref, True, working=True)
        assert self.steps(KERNEL, works, replace(KERNEL, state=state)).work == Work()

    def test_background_work_outlasts_a_restart_of_the_kernel(self) -> None:
        """``nohup`` keeps a job running while its kernel restarts."""
        works, starts = Answer(KERNEL.ref, True, working=True), replace(KERNEL, state="starting")
        assert self.steps(KERNEL, works, starts, KERNEL).work.result == "working"


class TestARunningCommand:
    """``quiet_since``: when the command of a terminal last showed a sign of work."""

    running = replace(TERMINAL, input_at=ago(hours=3), running_job="python")

    def after(self, *looks: tuple[Terminal, datetime]) -> Mark:
        ledger = EMPTY
        for terminal, at in looks:
            ledger = advance(ledger, Snapshot((), (terminal,)), at)
        return ledger.marks[TERMINAL.ref]

    def test_quiet_time_of_a_command_starts_with_it_and_again_with_each_key(self) -> None:
        assert self.after((self.running, ago(hours=2))).quiet_since == ago(hours=2)
        silent = ((self.running, ago(hours=2)), (self.running, NOW))
        assert self.after(*silent).quiet_since == ago(hours=2)
        typed = replace(self.running, input_at=ago(hours=1))
        assert self.after((self.running, ago(hours=2)), (typed, NOW)).quiet_since == NOW
        prompt = replace(self.running, running_job=None)
        assert self.after((self.running, ago(hours=2)), (prompt, NOW)).quiet_since is None

    @pytest.mark.parametrize(
        ("answer", "shows_work"),
        [
            ({"working": True, "cores": 0.0}, True),
            ({"cores": 0.02}, True),
            ({"cores": None}, True),
            # A little data is a weak sign: with it, a monitor would never become suspect.
            ({"cores": 0.0, "activity": {Signal.BACKGROUND_IO: NOW}}, False),
            ({"cores": 0.0, "io_unknown": True}, False),
            ({"cores": 0.01, "io_unknown": True}, True),
            ({"cores": 0.0}, False),
            ({"working": True, "cores": 0.1, "low_use": True}, False),  # an idle cluster
        ],
    )
    def test_quiet_time_of_a_command_starts_again_with_an_answer_that_shows_work(
        self, answer: dict[str, Any], shows_work: bool
    ) -> None:
        ledger = advance(EMPTY, Snapshot((), (self.running,)), ago(hours=2))
        learnt = record_answers(ledger, [Answer(TERMINAL.ref, True, **answer)], NOW)
        assert (learnt.marks[TERMINAL.ref].quiet_since == NOW) is shows_work

    def test_low_use_beside_a_running_cell_shows_work(self) -> None:
        busy = Kernel("k", state="busy")
        ledger = advance(EMPTY, Snapshot((busy,)), ago(hours=2))
        answer = Answer(busy.ref, True, working=True, cores=0.1, low_use=True)
        assert record_answers(ledger, [answer], NOW).marks[busy.ref].quiet_since == NOW

    def test_work_of_one_command_does_not_count_for_the_next_command(self) -> None:
        ledger = advance(EMPTY, Snapshot((), (self.running,)), ago(hours=2))
        ledger = record_answers(ledger, [Answer(TERMINAL.ref, True, working=True)], ago(hours=1))
        prompt = replace(self.running, running_job=None)
        mark = advance(ledger, Snapshot((), (prompt,)), NOW).marks[TERMINAL.ref]
        assert mark.work.result == ""


@pytest.mark.parametrize("io_unknown", [True, False])
def test_unknown_io_of_a_job_in_the_background_is_a_weak_sign_of_life(io_unknown: bool) -> None:
    prompt = replace(TERMINAL, running_job=None)
    ledger = advance(EMPTY, Snapshot((), (prompt,)), ago(hours=2))
    answer = Answer(TERMINAL.ref, True, cores=0.0, io_unknown=io_unknown)
    mark = record_answers(ledger, [answer], NOW).marks[TERMINAL.ref]
    assert mark.weak == ({Signal.BACKGROUND_IO: NOW} if io_unknown else {})
    assert (mark.work.result, mark.work.io_unknown) == ("none", io_unknown)


class TestUnreadAnswers:
    """An unreadable answer is unknown. It neither begins nor ends background work."""

    def test_unreadable_answer_does_not_end_known_work(self) -> None:
        ledger = look(EMPTY, replace(KERNEL, state="idle"), ago(hours=2))
        unread = Answer(KERNEL.ref, True, unread=True, detail="EMFILE")
        work = record_answers(ledger, [unread], NOW).marks[KERNEL.ref].work
        assert (work.result, work.detail, work.asked_at) == ("unread", "EMFILE", NOW)
        working = record_answers(ledger, [Answer(KERNEL.ref, True, working=True)], ago(hours=1))
        after = record_answers(working, [unread], NOW)
        assert after.marks[KERNEL.ref].work.result == "working"
        assert after.marks[KERNEL.ref].active_at == ago(hours=1)
        ended = record_answers(after, [Answer(KERNEL.ref, True)], NOW + HOUR)
        assert ended.marks[KERNEL.ref].active_at == NOW + HOUR, "its clock begins at its end"

    def test_reported_activity_counts_from_its_instant_and_never_from_the_future(self) -> None:
        ledger = advance(EMPTY, Snapshot((), (), (OWN,)), ago(hours=3))
        for at, counted in ((ago(hours=1), ago(hours=1)), (NOW + HOUR, NOW)):
            found = Answer(OWN.ref, True, activity={Signal.OTHER_SERVER: at})
            mark = record_answers(ledger, [found], NOW).marks[OWN.ref]
            assert (mark.active_at, mark.signal) == (counted, Signal.OTHER_SERVER)

"""Marks of activity: strong and weak evidence, busy kernels, and the fields of a mark."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mark_steps import EMPTY, HOUR, MINUTE, look
from scene import APP, KERNEL, NOW, OWN, TERMINAL, ago

from auto_shutdown.core import next_marks
from auto_shutdown.core.advance import advance
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.ledger import note
from auto_shutdown.core.marks import Mark, activity, first_sight, moved, shifted
from auto_shutdown.core.model import Answer, IOPubActivity, Kernel, Snapshot
from auto_shutdown.core.signals import WEAK, Signal

CAPS = {Signal.OUTPUT: 8 * HOUR, Signal.PRESENCE: HOUR}

ACTIVITY = {
    "nothing weak": ({}, ago(hours=3), "input"),
    "older output": ({Signal.OUTPUT: ago(hours=4)}, ago(hours=3), "input"),
    "output within its cap": ({Signal.OUTPUT: ago(hours=1)}, ago(hours=1), "output"),
    "presence beyond its cap": ({Signal.PRESENCE: NOW}, ago(hours=2), "presence"),
    "both": (
        {Signal.PRESENCE: NOW, Signal.OUTPUT: ago(minutes=5)},
        ago(minutes=5),
        "output",
    ),
    "a signal without a cap": ({"rumour": NOW}, ago(hours=3), "input"),
}


@pytest.mark.parametrize("name", ACTIVITY)
def test_weak_evidence_counts_for_a_limited_time_after_strong_evidence(name: str) -> None:
    weak, at, signal = ACTIVITY[name]
    mark = Mark(ago(hours=9), NOW, ago(hours=3), "input", weak=weak)
    assert activity(mark, CAPS) == (at, signal)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*sorted(WEAK), Signal.INPUT, Signal.REQUEST]),
            st.integers(0, 600),
        )
    )
)
def test_a_mark_only_moves_forward(evidence: list[tuple[str, int]]) -> None:
    mark, best = first_sight(ago(hours=10)), ago(hours=10)
    for signal, minutes in evidence:
        mark = moved(mark, signal, ago(hours=10) + minutes * MINUTE)
        now_best = activity(mark, CAPS)[0]
        assert now_best >= best
        best = now_best


def test_a_step_of_the_clock_moves_every_instant_that_the_extension_recorded() -> None:
    mark = Mark(ago(hours=1), NOW, ago(hours=1), "input", weak={Signal.OUTPUT: NOW})
    mark = replace(mark, quiet_since=NOW, stamps={"last-activity": NOW})
    after = shifted(mark, HOUR)
    assert (after.weak[Signal.OUTPUT], after.quiet_since) == (NOW + HOUR, NOW + HOUR)
    assert after.stamps == mark.stamps
    assert after.work.asked_at is None


class TestBusy:
    busy = replace(KERNEL, state="busy", last_activity=ago(hours=5))

    def quiet_since(self, *looks: Kernel) -> datetime | None:
        ledger = EMPTY
        for step, kernel in enumerate(looks):
            ledger = look(ledger, kernel, NOW + step * MINUTE)
        return ledger.marks[KERNEL.ref].quiet_since

    def test_quiet_since_counts_from_the_last_message(self) -> None:
        printed = replace(self.busy, last_activity=NOW)
        assert self.quiet_since(self.busy, self.busy, self.busy) == NOW
        assert self.quiet_since(self.busy, self.busy, printed) == NOW + 2 * MINUTE
        assert self.quiet_since(self.busy, replace(self.busy, state="idle")) is None

    @pytest.mark.parametrize(
        ("answer", "still_since"),
        [
            ({"cores": 0.009}, NOW),
            ({"cores": 0.01}, NOW + MINUTE),
            ({"answered": False}, NOW + MINUTE),
            ({"conclusive": False}, NOW),
        ],
    )
    def test_a_busy_kernel_is_quiet_since_it_last_used_the_processor(
        self, answer: dict[str, object], still_since: datetime
    ) -> None:
        made = Answer(**{"ref": KERNEL.ref, "conclusive": True, **answer})  # type: ignore[arg-type]
        after = record_answers(look(EMPTY, self.busy, NOW), [made], NOW + MINUTE)
        assert after.marks[KERNEL.ref].quiet_since == still_since

    @pytest.mark.parametrize("state", ["starting", "idle"])
    def test_a_kernel_whose_gateway_refuses_is_quiet_since_the_first_refusal(
        self, state: str
    ) -> None:
        refuses = replace(self.busy, state=state, refused="HTTP 404")
        answers = replace(refuses, refused="")
        used = replace(refuses, last_activity=NOW)
        assert self.quiet_since(answers, refuses, refuses) == NOW + MINUTE
        assert self.quiet_since(refuses, refuses, used) == NOW + 2 * MINUTE, "it was used"
        assert self.quiet_since(refuses, answers) is None
        assert self.quiet_since(refuses, answers, refuses) == NOW + 2 * MINUTE

    @pytest.mark.parametrize("state", ["starting", "idle"])
    def test_a_refusing_kernel_is_quiet_since_the_end_of_its_cell(self, state: str) -> None:
        """The cell was silent for ten hours, and no time stamp shows its end."""
        refuses = replace(self.busy, state=state, refused="HTTP 503")
        assert self.quiet_since(self.busy, self.busy, refuses) == NOW + 2 * MINUTE
        assert self.quiet_since(self.busy, refuses, refuses) == NOW + MINUTE
        assert self.quiet_since(refuses, refuses, self.busy) == NOW + 2 * MINUTE

    def test_kernel_that_waits_in_input_without_a_client_is_not_active(self) -> None:
        alone = replace(self.busy, waiting_for="input", connections=0)
        ledger = look(look(EMPTY, self.busy, ago(hours=1)), alone, NOW)
        after = look(ledger, alone, NOW + HOUR).marks[KERNEL.ref]
        assert after.active_at == NOW, "the last client left since the look before"
        attended = look(ledger, replace(alone, connections=1), NOW + HOUR).marks[KERNEL.ref]
        assert attended.active_at == NOW + HOUR


def test_weak_evidence_reaches_the_app() -> None:
    kernel = replace(KERNEL, last_activity=ago(hours=3))
    ledger = advance(EMPTY, Snapshot((kernel,), (), (APP,)), ago(hours=3))
    ledger = note(ledger, [KERNEL.ref], Signal.PRESENCE, NOW)
    ledger = advance(ledger, Snapshot((kernel,), (), (APP,)), NOW)
    mark = ledger.marks[APP.ref]
    assert mark.weak == {Signal.PRESENCE: NOW}
    assert mark.active_at == ago(hours=3)


def test_keys_of_a_terminal_are_strong_evidence_and_output_is_weak() -> None:
    terminal = replace(TERMINAL, input_at=ago(hours=3), last_activity=ago(hours=3))
    ledger = advance(EMPTY, Snapshot((), (terminal,)), ago(hours=3))
    printing = replace(terminal, last_activity=NOW)
    mark = advance(ledger, Snapshot((), (printing,)), NOW).marks[TERMINAL.ref]
    assert (mark.active_at, mark.weak[Signal.OUTPUT]) == (ago(hours=3), NOW)
    typed = replace(printing, input_at=NOW)
    mark = advance(ledger, Snapshot((), (typed,)), NOW).marks[TERMINAL.ref]
    assert (mark.active_at, mark.signal) == (NOW, Signal.INPUT)


def test_activity_reported_for_the_server_counts_for_its_own_app() -> None:
    ledger = advance(EMPTY, Snapshot((), (), (OWN,)), ago(hours=3))
    saved = replace(OWN, stamps={Signal.SAVED: ago(minutes=5)})
    mark = advance(ledger, Snapshot((), (), (saved,)), NOW).marks[OWN.ref]
    assert (mark.active_at, mark.signal) == (ago(minutes=5), Signal.SAVED)


_IDLE = Kernel("k", "python3", "idle", last_activity=NOW, app="KernelGateway/a")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"state": "busy"},
        {"state": "starting"},
        {"app": "KernelGateway/b"},
        {"app": None},
        {"last_activity": NOW + MINUTE},
        {"last_activity": None},
        {"heartbeat_at": NOW},
        {"request_sent_at": NOW + MINUTE},
        {"state": "busy", "waiting_for": "input"},
        {"connections": 3},
        {"refused": "HTTP 403"},
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [_IDLE, replace(_IDLE, state="busy")], ids=["idle", "busy"])
def test_the_shortcut_for_an_unchanged_kernel_gives_the_same_mark(
    before: Kernel, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = next_marks.advance_kernel(None, before, NOW + 2 * MINUTE)
    second = next_marks.advance_kernel(first, _IDLE, NOW + 3 * MINUTE)
    now, kernel = NOW + 4 * MINUTE, replace(_IDLE, **change)
    for previous in (first, second):
        short = next_marks.advance_kernel(previous, kernel, now)
        with monkeypatch.context() as patch:
            patch.setattr(next_marks, "_is_unchanged", lambda *_: False)
            assert short == next_marks.advance_kernel(previous, kernel, now)


@pytest.mark.parametrize(
    ("shows_keys", "change", "is_quiet_again"),
    [
        (True, {"input_at": NOW}, True),
        (True, {"last_activity": NOW}, False),  # a redraw
        (False, {"last_activity": NOW}, True),  # it may be a key
        (False, {}, False),
    ],
)
def test_a_key_that_cannot_be_told_from_output_is_a_sign_that_a_command_is_in_use(
    shows_keys: bool, change: dict[str, Any], is_quiet_again: bool
) -> None:
    began = ago(hours=5)
    command = replace(
        TERMINAL, running_job="less", last_activity=began, input_at=began if shows_keys else None
    )
    ledger = advance(EMPTY, Snapshot((), (command,)), began)
    later = advance(ledger, Snapshot((), (replace(command, **change),)), NOW)
    expected = NOW if is_quiet_again else began
    assert later.marks[TERMINAL.ref].quiet_since == expected


@pytest.mark.parametrize("state", ["dead", "idle"])
def test_output_does_not_date_the_end_of_a_cell(state: str) -> None:
    """The kernel could not be read while it printed, and while its cell ended or it died."""
    began = IOPubActivity(request_at=ago(hours=3))
    busy = replace(KERNEL, state="busy", iopub=began)
    printed = replace(busy, state=state, iopub=replace(began, output_at=ago(hours=1)))
    ended = replace(printed, iopub=replace(began, request_at=ago(hours=2)))
    ledger = look(EMPTY, busy, ago(hours=3))
    assert look(ledger, printed, NOW).marks[KERNEL.ref].active_at == NOW
    assert look(ledger, ended, NOW).marks[KERNEL.ref].active_at == ago(hours=2)

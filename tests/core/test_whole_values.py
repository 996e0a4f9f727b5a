"""Values as wholes: the report, the parts of a snapshot, and what is shifted or written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, POLICY, TERMINAL, Scene, ago, other

from auto_shutdown.core import ledger_json as archive
from auto_shutdown.core.answers import record_answers
from auto_shutdown.core.faults import Fault, derive
from auto_shutdown.core.ledger import Failure, Hold, Ledger, Notice, Veto, add_vetoes, record, shift
from auto_shutdown.core.marks import Mark, Work, shifted
from auto_shutdown.core.model import Answer, Kind, Program, Ref, Snapshot, Unread
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.report import Passes, build

HOUR = timedelta(hours=1)
FULL = Mark(
    ago(hours=9),
    ago(minutes=1),
    ago(hours=3),
    "input",
    stamps={"input": ago(hours=3)},
    weak={"output": ago(hours=2)},
    state="busy",
    state_since=ago(hours=4),
    app=APP.id,
    incarnation="i",
    quiet_since=ago(hours=1),
    alone=True,
    work=Work(ago(minutes=2), ago(minutes=3), "none", "CPU"),
)
FAILED = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow it.")


def report(scene: Scene, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "now": NOW,
        "platform": {"kind": "local"},
        "passes": Passes(True, NOW, ago(minutes=1), NOW + HOUR),
        "faults": [Fault("apps", "Throttled", "It failed.", "Wait.", ago(hours=1))],
        "policy": replace(POLICY, settings={"enabled": True}),
        "bounds": {"locked": []},
        "snapshot": scene.snapshot,
        "ledger": scene.ledger,
        "plan": scene.plan(),
        "outcomes": [{"id": "x"}],
        "savings": {"removed": 1},
    }
    return build(**{**given, **changes})


def test_whole_report_of_one_scene() -> None:
    times = {"started_at": ago(hours=1), "quiet_since": ago(minutes=30)}
    found = report(Scene(programs=(Program("pts/3", "terminal", "less", **times),)))
    resources = found.pop("resources")
    assert found == {
        "version": 1,
        "now": "2026-03-29T00:59:30.000Z",
        "platform": {"kind": "local"},
        "health": {
            "state": "degraded",
            "armed": True,
            "last_pass": "2026-03-29T00:59:30.000Z",
            "last_ok_pass": "2026-03-29T00:58:30.000Z",
            "next_pass": "2026-03-29T01:59:30.000Z",
            "unsignalled_changes": 0,
            "faults": [
                {
                    "source": "apps",
                    "code": "Throttled",
                    "message": "It failed.",
                    "message_parts": [{"text": "%1", "arguments": ["It failed."]}],
                    "remedy": "Wait.",
                    "remedy_parts": [{"text": "%1", "arguments": ["Wait."]}],
                    "since": "2026-03-28T23:59:30.000Z",
                }
            ],
        },
        "policy": {"enabled": True, "locked": []},
        "programs": [
            {
                "kind": "terminal",
                "id": "pts/3",
                "name": "less",
                "started_by": "",
                "state": "running",
                "started_at": "2026-03-28T23:59:30.000Z",
                "quiet_since": "2026-03-29T00:29:30.000Z",
                "keeps_app": True,
                "reason": "background-work",
                "detail": "It runs in a terminal.",
            }
        ],
        "keep_alive": [],
        "outcomes": [{"id": "x"}],
        "savings": {"removed": 1},
    }
    assert [row["id"] for row in resources] == [
        KERNEL.id,
        TERMINAL.id,
        IMAGE_TERMINAL.id,
        APP.id,
    ]
    assert resources[0] == {
        "kind": "kernel",
        "id": "k1",
        "name": "python3",
        "app": APP.id,
        "paths": ["train.ipynb"],
        "state": "idle",
        "state_since": "2026-03-28T21:59:30.000Z",
        "instance_type": "ml.g5.xlarge",
        "action": "remove",
        "reason": "idle",
        "detail": "Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
        "parameters": {},
        "signal": "last-activity",
        "limit_minutes": 120.0,
        "rule": "idle_timeout_minutes",
        "idle_since": "2026-03-28T21:59:30.000Z",
        "warn_at": "2026-03-28T23:59:30.000Z",
        "due_at": "2026-03-29T00:59:30.000Z",
        "kept_until": None,
        "billing": False,
    }
    terminal, app = resources[1], resources[3]
    assert (terminal["app"], terminal["paths"], terminal["state"]) == (None, [], "prompt")
    assert (app["app"], app["state"], app["billing"]) == (None, "InService", True)


@pytest.mark.parametrize(
    ("armed", "policy"),
    [(False, {}), (True, {"enabled": False}), (True, {"dry_run": True})],
)
def test_a_disabled_or_dry_run_server_is_not_armed(armed: bool, policy: dict[str, bool]) -> None:
    found = report(Scene(), passes=Passes(armed), policy=replace(POLICY, **policy))
    assert found["health"]["armed"] is False


@pytest.mark.parametrize(
    ("source", "blocking", "armed"),
    [
        ("stop-switch", True, False),
        ("settings", True, False),
        ("cycle", True, False),
        ("settings", False, True),
        ("app KernelGateway/x", True, True),
    ],
)
def test_a_server_is_armed_unless_a_fault_prevents_every_removal(
    source: str, blocking: bool, armed: bool
) -> None:
    fault = Fault(source, "Code", "It fails.", "Mend it.", NOW, blocking)
    found = report(Scene(), faults=(fault,))
    assert found["health"]["armed"] is armed


def test_a_resource_without_a_decision_is_not_reported() -> None:
    scene = Scene()
    assert (
        report(scene, snapshot=replace(scene.snapshot, kernels=(other(),)))["resources"][0]["kind"]
        == "terminal"
    )


class TestParts:
    lost = replace(other(), app=None, unreadable="TraitError")
    whole = Snapshot((KERNEL, lost), (TERMINAL, IMAGE_TERMINAL), (APP,), {})

    def test_a_snapshot_finds_each_resource(self) -> None:
        assert [self.whole.find(r.ref) for r in self.whole.resources] == [*self.whole.resources]
        assert self.whole.find(Ref(Kind.KERNEL, "none")) is None

    def test_second_look_at_a_kernel_or_terminal_reads_only_it(self) -> None:
        unread = {"apps": Unread("apps", "x", "x", "x")}
        whole = replace(self.whole, unread=unread)
        assert whole.bearing_on(KERNEL.ref) == Snapshot((KERNEL,), (), (), unread)
        assert whole.bearing_on(TERMINAL.ref) == Snapshot((), (TERMINAL,), (), unread)

    def test_second_look_at_an_app_reads_all_that_may_run_in_it(self) -> None:
        assert self.whole.bearing_on(APP.ref) == Snapshot(
            (KERNEL, self.lost), (IMAGE_TERMINAL,), (APP,), {}
        )


def test_shift_moves_every_instant_of_a_mark_and_no_stamp() -> None:
    assert shifted(FULL, HOUR) == replace(
        FULL,
        first_seen=ago(hours=8),
        seen_at=NOW + timedelta(minutes=59),
        active_at=ago(hours=2),
        weak={"output": ago(hours=1)},
        state_since=ago(hours=3),
        quiet_since=NOW,
        work=Work(NOW + timedelta(minutes=58), NOW + timedelta(minutes=57), "none", "CPU"),
    )


def test_shift_moves_every_instant_of_a_ledger() -> None:
    ref = KERNEL.ref
    ledger = Ledger(
        NOW,
        {ref: FULL},
        {ref: Hold(NOW)},
        {ref: Failure(1, NOW, FAILED)},
        {ref: Notice(NOW)},
        {ref: Veto("h", "t", NOW)},
        rehearsed={ref: NOW, APP.ref: None},
    )
    later = NOW + HOUR
    assert shift(ledger, HOUR) == Ledger(
        later,
        {ref: shifted(FULL, HOUR)},
        {ref: Hold(later)},
        {ref: Failure(1, later, FAILED)},
        {ref: Notice(later)},
        {ref: Veto("h", "t", later)},
        rehearsed={ref: later, APP.ref: None},
    )


def test_new_vetoes_are_added_to_the_old_ones() -> None:
    old, new = Veto("a", "b", NOW), Veto("c", "d", NOW)
    ledger = add_vetoes(Ledger(NOW, vetoes={KERNEL.ref: old}), {APP.ref: new})
    assert ledger.vetoes == {KERNEL.ref: old, APP.ref: new}


@pytest.mark.parametrize(
    ("answer", "work"),
    [
        ({"conclusive": False}, Work(NOW, ago(minutes=3), "none", "CPU")),
        ({"conclusive": True, "detail": "x"}, Work(NOW, NOW, "none", "x")),
        (
            {"conclusive": True, "working": True},
            Work(NOW, NOW, "working", "", in_background=True),  # the cell waits for a person
        ),
        ({"conclusive": True, "answered": False}, Work(NOW, NOW, "unanswered", "")),
    ],
)
def test_answers_about_work_are_recorded_in_the_mark(answer: dict[str, Any], work: Work) -> None:
    ledger = Ledger(NOW, {KERNEL.ref: FULL})
    unknown = Answer(TERMINAL.ref, True)
    after = record_answers(ledger, [unknown, Answer(KERNEL.ref, **answer)], NOW)
    assert after.marks[KERNEL.ref].work == work


def test_a_removal_deletes_keep_alive_failure_and_notice() -> None:
    ref, failure = APP.ref, Failure(1, NOW, FAILED)
    held = {ref: Hold(NOW), KERNEL.ref: Hold(NOW)}
    notices = {r: Notice(NOW) for r in held}
    ledger = Ledger(NOW, {ref: FULL}, held, dict.fromkeys(held, failure), notices)
    after = record(ledger, ref, Outcome(Result.REMOVED), NOW)
    assert (after.marks, set(after.holds), set(after.failures), set(after.notices)) == (
        {},
        {KERNEL.ref},
        {KERNEL.ref},
        {KERNEL.ref},
    )
    stale = record(ledger, ref, Outcome(Result.STALE), NOW)
    assert stale == replace(ledger, failures={KERNEL.ref: failure})
    failed = record(Ledger(NOW), ref, FAILED, NOW)
    assert failed.failures == {ref: Failure(1, NOW + timedelta(minutes=1), FAILED)}


def test_faults_say_what_failed_and_what_to_do() -> None:
    unread = {"kernels": Unread("kernels", "OSError", "Cannot list.", "Wait.")}
    ledger = Ledger(NOW, failures={APP.ref: Failure(1, NOW, FAILED)})
    assert derive(Snapshot(unread=unread), ledger, NOW) == [
        Fault("kernels", "OSError", "Cannot list.", "Wait.", NOW, True),
        Fault(f"app {APP.id}", "AccessDenied", "Denied.", "Allow it.", NOW, True),
    ]


class TestArchive:
    def back(self, mark: Mark, now: datetime = NOW, **changes: Any) -> Mark | None:
        (entry,) = archive.marks_to_json(Ledger(NOW, {KERNEL.ref: mark}))
        entry.update(changes)
        return archive.marks_from_json([entry], now).get(KERNEL.ref)

    def test_saved_mark_is_restored_without_its_answers(self) -> None:
        assert self.back(FULL) == replace(FULL, work=Work())

    def test_cell_whose_end_nobody_saw_is_still_unseen_after_a_restart(self) -> None:
        unseen = self.back(replace(FULL, may_run_cell=True))
        assert unseen is not None
        assert unseen.may_run_cell

    def test_resource_that_worked_when_saved_is_active_until_its_restore(self) -> None:
        working = self.back(replace(FULL, work=Work(NOW, NOW, "working")))
        assert working == replace(FULL, active_at=NOW, signal="background-work", work=Work())

    def test_background_work_of_a_kernel_may_outlast_a_restart_of_the_server(self) -> None:
        working = self.back(replace(FULL, work=Work(NOW, NOW, "working", in_background=True)))
        assert working is not None
        assert (working.active_at, working.work) == (NOW, Work(in_background=True))

    def test_app_that_worked_when_saved_works_until_it_is_asked_again(self) -> None:
        """Some apps are asked only while they work."""
        mark = replace(FULL, work=Work(NOW, NOW, "working"))
        entries = archive.marks_to_json(Ledger(NOW, {APP.ref: mark}))
        restored = archive.marks_from_json(entries, NOW)[APP.ref]
        assert (restored.active_at, restored.work.result) == (NOW, "working")
        assert (restored.work.asked_at, restored.work.answered_at) == (NOW, None)

    def test_no_instant_of_a_restored_mark_is_in_the_future(self) -> None:
        then = ago(hours=12)
        early = self.back(FULL, then)
        assert early is not None
        instants = [early.first_seen, early.seen_at, early.active_at, early.state_since]
        assert {*instants, early.quiet_since, *early.weak.values()} == {then}

    def test_missing_or_odd_fields_of_a_saved_mark_get_defaults(self) -> None:
        odd = {"app": 7, "alone": "yes", "working": 1}
        plain = {"app": None, "alone": False}
        expected = replace(FULL, **plain, quiet_since=None, work=Work())  # type: ignore[arg-type]
        assert self.back(FULL, **odd, quiet_since=None) == expected

    def test_restored_instants_are_utc_whatever_their_time_zone(self) -> None:
        tokyo = NOW.astimezone(timezone(9 * HOUR)).isoformat()
        for text in (tokyo, NOW.replace(tzinfo=None).isoformat()):
            mark = self.back(FULL, seen_at=text)
            assert mark is not None
            assert (mark.seen_at, mark.seen_at.tzinfo) == (NOW, timezone.utc)

    def test_restore_names_the_sources_whose_marks_were_lost(self) -> None:
        marks = {"boot": "b", "clean": True, "marks": []}
        for saved, boot, forgotten in (
            (marks, "b", set()),
            (marks, "c", {"kernels", "terminals"}),
            (None, "b", {"kernels", "terminals"}),
        ):
            ledger = archive.restore(
                marks=saved,
                holds=None,
                boot=boot,
                quiet_until=NOW + HOUR,
                latest_hold=NOW,
                now=NOW,
                monotonic=1.0,
            )
            assert (ledger.quiet_until, ledger.forgotten) == (NOW + HOUR, forgotten)

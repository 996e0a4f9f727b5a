"""The ledger as JSON: written when a server stops, and restored by the next server."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from scene import APP, FULL_MARK, KERNEL, NOW, ago, settled_ledger

from auto_shutdown.core import ledger_json
from auto_shutdown.core.ledger import Hold, Ledger, hold
from auto_shutdown.core.marks import Mark, Work
from auto_shutdown.core.model import EVERYTHING

HOUR = timedelta(hours=1)


class TestSavedMark:
    def restored(self, mark: Mark, now: datetime = NOW, **changes: Any) -> Mark | None:
        (entry,) = ledger_json.marks_to_json(Ledger(NOW, {KERNEL.ref: mark}))
        entry.update(changes)
        return ledger_json.marks_from_json([entry], now).get(KERNEL.ref)

    def test_saved_mark_is_restored_without_its_answers(self) -> None:
        assert self.restored(FULL_MARK) == replace(FULL_MARK, work=Work())

    def test_cell_without_an_observed_end_stays_so_after_a_restart(self) -> None:
        unseen = self.restored(replace(FULL_MARK, may_run_cell=True))
        assert unseen is not None
        assert unseen.may_run_cell

    def test_resource_that_worked_when_saved_is_active_until_its_restore(self) -> None:
        working = self.restored(replace(FULL_MARK, work=Work(NOW, NOW, "working")))
        assert working == replace(FULL_MARK, active_at=NOW, signal="background-work", work=Work())

    def test_background_work_of_a_kernel_may_outlast_a_restart_of_the_server(self) -> None:
        working = self.restored(
            replace(FULL_MARK, work=Work(NOW, NOW, "working", in_background=True))
        )
        assert working is not None
        assert (working.active_at, working.work) == (NOW, Work(in_background=True))

    def test_app_that_worked_when_saved_works_until_it_is_asked_again(self) -> None:
        """The extension queries some apps only while they work."""
        mark = replace(FULL_MARK, work=Work(NOW, NOW, "working"))
        entries = ledger_json.marks_to_json(Ledger(NOW, {APP.ref: mark}))
        restored = ledger_json.marks_from_json(entries, NOW)[APP.ref]
        assert (restored.active_at, restored.work.result) == (NOW, "working")
        assert (restored.work.asked_at, restored.work.answered_at) == (NOW, None)

    def test_no_instant_of_a_restored_mark_is_in_the_future(self) -> None:
        then = ago(hours=12)
        early = self.restored(FULL_MARK, then)
        assert early is not None
        instants = [early.first_seen, early.seen_at, early.active_at, early.state_since]
        assert {*instants, early.quiet_since, *early.weak.values()} == {then}

    def test_missing_or_odd_fields_of_a_saved_mark_get_defaults(self) -> None:
        odd = {"app": 7, "alone": "yes", "working": 1}
        plain = {"app": None, "alone": False}
        expected = replace(FULL_MARK, **plain, quiet_since=None, work=Work())  # type: ignore[arg-type]
        assert self.restored(FULL_MARK, **odd, quiet_since=None) == expected

    def test_restored_instants_are_utc_whatever_their_time_zone(self) -> None:
        tokyo = NOW.astimezone(timezone(9 * HOUR)).isoformat()
        for text in (tokyo, NOW.replace(tzinfo=None).isoformat()):
            mark = self.restored(FULL_MARK, seen_at=text)
            assert mark is not None
            assert (mark.seen_at, mark.seen_at.tzinfo) == (NOW, timezone.utc)

    def test_restore_names_the_sources_whose_marks_were_lost(self) -> None:
        marks = {"boot": "b", "clean": True, "marks": []}
        for saved, boot, forgotten in (
            (marks, "b", set()),
            (marks, "c", {"kernels", "terminals"}),
            (None, "b", {"kernels", "terminals"}),
        ):
            ledger = ledger_json.restore(
                marks=saved,
                holds=None,
                boot=boot,
                quiet_until=NOW + HOUR,
                latest_hold=NOW,
                now=NOW,
                monotonic=1.0,
            )
            assert (ledger.quiet_until, ledger.forgotten) == (NOW + HOUR, forgotten)


class TestRestoredLedger:
    def test_saved_marks_and_keep_alives_are_restored_unchanged(self) -> None:
        ledger = hold(hold(settled_ledger(), KERNEL.ref, NOW), EVERYTHING, NOW)
        kept = {ref: replace(mark, work=Work()) for ref, mark in ledger.marks.items()}
        assert ledger_json.marks_from_json(ledger_json.marks_to_json(ledger), NOW) == kept
        assert ledger_json.holds_from_json(ledger_json.holds_to_json(ledger)) == ledger.holds

    def test_restored_mark_is_never_in_the_future(self) -> None:
        """A clock that was fast when the server wrote the marks must not keep every resource for
        ever."""
        then = ago(hours=4)
        marks = ledger_json.marks_from_json(ledger_json.marks_to_json(settled_ledger()), then)
        assert {m.active_at for m in marks.values()} == {then}

    @pytest.mark.parametrize("junk", [None, 7, "x", {}, [None], [{}], [{"kind": "ufo", "id": "1"}]])
    def test_restore_ignores_invalid_entries(self, junk: object) -> None:
        good = ledger_json.marks_to_json(settled_ledger())
        entries = [*junk, *good] if isinstance(junk, list) else junk
        expected = 4 if isinstance(junk, list) else 0
        assert len(ledger_json.marks_from_json(entries, NOW)) == expected
        assert ledger_json.holds_from_json(junk) == {}

    @pytest.mark.parametrize(
        ("boot", "clean", "trusted"),
        [("b1", True, True), ("b2", True, False), ("b1", False, False), (None, True, False)],
    )
    def test_saved_marks_are_trusted_only_after_a_clean_stop_in_this_boot(
        self, boot: str | None, clean: bool, trusted: bool
    ) -> None:
        saved = {
            "boot": boot and "b1",
            "clean": clean,
            "marks": ledger_json.marks_to_json(settled_ledger()),
        }
        ledger = restored(saved, hold(settled_ledger(), KERNEL.ref, NOW), boot)
        assert bool(ledger.marks) is trusted
        assert ledger.holds == {KERNEL.ref: Hold(NOW)}

    def test_restored_keep_alive_is_cut_to_the_maximum(self) -> None:
        """A file that another clock or a user wrote must not exceed the maximum of the
        administrator."""
        cap = NOW + timedelta(hours=8)
        ledger = restored(None, hold(settled_ledger(), KERNEL.ref, NOW + timedelta(99)), None, cap)
        assert ledger.holds == {KERNEL.ref: Hold(cap)}

    @pytest.mark.parametrize(
        ("anchor", "step"),
        [
            ({}, timedelta(0)),
            ({"boot": "b1", "at": NOW.isoformat(), "monotonic": 100.0}, timedelta(hours=1)),
            ({"boot": "b0", "at": NOW.isoformat(), "monotonic": 100.0}, timedelta(0)),
            ({"boot": "b1", "at": NOW.isoformat(), "monotonic": 1e9}, timedelta(0)),
            ({"boot": "b1", "at": NOW.isoformat(), "monotonic": -1e300}, timedelta(0)),
            ({"boot": "b1", "at": 7, "monotonic": 100.0}, timedelta(0)),
            ({"boot": "b1", "at": NOW.isoformat(), "monotonic": "long"}, timedelta(0)),
            ({"boot": "b1", "at": NOW.isoformat()}, timedelta(0)),
        ],
    )
    def test_clock_step_while_the_server_was_down_changes_no_duration(
        self, anchor: dict[str, object], step: timedelta
    ) -> None:
        """The monotonic clock advanced by half a minute, and the wall clock by one hour more."""
        saved = {
            "boot": "b1",
            "clean": True,
            "marks": ledger_json.marks_to_json(settled_ledger()),
            **anchor,
        }
        later = NOW + timedelta(hours=1, seconds=30)
        kept = hold(settled_ledger(), KERNEL.ref, NOW + timedelta(hours=2))
        ledger = restored(saved, kept, "b1", now=later, anchor=anchor)
        # The second of b0 was not trusted at all.
        marks = [] if anchor.get("boot") == "b0" else [ago(hours=3) + step]
        assert [ledger.marks[r].active_at for r in ledger.marks if r == KERNEL.ref] == marks
        assert ledger.holds == {KERNEL.ref: Hold(NOW + timedelta(hours=2) + step)}

    def test_clock_anchor_is_restored_unchanged(self) -> None:
        document = ledger_json.anchor("b1", NOW, 100.0)
        later = NOW - timedelta(minutes=7)
        step = ledger_json.step_since(document, "b1", later, 160.0)
        assert step == timedelta(minutes=-8)
        assert ledger_json.step_since(
            ledger_json.anchor(None, NOW, 0.0), None, later, 1.0
        ) == timedelta(0)
        assert ledger_json.step_since(document, "b1", later, 100.0) == timedelta(minutes=-7)


def restored(
    saved: object,
    kept: Ledger,
    boot: str | None,
    cap: datetime | None = None,
    now: datetime = NOW,
    anchor: dict[str, object] | None = None,
) -> Ledger:
    return ledger_json.restore(
        marks=saved,
        holds={"keep_alive": ledger_json.holds_to_json(kept), **(anchor or {})},
        boot=boot,
        quiet_until=NOW,
        latest_hold=cap or now + timedelta(days=9),
        now=now,
        monotonic=130.0,
    )

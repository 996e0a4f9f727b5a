"""Faults, archive, words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from scene import APP, IMAGE_TERMINAL, KERNEL, NOW, TERMINAL, ago, settled_ledger

from auto_shutdown.core import ledger_json as archive
from auto_shutdown.core.faults import Fault, derive, health_state, settle
from auto_shutdown.core.formatting import duration, iso, printable
from auto_shutdown.core.ledger import Failure, Hold, Ledger, hold
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import EVERYTHING, Kernel, Snapshot, Unread
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.signals import WORDS, Signal
from auto_shutdown.cycle.removal import LATE, Remover


class TestFaults:
    def fault(self, source: str = "apps", code: str = "Throttled", blocking: bool = False) -> Fault:
        return Fault(source, code, "It failed.", "Wait.", NOW, blocking)

    def test_fault_is_announced_once_at_its_start_and_once_at_its_end(self) -> None:
        faults, started, over = settle({}, [self.fault()])
        assert (len(started), over) == (1, [])
        later = Fault("apps", "Throttled", "It failed again.", "Wait.", NOW + timedelta(1))
        faults, started, over = settle(faults, [later])
        assert (started, over, faults["apps"].since) == ([], [], NOW)
        faults, started, over = settle(faults, [])
        assert (faults, started, [f.source for f in over]) == ({}, [], ["apps"])

    def test_fault_with_another_code_is_announced_again(self) -> None:
        faults, _, _ = settle({}, [self.fault()])
        _, started, over = settle(faults, [self.fault(code="AccessDenied")])
        assert [f.code for f in started] == ["AccessDenied"]
        assert over == []

    def test_a_kernel_whose_gateway_refuses_is_a_fault_that_names_it(self) -> None:
        snapshot = Snapshot((Kernel("k1", refused="HTTP 404"), Kernel("k2")))
        (fault,) = derive(snapshot, Ledger(NOW), NOW)
        assert (fault.source, fault.code, fault.blocking) == (
            "connection of kernel k1",
            "KernelRefuses",
            False,
        )
        assert "HTTP 404" in fault.message
        assert "max_busy_minutes" in fault.remedy

    def test_faults_are_derived_from_the_snapshot_and_the_ledger(self) -> None:
        denied = Outcome(Result.PERMANENT, "Denied.", "AccessDenied", "Allow it.")
        ledger = Ledger(NOW, failures={APP.ref: Failure(1, NOW, denied)})
        unread = {s: Unread(s, "x", "m", "r") for s in ("terminals", "kernels")}
        found = derive(Snapshot(unread=unread), ledger, NOW)
        assert [(f.source, f.blocking) for f in found] == [
            ("terminals", False),
            ("kernels", True),
            (f"app {APP.id}", True),
        ]

    def test_no_two_faults_of_one_state_have_the_same_source(self) -> None:
        """A kernel whose gateway refuses, whose removal failed, and whose shutdown is late: each is
        shown, and announced once, however many passes follow."""
        sources = (Snapshot.APPS, Snapshot.KERNELS, Snapshot.SESSIONS, Snapshot.TERMINALS)
        unread = {name: Unread(name, "x", "m", "r") for name in sources}
        kernels = (replace(KERNEL, refused="HTTP 503"), Kernel("other", refused="HTTP 503"))
        snapshot = Snapshot(kernels, (TERMINAL, IMAGE_TERMINAL), (APP,), unread)
        refs = [resource.ref for resource in snapshot.resources]
        failed = Failure(1, NOW, Outcome(Result.TEMPORARY, "Failed.", "OSError", "Wait."))
        ledger = Ledger(NOW, failures=dict.fromkeys(refs, failed))
        situation: Any = SimpleNamespace(removals_under_way=dict.fromkeys(refs, NOW - LATE))
        nothing: Any = None
        remover = Remover(nothing, nothing, situation, *([nothing] * 7))
        current = derive(snapshot, ledger, NOW) + remover.faults(NOW)
        assert len(current) == len(unread) + len(kernels) + 2 * len(refs)
        faults, started, _ = settle({}, current)
        assert (list(faults.values()), started) == (current, current)
        assert settle(faults, current)[1:] == ([], [])
        for ref in refs:  # the panel finds the faults of a resource by the end of their source
            assert len([source for source in faults if source.endswith(ref.id)]) >= 2

    def test_one_cause_that_hides_several_sources_is_one_fault(self) -> None:
        heartbeats = Unread("heartbeats", "OSError", "They cannot be read.", "Wait.")
        snapshot = Snapshot(unread=dict.fromkeys(("kernels", "terminals"), heartbeats))
        assert [fault.source for fault in derive(snapshot, Ledger(NOW), NOW)] == ["heartbeats"]

    @pytest.mark.parametrize(
        ("blocking", "enabled", "state"),
        [
            ([], True, "ok"),
            ([False], True, "degraded"),
            ([False, True], True, "failing"),
            ([True], False, "disabled"),
        ],
    )
    def test_health_state_follows_from_faults_and_enabled(
        self, blocking: list[bool], enabled: bool, state: str
    ) -> None:
        assert health_state([self.fault(blocking=b) for b in blocking], enabled) == state


class TestArchive:
    def test_saved_marks_and_keep_alives_are_restored_unchanged(self) -> None:
        ledger = hold(hold(settled_ledger(), KERNEL.ref, NOW), EVERYTHING, NOW)
        kept = {ref: replace(mark, work=Work()) for ref, mark in ledger.marks.items()}
        assert archive.marks_from_json(archive.marks_to_json(ledger), NOW) == kept
        assert archive.holds_from_json(archive.holds_to_json(ledger)) == ledger.holds

    def test_restored_mark_is_never_in_the_future(self) -> None:
        """A clock that was ahead when they were written must not hold everything for ever."""
        then = ago(hours=4)
        marks = archive.marks_from_json(archive.marks_to_json(settled_ledger()), then)
        assert {m.active_at for m in marks.values()} == {then}

    @pytest.mark.parametrize("junk", [None, 7, "x", {}, [None], [{}], [{"kind": "ufo", "id": "1"}]])
    def test_saved_entries_that_make_no_sense_are_left_out(self, junk: object) -> None:
        good = archive.marks_to_json(settled_ledger())
        entries = [*junk, *good] if isinstance(junk, list) else junk
        expected = 4 if isinstance(junk, list) else 0
        assert len(archive.marks_from_json(entries, NOW)) == expected
        assert archive.holds_from_json(junk) == {}

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
            "marks": archive.marks_to_json(settled_ledger()),
        }
        ledger = restored(saved, hold(settled_ledger(), KERNEL.ref, NOW), boot)
        assert bool(ledger.marks) is trusted
        assert ledger.holds == {KERNEL.ref: Hold(NOW)}

    def test_restored_keep_alive_is_cut_to_the_maximum(self) -> None:
        """A file written by another clock, or by hand, is no way past the administrator."""
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
        """Half a minute of the monotonic clock, and an hour more of the wall clock."""
        saved = {
            "boot": "b1",
            "clean": True,
            "marks": archive.marks_to_json(settled_ledger()),
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
        document = archive.anchor("b1", NOW, 100.0)
        later = NOW - timedelta(minutes=7)
        step = archive.step_since(document, "b1", later, 160.0)
        assert step == timedelta(minutes=-8)
        assert archive.step_since(archive.anchor(None, NOW, 0.0), None, later, 1.0) == timedelta(0)
        assert archive.step_since(document, "b1", later, 100.0) == timedelta(minutes=-7)


def restored(
    saved: object,
    kept: Ledger,
    boot: str | None,
    cap: datetime | None = None,
    now: datetime = NOW,
    anchor: dict[str, object] | None = None,
) -> Ledger:
    return archive.restore(
        marks=saved,
        holds={"keep_alive": archive.holds_to_json(kept), **(anchor or {})},
        boot=boot,
        quiet_until=NOW,
        latest_hold=cap or now + timedelta(days=9),
        now=now,
        monotonic=130.0,
    )


DURATIONS = {
    "0 s": timedelta(0),
    "59 s": timedelta(seconds=59.9),
    "1 m": timedelta(seconds=60),
    "59 m": timedelta(seconds=3599),
    "1 h": timedelta(hours=1),
    "1 h 05 m": timedelta(minutes=65),
    "1 h 12 m": timedelta(minutes=72, seconds=59),
    "1 d": timedelta(days=1, minutes=3),
    "3 d 4 h": timedelta(days=3, hours=4, minutes=5),
}


@pytest.mark.parametrize("text", DURATIONS)
def test_durations_in_words(text: str) -> None:
    assert duration(DURATIONS[text]) == text


def test_instants_are_utc_with_z() -> None:
    assert iso(datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)) == "2026-01-02T03:04:05.678Z"
    assert iso(None) is None


def test_names_cannot_write_their_own_log_line() -> None:
    nasty = "a\nb\r\x1b[31mc\u202e"
    assert printable(nasty).isprintable()
    assert printable("étude.ipynb — ✓") == "étude.ipynb — ✓"


def test_every_signal_has_words_for_people() -> None:
    names = {value for name, value in vars(Signal).items() if name.isupper()}
    assert set(WORDS) == names

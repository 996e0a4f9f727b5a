"""The audit log: it has a line for each attempted removal, whatever happens during the attempt."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from history_values import DONE, ENTRY, file_of

from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.savings import Freed
from auto_shutdown.state import history_files as module
from auto_shutdown.state.history import History


def test_audit_line_is_written_before_the_removal_and_completed_after_it(tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    attempt = log.begin(ENTRY)
    assert b"\n" not in file_of(tmp_path).read_bytes()
    assert [e["outcome"] for e in log.read(9)] == ["pending"]
    assert log.savings()["removed"]["app"] == 0
    attempt.finish(DONE)
    (line,) = file_of(tmp_path).read_text().splitlines()
    assert {**json.loads(line), **ENTRY} == json.loads(line)
    assert json.loads(line)["outcome"] == "removed"
    assert log.savings()["removed"]["app"] == 1


def test_next_start_reports_an_unfinished_line_as_interrupted(tmp_path: Path) -> None:
    History(tmp_path, "k").begin(ENTRY)
    again = History(tmp_path, "k")
    again.load()
    again.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    assert [(e["kind"], e["outcome"]) for e in again.read(9)] == [
        ("kernel", "removed"),
        ("app", "interrupted"),
    ]


@pytest.mark.parametrize(
    ("ends_server", "detail"),
    [
        (True, "most likely this request ended it"),
        (False, "The server ended before it was done."),
    ],
)
def test_interrupted_line_says_whether_the_removal_ended_the_server(
    ends_server: bool, detail: str, tmp_path: Path
) -> None:
    History(tmp_path, "k").begin({**ENTRY, "ends_server": ends_server})
    log = History(tmp_path, "k")
    log.load()
    (entry,) = log.read(9)
    assert entry["outcome"] == "interrupted"
    assert detail in entry["outcome_detail"]
    assert log.savings()["removed"]["app"] == 0  # nobody saw whether it ended


@pytest.mark.parametrize("result", [r for r in Result if r is not Result.REMOVED])
def test_only_removals_by_this_extension_count_as_savings(result: Result, tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    log.begin(ENTRY).finish(DONE, Freed("ml.g5.xlarge", datetime.now(timezone.utc), 1.0))
    log.begin(ENTRY).finish(Outcome(result, "Another program removed it."))
    again = History(tmp_path, "k")
    again.load()
    for each in (log, again):
        assert each.savings()["removed"]["app"] == 1
        assert [e["saved"] for e in each.read(9)] == [None, {"usd_per_hour": 1.0}]


@pytest.mark.parametrize("name", ["a\nb", 'x","outcome":"removed"}', "\x1b[2J", "\u2028", "\ud800"])
def test_control_characters_in_a_name_add_no_line(name: str, tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    log.begin({**ENTRY, "name": name}).finish(Outcome(Result.TEMPORARY, name, "Code"))
    assert len(file_of(tmp_path).read_bytes().splitlines()) == 1
    (entry,) = log.read(9)
    assert (entry["name"], entry["outcome"]) == (name, "temporary")
    assert log.savings()["removed"]["app"] == 0


def test_log_is_rotated_in_order_and_old_files_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROTATE_BYTES", 600)
    log = History(tmp_path, "k")
    for number in range(40):
        log.begin({**ENTRY, "number": number}).finish(DONE)
    numbers = [e["number"] for e in log.read(100)]
    assert numbers == list(range(39, 39 - len(numbers), -1))
    assert len(numbers) < 40
    assert len(list(tmp_path.iterdir())) == 1 + module.OLD_FILES
    assert [e["number"] for e in log.read(2)] == [39, 38]


def outcomes(log: History) -> list[str]:
    return [entry["outcome"] for entry in log.read(9)]


def test_removal_that_goes_on_beside_a_later_one_is_pending(tmp_path: Path) -> None:
    """The first shutdown takes a minute and a half. Its server has not ended."""
    log = History(tmp_path, "k")
    slow = log.begin(ENTRY)
    log.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    assert outcomes(log) == ["removed", "pending"]
    slow.finish(Outcome(Result.TEMPORARY, "late"))
    assert outcomes(log) == ["temporary", "removed"]
    lines = [json.loads(line)["outcome"] for line in file_of(tmp_path).read_text().splitlines()]
    assert lines == ["pending", "removed", "temporary"], "the file keeps both"
    again = History(tmp_path, "k")
    again.load()
    assert outcomes(again) == ["temporary", "removed"]
    assert again.savings()["removed"] == {"kernel": 1, "terminal": 0, "app": 0}


def test_a_line_that_is_closed_while_its_removal_goes_on_says_only_that(tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    slow = log.begin(ENTRY)
    log.settle()  # no other removal began
    (entry,) = log.read(9)
    assert entry["outcome"] == "pending"
    assert entry["outcome_detail"] == "It had not ended when this line was closed."
    slow.finish(DONE)
    assert outcomes(log) == ["removed"]


def test_pending_removals_are_interrupted_by_the_end_of_their_server(tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    log.begin(ENTRY)
    log.begin({**ENTRY, "ends_server": True})
    log.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    for _ in range(2):
        log = History(tmp_path, "k")
        log.load()
        by_itself, other, removed = log.read(9)
        assert (other["outcome"], removed["outcome"]) == ("interrupted", "removed")
        assert other["outcome_detail"] == "The server ended before it was done."
        assert by_itself["outcome"] == "interrupted"
        assert "most likely" in by_itself["outcome_detail"]
    assert len(file_of(tmp_path).read_text().splitlines()) == 5


def test_audit_line_is_synced_to_disk_before_the_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        synced.append(file_of(tmp_path).read_bytes())

    monkeypatch.setattr(os, "fsync", noted)
    attempt = History(tmp_path, "k").begin(ENTRY)
    assert synced == [attempt.line.encode()]
    attempt.finish(DONE)
    assert synced[-1] == file_of(tmp_path).read_bytes()


def test_logs_of_two_servers_of_one_identity_are_read_as_one(tmp_path: Path) -> None:
    one, two = History(tmp_path, "k", ["k-2"]), History(tmp_path, "k-2", ["k"])
    for number in range(24):
        log = (one, two)[number % 2]
        at = f"2026-01-01T00:00:{number:02}.000Z"
        attempt = log.begin({**ENTRY, "at": at, "number": number})
        (two, one)[number % 2].begin({**ENTRY, "at": at, "number": -1}).finish(DONE)
        attempt.finish(DONE)
    for log in (one, two):
        found = log.read(100)
        assert len(found) == 48
        assert {e["outcome"] for e in found} == {"removed"}
        assert [e["number"] for e in found if e["number"] >= 0] == list(range(23, -1, -1))
    assert History(tmp_path, "k", ["k-2"]).savings()["removed"]["app"] == 0
    again = History(tmp_path, "k", ["k-2"])
    again.load()
    assert again.savings()["removed"]["app"] == 48

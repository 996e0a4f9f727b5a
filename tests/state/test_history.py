"""The audit log: a line for each removal tried, whatever happens in between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from auto_shutdown.core.verdict import Outcome, Result
from auto_shutdown.state import history as module
from auto_shutdown.state.history import History

ENTRY = {"at": "2026-01-01T00:00:00.000Z", "kind": "app", "resource": "KernelGateway/x"}
DONE = Outcome(Result.REMOVED, "Gone.")


def file_of(directory: Path) -> Path:
    return directory / "history-k.jsonl"


def test_written_before_and_completed_after(tmp_path: Path) -> None:
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


def test_a_crash_in_between_is_told_by_the_next_run(tmp_path: Path) -> None:
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
        (True, "most likely it was this request that ended it"),
        (False, "The server ended before it was done."),
    ],
)
def test_a_line_that_the_removal_itself_cut_off_says_so(
    ends_server: bool, detail: str, tmp_path: Path
) -> None:
    History(tmp_path, "k").begin({**ENTRY, "ends_server": ends_server})
    log = History(tmp_path, "k")
    log.load()
    (entry,) = log.read(9)
    assert entry["outcome"] == "interrupted"
    assert detail in entry["outcome_detail"]
    assert log.savings()["removed"]["app"] == 0  # whether it went nobody saw


def test_a_torn_line_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    History(tmp_path, "k").begin(ENTRY).finish(DONE)
    with file_of(tmp_path).open("ab") as file:
        file.write(b'{"at": "2026-01')
    log = History(tmp_path, "k")
    log.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    assert [e["kind"] for e in log.read(9)] == ["kernel", "app"]
    assert log.savings() == {
        "since": ENTRY["at"],
        "removed": {"kernel": 1, "terminal": 0, "app": 1},
    }


@pytest.mark.parametrize("name", ["a\nb", 'x","outcome":"removed"}', "\x1b[2J", "\u2028", "\ud800"])
def test_a_name_cannot_write_a_line_of_its_own(name: str, tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    log.begin({**ENTRY, "name": name}).finish(Outcome(Result.TEMPORARY, name, "Code"))
    assert len(file_of(tmp_path).read_bytes().splitlines()) == 1
    (entry,) = log.read(9)
    assert (entry["name"], entry["outcome"]) == (name, "temporary")
    assert log.savings()["removed"]["app"] == 0


def test_old_files_are_kept_in_order_and_bounded(
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


def test_what_cannot_be_written_is_owed_and_shown(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    log = History(in_the_way, "k")
    for number in range(3):
        log.begin({**ENTRY, "number": number}).finish(DONE)
    assert isinstance(log.error, OSError)
    assert [e["number"] for e in log.read(9)] == [2, 1, 0]
    assert log.savings()["removed"]["app"] == 3
    in_the_way.unlink()
    log.settle()
    assert log.error is None
    assert [e["number"] for e in History(in_the_way, "k").read(9)] == [2, 1, 0]
    assert [e["number"] for e in log.read(9)] == [2, 1, 0]


@pytest.mark.parametrize("room", range(0, 400, 23))
def test_a_disk_that_is_full_at_any_byte_spoils_no_line(room: int, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk; it is lifted again, as a disk is cleared."""
    code = f"""
import resource, signal
from pathlib import Path
from auto_shutdown.state.history import History
from auto_shutdown.core.verdict import Outcome, Result
log = History(Path({str(tmp_path)!r}), "k")
done = Outcome(Result.REMOVED, "Gone.")
log.begin({{"kind": "app", "number": 0}}).finish(done)
size = log._path.stat().st_size
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + {room}, resource.RLIM_INFINITY))
log.begin({{"kind": "app", "number": 1}}).finish(done)
log.begin({{"kind": "app", "number": 2}}).finish(done)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.begin({{"kind": "app", "number": 3}}).finish(done)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    lines = [json.loads(line) for line in file_of(tmp_path).read_text().splitlines()]
    assert [(line["number"], line["outcome"]) for line in lines] == [
        (number, "removed") for number in range(4)
    ]
    assert History(tmp_path, "k").read(9) == lines[::-1]


def test_a_line_that_was_never_finished_spoils_no_other(tmp_path: Path) -> None:
    """A pass that is cut off in the middle of a removal."""
    log = History(tmp_path, "k")
    forgotten = log.begin(ENTRY)
    log.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    assert [e["outcome"] for e in log.read(9)] == ["removed", "interrupted"]
    forgotten.finish(Outcome(Result.TEMPORARY, "late"))
    assert [e["outcome"] for e in log.read(9)] == ["temporary", "removed", "interrupted"]

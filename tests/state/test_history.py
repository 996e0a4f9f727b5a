"""The audit log: a line for each removal tried, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest

from auto_shutdown import safe_files
from auto_shutdown.core.verdict import Outcome, Result
from auto_shutdown.state import history as history_module
from auto_shutdown.state import history_files as module
from auto_shutdown.state.history import History
from auto_shutdown.world.file_thread import FileThread

ENTRY = {"at": "2026-01-01T00:00:00.000Z", "kind": "app", "resource": "KernelGateway/x"}
DONE = Outcome(Result.REMOVED, "Gone.")


def file_of(directory: Path) -> Path:
    return directory / "history-k.jsonl"


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
    assert log.savings()["removed"]["app"] == 0  # whether it went nobody saw


@pytest.mark.parametrize("result", [r for r in Result if r is not Result.REMOVED])
def test_only_removals_by_this_extension_count_as_savings(result: Result, tmp_path: Path) -> None:
    log = History(tmp_path, "k")
    entry = {**ENTRY, "saved": {"usd_per_hour": 1.0}}
    log.begin(entry).finish(DONE)
    log.begin(entry).finish(Outcome(result, "It did not need us."))
    again = History(tmp_path, "k")
    again.load()
    for each in (log, again):
        assert each.savings()["removed"]["app"] == 1
        assert [e["saved"] for e in each.read(9)] == [None, {"usd_per_hour": 1.0}]


def test_torn_line_is_left_out_and_other_lines_are_read(tmp_path: Path) -> None:
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


def test_line_that_cannot_be_written_is_shown_and_written_later(tmp_path: Path) -> None:
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
def test_disk_that_becomes_full_at_any_byte_loses_no_line(room: int, tmp_path: Path) -> None:
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


def outcomes(log: History) -> list[str]:
    return [entry["outcome"] for entry in log.read(9)]


def test_removal_that_goes_on_beside_a_later_one_is_pending(tmp_path: Path) -> None:
    """A shutdown that takes a minute and a half. Its server has not ended."""
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


KINDS_OF_FILE = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to(path.with_name("target")),
    "directory": Path.mkdir,
}


@pytest.mark.parametrize("kind", KINDS_OF_FILE)
def test_irregular_log_file_is_a_fault_and_blocks_nothing(kind: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("not ours")
    path = file_of(tmp_path)
    KINDS_OF_FILE[kind](path)
    log = History(tmp_path, "k")
    log.load()
    log.begin(ENTRY).finish(DONE)
    assert [e["outcome"] for e in log.read(9)] == ["removed"], "shown, though it is not on disk"
    assert log.problem is not None
    assert str(path) in str(log.problem)
    assert log.problem.remedy == f"Move {path} away."
    assert (tmp_path / "target").read_text() == "not ours"
    path.rename(tmp_path / "aside")
    log.settle()
    assert log.problem is None
    assert [json.loads(line)["outcome"] for line in path.read_text().splitlines()] == ["removed"]


def test_deleted_state_directory_is_created_again_for_the_log(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    log = History(directory, "k")
    log.begin(ENTRY).finish(DONE)
    shutil.rmtree(directory)
    log.begin({**ENTRY, "kind": "kernel"}).finish(DONE)
    assert log.problem is None
    assert [e["kind"] for e in log.read(9)] == ["kernel"]


def test_only_the_end_of_a_huge_log_is_read(tmp_path: Path) -> None:
    """1 GB: once 30 seconds and 2 GB of memory at each start. The file is sparse here."""
    path = file_of(tmp_path)
    line = json.dumps({**ENTRY, "attempt": "x", "outcome": "removed"}) + "\n"
    with path.open("wb") as file:
        file.truncate(1_000_000_000)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + line.encode())
    log = History(tmp_path, "k")
    tracemalloc.start()
    log.load()
    assert [e["attempt"] for e in log.read(9)] == ["x"]
    assert tracemalloc.get_traced_memory()[1] < 10 * module.MOST_READ_BYTES
    tracemalloc.stop()
    assert log.savings()["removed"]["app"] == 1
    assert not path.exists(), "it was put aside at once, and the next line begins a new file"


def test_unwritten_lines_are_rotated_when_they_are_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROTATE_BYTES", 600)
    in_the_way = tmp_path / "state"
    in_the_way.write_text("")
    log = History(in_the_way, "k")
    for number in range(20):
        log.begin({**ENTRY, "number": number}).finish(DONE)
    in_the_way.unlink()
    log.settle()
    sizes = [path.stat().st_size for path in in_the_way.iterdir()]
    assert len(sizes) == 1 + module.OLD_FILES
    assert max(sizes) < 600 + 300, "no file is longer than one line beyond the bound"


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


async def test_hanging_file_system_delays_lines_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr(history_module, "LOCK_SECONDS", 0.05)
    log = History(tmp_path, "k")
    log._files = FileThread("test", seconds=0.1)
    append = safe_files.append

    def hangs(path: Path, content: bytes) -> None:
        free.wait()
        append(path, content)

    monkeypatch.setattr(safe_files, "append", hangs)
    attempts = []
    for number in range(5):
        attempts.append(await log.begin_line({**ENTRY, "number": number}))
        await log.finish_line(attempts[-1], DONE)
    assert log.problem is not None
    assert log.savings()["removed"]["app"] == 5
    free.set()
    deadline = time.monotonic() + 20
    while log.problem is not None and time.monotonic() < deadline:
        await log.write_owed()
    assert [e["number"] for e in await log.read_newest(9)] == [4, 3, 2, 1, 0]
    assert {e["outcome"] for e in await log.read_newest(9)} == {"removed"}


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

"""The audit log on a file system that fails: a full disk, a slow disk, a deleted directory, a file
that is no regular file or is cut off."""

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
from history_values import DONE, ENTRY, file_of

from auto_shutdown import safe_files
from auto_shutdown.state import history as history_module
from auto_shutdown.state import history_files as module
from auto_shutdown.state.history import History
from auto_shutdown.world.file_thread import FileThread


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
    """RLIMIT_FSIZE stands in for the full disk. Lifting it stands in for freeing space."""
    code = f"""
import resource, signal
from pathlib import Path
from auto_shutdown.state.history import History
from auto_shutdown.core.outcome import Outcome, Result
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
    assert [e["outcome"] for e in log.read(9)] == ["removed"], (
        "the entry is shown although it is not on disk"
    )
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
    """The log has 1 GB (a sparse file). Reading all of it took 30 seconds and 2 GB of memory."""
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
    assert not path.exists(), "the file was renamed at once, and the next line begins a new file"


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

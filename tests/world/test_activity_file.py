"""SageMaker's timestamp file: the extension keeps it fresh for SageMaker's agent, and never counts
its own stamp as activity."""

from __future__ import annotations

import errno
import os
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_shutdown.world.activity_file import FORMAT, ActivityFile

AT = datetime(2026, 11, 1, 12, 0, 30, 999, tzinfo=timezone.utc)
THEIRS = "2026-11-01T12:00:00.123Z"
THEIR_TIME = datetime(2026, 11, 1, 12, 0, 0, 123000, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".sagemaker-last-active-timestamp"


def as_the_agent_reads(path: Path) -> datetime:
    return datetime.strptime(path.read_text(), FORMAT).replace(tzinfo=timezone.utc)


@given(at=st.floats(1.6e9, 3.8e9).map(lambda at: datetime.fromtimestamp(at, timezone.utc)))
def test_stamp_of_the_extension_is_at_most_one_second_old_and_never_in_the_future(
    at: datetime, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("active") / "file"
    ActivityFile(str(path)).keep_fresh(at)
    assert at - timedelta(seconds=1) < as_the_agent_reads(path) <= at
    assert ActivityFile(str(path)).read() is None  # also of an earlier run, or another server


def test_earlier_stamp_of_another_program_counts_after_the_extension_replaced_it(
    path: Path,
) -> None:
    path.write_text(THEIRS)
    file = ActivityFile(str(path))
    file.keep_fresh(AT)  # unread until now
    assert as_the_agent_reads(path) > THEIR_TIME
    assert file.read() == THEIR_TIME
    later = THEIR_TIME + timedelta(hours=1)
    path.write_text(later.strftime(FORMAT))
    assert file.read() == later


def test_later_stamp_of_others_is_not_overwritten(path: Path) -> None:
    path.write_text("2026-11-01T12:01:00Z")
    ActivityFile(str(path)).keep_fresh(AT)
    assert path.read_text() == "2026-11-01T12:01:00Z"


def test_file_is_replaced_as_a_whole_and_readable_to_all(path: Path) -> None:
    path.write_text("nonsense" * 10)
    ActivityFile(str(path)).keep_fresh(AT)
    assert as_the_agent_reads(path) <= AT
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == [path.name]


def test_file_of_another_user_in_a_sticky_directory_is_a_problem(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(THEIRS + " " * 20)
    monkeypatch.setattr(os, "replace", refused)
    ActivityFile(str(path)).keep_fresh(AT)
    assert as_the_agent_reads(path) > THEIR_TIME
    assert os.listdir(path.parent) == [path.name]


def refused(*_: Any) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


KINDS = {
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to(path.with_name("theirs")),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "directory": Path.mkdir,
}


@pytest.mark.parametrize("kind", KINDS)
def test_anything_but_a_regular_file_is_neither_read_nor_written(kind: str, path: Path) -> None:
    """A named pipe once blocked a pass for ever, and a link led to the file of another user."""
    theirs = path.with_name("theirs")
    theirs.write_text(THEIRS)
    KINDS[kind](path)
    file = ActivityFile(str(path))
    assert file.read() is None
    assert file.problem is not None
    with pytest.raises(OSError, match="it is a"):
        file.keep_fresh(AT)
    assert theirs.read_text() == THEIRS


def test_a_hard_link_to_a_file_of_others_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = path.with_name("theirs")
    theirs.write_text(THEIRS)
    os.link(theirs, path)
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="hard link"):
        ActivityFile(str(path)).keep_fresh(AT)
    assert theirs.read_text() == THEIRS
    assert os.stat(theirs).st_nlink == 2


def test_date_beyond_the_calendar_is_ignored(path: Path) -> None:
    path.write_text("10000-01-01T00:00:00.000000Z")
    assert ActivityFile(str(path)).read() is None


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (PermissionError(errno.EACCES, "Permission denied"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (OSError(errno.EIO, "Input/output error"), True),
    ],
)
def test_fault_names_an_unreadable_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, named: bool
) -> None:
    """The file may hold the activity of a remote IDE. Its last readable stamp still counts."""
    path.write_text(THEIRS)
    file = ActivityFile(str(path))
    assert file.read() == THEIR_TIME

    def fails(*_arguments: Any, **_more: Any) -> bytes:
        raise error

    monkeypatch.setattr("auto_shutdown.safe_files.read_bytes", fails)
    assert file.read() == THEIR_TIME
    assert file.problem is (error if named else None)

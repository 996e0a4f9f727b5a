"""The remedy for a file that cannot be read or written fits the error, and the operation."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from auto_shutdown.state.document import Document, StoreError
from auto_shutdown.world.activity_file import ActivityFile
from auto_shutdown.world.activity_reporter import ActivityReporter
from auto_shutdown.world.file_remedies import read_remedy, state_write_remedy, write_remedy

PATH = Path("/home/ada/settings.json")
AT = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
ELSEWHERE = " Or set AutoShutdown.state_dir to another directory."


def error_of(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("number", "when_read", "when_written"),
    [
        (
            errno.EACCES,
            f"Give this server's user permission to read {PATH}.",
            f"Give this server's user permission to write {PATH} and its directory.",
        ),
        (
            errno.ENOSPC,
            f"Check the file system of {PATH}.",
            f"Free space on the file system of {PATH}, or raise the quota there.",
        ),
        (
            errno.EROFS,
            f"Check the file system of {PATH}.",
            f"The file system of {PATH} is mounted read-only: mount it writable.",
        ),
        (errno.EIO, *[f"Check the file system of {PATH}."] * 2),
        (errno.ETIMEDOUT, *[f"Check the file system of {PATH}."] * 2),
        (errno.ENOENT, *["Create the directory /home/ada."] * 2),
        (
            errno.ENOTDIR,
            *["Move away the file that is in the place of the directory /home/ada."] * 2,
        ),
        (
            errno.EMFILE,
            *["End the programs that hold many files open, or raise the limit (ulimit -n)."] * 2,
        ),
    ],
)
def test_remedy_fits_the_error_and_the_operation(
    number: int, when_read: str, when_written: str
) -> None:
    error = error_of(number)
    assert read_remedy(PATH, error) == when_read
    assert write_remedy(PATH, error) == when_written
    assert state_write_remedy(PATH, error) == when_written + ELSEWHERE


def make_link(path: Path) -> None:
    path.symlink_to(path.parent / "target")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [make_link, make_pipe, Path.mkdir])
async def test_an_activity_file_that_is_no_file_is_to_be_moved_away(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    """Permissions do not help: this server never writes through a link."""
    (tmp_path / "target").write_text("")
    path = tmp_path / "activity"
    make(path)
    reporter = ActivityReporter(ActivityFile(str(path)), {})
    await reporter.report(AT)
    (fault,) = reporter.faults(AT)
    assert fault.remedy == (f"Move {path} away. Or turn AutoShutdown.protect_from_native off.")
    reporter.close()


def test_settings_that_cannot_be_read_have_a_remedy_for_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise error_of(errno.EACCES)

    path = tmp_path / "settings.json"
    monkeypatch.setattr("auto_shutdown.safe_files.read_bytes", refuse)
    with pytest.raises(StoreError) as caught:
        Document(path).read()
    assert caught.value.remedy == f"Give this server's user permission to read {path}."

"""The entries that bring a stopped kernel or terminal back."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.state import stopped
from auto_shutdown.state.stopped import StoppedSession, StoppedSessions, bounded, new_id

NOW = datetime(2026, 3, 29, 1, 0, tzinfo=timezone.utc)
SECRET = "password = 'hunter2'"
SESSION = StoppedSession(
    id=new_id(NOW),
    stop="2026-03-29T01:00:00Z",
    at="2026-03-29T01:00:00Z",
    kind="kernel",
    resource="k1",
    name="python3",
    kernel_name="python3",
    paths=("a/train.ipynb",),
    app="KernelGateway/pytorch",
    instance_type="ml.g5.xlarge",
    image=None,
    directory="a",
    ends_server=False,
    reason="idle",
    cells=("x = 1", SECRET, "print('\u2603')"),
)


@pytest.fixture
def sessions(tmp_path: Path) -> StoppedSessions:
    return StoppedSessions(tmp_path, "key")


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "stopped-key").iterdir())


def test_entry_is_private_to_its_user_and_read_back_whole(
    sessions: StoppedSessions, tmp_path: Path
) -> None:
    sessions.save(SESSION, NOW)
    (path,) = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sessions.entries(NOW) == [SESSION]
    assert sessions.find(SESSION.id, NOW) == SESSION


def test_summary_of_an_entry_holds_no_code() -> None:
    assert SESSION.summary()["cells"] == 3
    assert "hunter2" not in json.dumps(SESSION.summary())
    assert replace(SESSION, cells=None).summary()["cells"] is None


def test_entries_come_newest_first_and_end_after_a_week(sessions: StoppedSessions) -> None:
    week = timedelta(days=7)
    for age in (timedelta(0), timedelta(hours=1), week + timedelta(seconds=1)):
        sessions.save(replace(SESSION, id=new_id(NOW - age)), NOW - age)
    ids = [session.id[:15] for session in sessions.entries(NOW)]
    assert ids == ["20260329T010000", "20260329T000000"]
    old = new_id(NOW - week - timedelta(seconds=1))
    assert sessions.find(old, NOW) is None


def test_saving_deletes_what_is_too_old_or_too_much(
    sessions: StoppedSessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in (200, 3, 2, 1):
        at = NOW - timedelta(hours=hours)
        sessions.save(replace(SESSION, id=new_id(at)), at)
    assert len(files(tmp_path)) == 3, "200 hours are more than a week"
    size = files(tmp_path)[0].stat().st_size
    monkeypatch.setattr(stopped, "MOST_BYTES", 3 * size)
    sessions.save(SESSION, NOW)
    assert [path.stem[:11] for path in files(tmp_path)] == [
        "20260328T23",
        "20260329T00",
        "20260329T01",
    ]


def test_newest_cells_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopped, "MOST_CODE_BYTES", 10)
    assert bounded(["12345", "67890"]) == (("12345", "67890"), True)
    assert bounded(["1", "12345", "67890"]) == (("12345", "67890"), False)
    assert bounded(["12345", "\u2603\u2603\u2603\u2603"]) == ((), False)
    assert bounded([]) == ((), True)


def spoil(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


SPOILED: dict[str, Any] = {
    "a later version": lambda path: spoil(path, schema=2),
    "another entry's name": lambda path: spoil(path, id="x"),
    "torn": lambda path: path.write_text(path.read_text()[:40]),
    "of another type": lambda path: path.write_text("[]"),
    "cells of another type": lambda path: spoil(path, cells=5),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a link": lambda path: (path.rename(path.with_suffix(".x")), path.symlink_to("/dev/zero")),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "too long": lambda path: os.truncate(path, stopped.MOST_FILE_BYTES + 1),
}


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED)
def test_entry_that_cannot_be_read_is_left_out(
    spoiled: Any, sessions: StoppedSessions, tmp_path: Path
) -> None:
    sessions.save(SESSION, NOW)
    spoiled(files(tmp_path)[0])
    other = replace(SESSION, id=new_id(NOW))
    sessions.save(other, NOW)
    assert sessions.entries(NOW) == [other]
    assert sessions.find(SESSION.id, NOW) is None


@pytest.mark.parametrize(
    "name",
    ["", "../settings", "20260329T010000-zzzzzzzzzzzz", "99999999T999999-000000000000", "x" * 5000],
)
def test_path_in_place_of_a_name_finds_no_entry(name: str, sessions: StoppedSessions) -> None:
    assert sessions.find(name, NOW) is None
    assert not sessions.forget(name)


def test_deleted_entry_is_gone(sessions: StoppedSessions) -> None:
    assert sessions.entries(NOW) == [], "no directory yet"
    sessions.save(SESSION, NOW)
    assert sessions.forget(SESSION.id)
    assert not sessions.forget(SESSION.id)
    assert sessions.entries(NOW) == []


def test_an_entry_beyond_the_bound_is_refused(sessions: StoppedSessions) -> None:
    huge = replace(SESSION, name="\x00" * (stopped.MOST_FILE_BYTES // 6 + 1))
    with pytest.raises(OSError, match="bytes"):
        sessions.save(huge, NOW)
    assert sessions.entries(NOW) == []

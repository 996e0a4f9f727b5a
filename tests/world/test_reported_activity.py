"""Reported activity: heartbeat files, SageMaker's own file, extensions, saved documents."""

from __future__ import annotations

import errno
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.model import App, Kernel, Snapshot, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import reported_activity
from auto_shutdown.world.activity_file import ActivityFile
from auto_shutdown.world.file_thread import FileThread
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.reported_activity import (
    ReportedActivity,
    ReportedActivitySource,
    with_heartbeats,
)
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

AT = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
LATER = datetime(2026, 11, 1, 13, tzinfo=timezone.utc)


def touch(path: Path, at: datetime) -> None:
    path.touch()
    os.utime(path, (at.timestamp(), at.timestamp()))


def source(path: Path, **settings: Any) -> ReportedActivitySource:
    return ReportedActivitySource(path, ActivityFile(str(path / "active")), settings)


async def test_missing_files_are_no_evidence(tmp_path: Path) -> None:
    reported = await source(tmp_path / "none").read()
    assert (reported.everything, reported.apps, reported.server) == (None, {}, {})


async def test_heartbeat_files_for_everything_and_for_one_app(tmp_path: Path) -> None:
    touch(tmp_path / "heartbeat", AT)
    touch(tmp_path / "heartbeat-a", LATER)
    touch(tmp_path / "heartbeats-of-others", LATER)
    reported = await source(tmp_path).read()
    assert (reported.of(None), reported.of("a"), reported.of("b")) == (AT, LATER, AT)
    assert reported.apps == {"a": LATER}, "no other name is an app's"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: touch(path, datetime(9999, 12, 31, tzinfo=timezone.utc)), ""),
        (os.mkfifo, "it is a named pipe"),
        (lambda path: path.symlink_to("/etc/hostname"), "it is a symbolic link"),
        (Path.mkdir, "it is a directory"),
    ],
    ids=["year 9999", "pipe", "link", "directory"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["heartbeat", "heartbeat-a"])
async def test_an_invalid_heartbeat_is_ignored_and_named(
    name: str, spoil: Any, why: str, tmp_path: Path
) -> None:
    """Each pass once failed with a ValueError that named no file."""
    touch(tmp_path / "heartbeat-b", AT)
    spoil(tmp_path / name)
    reports = source(tmp_path)
    reported = await reports.read()
    assert reported.apps["b"] == AT, "the others count"
    if not why:
        assert reports.problems == ()
        return
    assert reported.apps == {"b": AT}
    assert reported.everything is None
    (problem,) = reports.problems
    path = tmp_path / name
    assert problem.message == f"{path} does not count as activity: {why}."
    assert problem.remedy == f"Delete {path}. To send a heartbeat, touch it again."
    world = world_with(reports)
    await world.observe(list_apps=False)
    assert [f.message for f in world.faults(AT)] == [problem.message]
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()
    await reports.read()
    assert reports.problems == ()


async def test_a_heartbeat_of_the_year_10000_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some file systems store such a date. Each pass once failed, and named no file."""
    touch(tmp_path / "heartbeat", AT)
    touch(tmp_path / "heartbeat-a", AT)
    lstat = os.lstat

    def far(path: Any) -> Any:
        found = lstat(path)
        if Path(path).name == "heartbeat":
            return os.stat_result([*found[:8], 253402300800 + 86400, 0])
        return found

    monkeypatch.setattr(os, "lstat", far)
    reports = source(tmp_path)
    reported = await reports.read()
    assert (reported.everything, reported.apps) == (None, {"a": AT})
    why = f"{tmp_path / 'heartbeat'} does not count as activity: its date is out of range."
    assert [p.message for p in reports.problems] == [why]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
async def test_heartbeat_file_that_cannot_be_read_makes_everything_unknown(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is unknown, so a program may have touched it a moment ago."""
    touch(tmp_path / "heartbeat", AT)

    def fail(_path: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "lstat", fail)
    snapshot = await world_with(source(tmp_path)).observe(list_apps=False)
    assert set(snapshot.unread) == {Snapshot.KERNELS, Snapshot.TERMINALS}
    assert os.strerror(code) in snapshot.unread[Snapshot.KERNELS].message


def world_with(reports: ReportedActivitySource) -> World:
    kernels = KernelSource(NoResources(), NoResources())
    return World(Platform(), kernels, TerminalSource({}), None, "", reports)


async def test_state_directory_that_does_not_answer_makes_everything_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user may keep work by a heartbeat file that the extension cannot read at the moment."""
    free = threading.Event()
    monkeypatch.setattr(os, "scandir", lambda _: free.wait())
    reports = source(tmp_path)
    reports._files = FileThread("test", seconds=0.05)
    world = world_with(reports)
    snapshot = await world.observe(list_apps=False)
    free.set()
    assert set(snapshot.unread) == {Snapshot.KERNELS, Snapshot.TERMINALS}
    assert "did not answer within" in snapshot.unread[Snapshot.KERNELS].message
    assert "Nothing is removed meanwhile." in snapshot.unread[Snapshot.KERNELS].message
    assert {unread.source for unread in snapshot.unread.values()} == {"heartbeats"}


async def test_number_of_heartbeats_read_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported_activity, "MOST_HEARTBEATS", 3)
    for number in range(5):
        touch(tmp_path / f"heartbeat-{number}", AT)
    reports = source(tmp_path)
    assert len((await reports.read()).apps) == 3
    assert "more than 3 of them" in reports.problems[0].message
    # The log and the report name the fault by its source and code, from one pass to the next.
    (fault,) = world_with(reports).faults(AT)
    assert (fault.source, fault.code) == ("heartbeat-files", "LeftOut")


async def test_heartbeats_of_everything_and_of_known_apps_are_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported_activity, "MOST_HEARTBEATS", 2)
    for name in ("heartbeat", *(f"heartbeat-{number}" for number in range(20))):
        touch(tmp_path / name, AT)
    reported = await source(tmp_path).read(["3", "7", "13", "none"])
    assert reported.everything == AT
    assert reported.apps == {"3": AT, "7": AT, "13": AT}


async def test_heartbeat_of_the_servers_own_app_is_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reported_activity, "MOST_HEARTBEATS", 0)
    touch(tmp_path / "heartbeat-default", AT)
    space = Platform("studio-space", "d-1", space_name="team", app_type="JupyterLab",
                     app_name="default")  # fmt: skip
    kernels = KernelSource(NoResources(), NoResources())
    world = World(space, kernels, TerminalSource({}), None, "", source(tmp_path))
    (app,) = (await world.observe(list_apps=False)).apps
    assert app.stamps[Signal.HEARTBEAT] == AT


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-01T12:00:00.000000Z", AT),
        ("2026-11-01T12:00:00Z\n", AT),
        ("", None),
        ("not a time", None),
        ("2026-11-01T12:00:00.000000Z" + "x" * 100, None),
    ],
)
async def test_activity_file_of_sagemaker_is_read(
    tmp_path: Path, text: str, at: datetime | None
) -> None:
    (tmp_path / "active").write_text(text)
    assert (await source(tmp_path).read()).server == ({Signal.ACTIVITY_FILE: at} if at else {})


@pytest.mark.parametrize(
    ("times", "at"),
    [
        ({"a": AT, "b": LATER}, LATER),
        ({"a": AT, "b": "2026-11-01T13:00:00Z"}, LATER),
        ({"a": AT, "b": "nonsense", "c": None}, AT),
        ({}, None),
        (None, None),
        ("nonsense", None),
    ],
)
async def test_activity_reported_by_extensions_is_read(
    tmp_path: Path, times: Any, at: datetime | None
) -> None:
    reported = await source(tmp_path, last_activity_times=times).read()
    assert reported.server == ({Signal.EXTENSION: at} if at else {})


async def test_saving_a_document_counts_and_reading_does_not(
    jp_serverapp: Any, jp_fetch: Any, tmp_path: Path
) -> None:
    """The test uses the event of a real server."""
    reports = source(tmp_path)
    reports.listen(jp_serverapp.event_logger)
    await jp_fetch("api", "contents")
    assert (await reports.read()).server == {}
    body = '{"type": "file", "format": "text", "content": "x"}'
    await jp_fetch("api", "contents", "notes.txt", method="PUT", body=body)
    assert set((await reports.read()).server) == {Signal.SAVED}
    await jp_fetch("api", "contents", "notes.txt")


class NoResources:
    """The managers of a server without kernels and terminals."""

    def list_kernels(self) -> list[Any]:
        return []

    list_kernel_ids = list_sessions = list_kernels


def world(platform: Platform, reports: ReportedActivitySource) -> World:
    kernels = KernelSource(NoResources(), NoResources())
    return World(platform, kernels, TerminalSource({}), None, reported_activity=reports)


async def test_own_app_has_the_stamps_reported_for_the_server(tmp_path: Path) -> None:
    space = Platform("studio-space", "d-1", None, "s", app_type="JupyterLab", app_name="default")
    touch(tmp_path / "heartbeat", LATER)
    snapshot = await world(space, source(tmp_path, last_activity_times={"a": AT})).observe(True)
    (app,) = snapshot.apps
    assert (app.id, app.own, app.status) == ("JupyterLab/default", True, "InService")
    assert app.stamps == {Signal.EXTENSION: AT, Signal.HEARTBEAT: LATER}


async def test_code_editor_app_is_listed_and_is_not_the_own_app(tmp_path: Path) -> None:
    space = Platform("studio-space", "d-1", None, "s", app_type="CodeEditor", app_name="default")
    (app,) = (await world(space, source(tmp_path)).observe(True)).apps
    assert (app.type, app.own) == ("CodeEditor", False)


def test_heartbeat_covers_the_resources_it_names(tmp_path: Path) -> None:
    snapshot = Snapshot(
        (Kernel("in", app="KernelGateway/a"), Kernel("beside")),
        (Terminal("1"),),
        (App("KernelGateway", "a", "InService"), App("KernelGateway", "b", "InService")),
    )
    after = with_heartbeats(snapshot, ReportedActivity(None, {"a": AT}))
    assert [k.heartbeat_at for k in after.kernels] == [AT, None]
    assert [t.heartbeat_at for t in after.terminals] == [None]
    assert [a.stamps for a in after.apps] == [{Signal.HEARTBEAT: AT}, {}]
    assert with_heartbeats(snapshot, ReportedActivity()) is snapshot
    assert after.kernels[0].stamps[Signal.HEARTBEAT] == AT

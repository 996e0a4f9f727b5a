"""The reports of activity to other tools: SageMaker's file, and jupyter_server's own record."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.world.activity_file import ActivityFile
from auto_shutdown.world.activity_reporter import OWN_ENTRY, ActivityReporter
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.reported_activity import ReportedActivitySource
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

AT = datetime(2026, 11, 1, 12, 0, 30, 999, tzinfo=timezone.utc)


class NoResources:
    """The managers of a server without kernels and terminals."""

    def list_kernels(self) -> list[Any]:
        return []

    list_kernel_ids = list_sessions = list_kernels


def world(activity_reporter: ActivityReporter | None) -> World:
    kernels = KernelSource(NoResources(), NoResources())
    return World(Platform(), kernels, TerminalSource({}), None, activity_reporter=activity_reporter)


async def test_unwritable_activity_file_is_a_fault_until_it_is_written(tmp_path: Path) -> None:
    place = tmp_path / "missing"
    place.write_text("")  # a file where its directory should be
    found = world(ActivityReporter(ActivityFile(str(place / "file")), {}))
    await found.report_at_work(AT)
    (fault,) = found.faults(AT)
    assert fault.source == "activity-file"
    assert "cannot be written" in fault.message
    assert not fault.blocking
    place.unlink()
    place.mkdir()
    await found.report_at_work(AT)
    assert found.faults(AT) == []
    assert (place / "file").exists()
    found.close()


async def test_fault_of_an_irregular_activity_file_ends_with_its_cause(tmp_path: Path) -> None:
    """Also if nothing is at work, so that nothing is written."""
    path = tmp_path / "file"
    os.mkfifo(path)
    file = ActivityFile(str(path))
    found = world(ActivityReporter(file, {}))
    await found.report_at_work(AT)
    (fault,) = found.faults(AT)
    assert "a named pipe" in fault.message
    path.unlink()
    file.read()  # as each pass does
    assert found.faults(AT) == []
    found.close()


async def test_nothing_is_reported_to_the_host_by_default(tmp_path: Path) -> None:
    found = world(None)
    await found.report_at_work(AT)
    assert (os.listdir(tmp_path), found.faults(AT)) == ([], [])


async def test_jupyter_server_sees_the_reported_activity_and_the_extension_ignores_it(
    jp_serverapp: Any, tmp_path: Path
) -> None:
    """The test runs a real server. Cullers and controllers poll its ``last_activity()``."""
    settings = jp_serverapp.web_app.settings
    file = ActivityFile(str(tmp_path / "active"))
    reporter = ActivityReporter(file, settings)
    later = datetime.now(timezone.utc) + timedelta(minutes=5)
    await reporter.report(later)
    assert jp_serverapp.web_app.last_activity() == later
    await reporter.report(AT)
    assert jp_serverapp.web_app.last_activity() == later, "it only moves forward"
    assert set(settings["last_activity_times"]) == {OWN_ENTRY}
    reports = ReportedActivitySource(tmp_path, file, settings)
    assert (await reports.read()).server == {}, "our own report is no evidence for us"
    reporter.close()


async def test_idle_shutdown_of_jupyter_server_follows_the_reported_activity(
    jp_serverapp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``shutdown_no_activity_timeout``, by jupyter_server's own function."""
    if callable(jp_serverapp.extension_manager.any_activity):
        pytest.skip("2.0.0rc3 takes this method for a true value, and never stops itself")
    stops: list[bool] = []
    monkeypatch.setattr(jp_serverapp, "stop", lambda: stops.append(True))
    monkeypatch.setattr(jp_serverapp, "shutdown_no_activity_timeout", 3600)
    settings = jp_serverapp.web_app.settings
    now = datetime.now(timezone.utc)
    settings["started"] = now - timedelta(hours=9)
    for other in ("api_last_activity", "terminal_last_activity"):
        settings.pop(other, None)
    jp_serverapp.kernel_manager.last_kernel_activity = now - timedelta(hours=9)
    reporter = ActivityReporter(ActivityFile(str(tmp_path / "active")), settings)
    await reporter.report(now - timedelta(minutes=30))
    jp_serverapp.shutdown_no_activity()
    assert stops == [], "something was at work half an hour ago"
    settings["last_activity_times"].clear()
    settings["last_activity_times"][OWN_ENTRY] = now - timedelta(hours=2)
    jp_serverapp.shutdown_no_activity()
    assert stops == [True], "the limit begins when the work has ended"
    reporter.close()

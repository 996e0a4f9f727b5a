"""Terminals: those of an image, and the foreground of a real one."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from waiting import eventually

from auto_shutdown.core.model import App, Terminal
from auto_shutdown.core.outcome import Result
from auto_shutdown.world import pseudo_terminal
from auto_shutdown.world.placement import place
from auto_shutdown.world.pseudo_terminal import foreground_job
from auto_shutdown.world.terminals import TerminalSource, image_of

ARN = "arn:aws:sagemaker:us-west-2:236514542706:image/datascience-1.0"


def test_image_and_instance_type_follow_from_a_terminal_name() -> None:
    assert image_of(f"{ARN}__1__ml.t3.medium") == (ARN, "ml.t3.medium")
    for name in ("1", "my__odd__name", f"{ARN}__1", ARN):
        assert image_of(name) == (None, None)


def test_image_terminal_is_placed_in_its_app() -> None:
    terminal = Terminal("t", environment=ARN, instance_type="ml.t3.medium")
    mine = App("KernelGateway", "a", "InService", "ml.t3.medium", ARN)
    version = App("KernelGateway", "v", "InService", "ml.t3.medium",
                  "arn:aws:sagemaker:us-west-2:1:image-version/datascience-1.0/3")  # fmt: skip
    other = App("KernelGateway", "b", "InService", "ml.t3.medium", ARN + "-other")
    bare = App("KernelGateway", "c", "InService", "ml.t3.medium")
    untyped = App("KernelGateway", "u", "InService")
    cases: list[tuple[list[App], str]] = [
        ([mine, other], "a"),
        ([version], "v"),
        ([bare], "c"),
        ([bare, other], "c b"),
        ([mine, version, other], "a v"),
        ([other, untyped], "b u"),
        ([App("KernelGateway", "a", "Deleted", "ml.t3.medium", ARN)], ""),
        ([App("KernelGateway", "g", "InService", "ml.g5.xlarge", ARN)], ""),
        ([], ""),
    ]
    for apps, names in cases:
        (placed,) = place([terminal], apps)
        ids = tuple(f"KernelGateway/{name}" for name in names.split())
        known = ids[0] if len(ids) == 1 else None
        assert (placed.app, placed.may_be_in) == (known, () if known else ids)
    plain = Terminal("1")
    assert place([plain], [mine]) == (plain,)


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"jupyter_server_terminals": True}}}


@pytest.mark.slow
async def test_terminal_used_and_closed_between_passes_is_a_departure(jp_serverapp: Any) -> None:
    settings = jp_serverapp.web_app.settings
    manager = settings["terminal_manager"]
    source = TerminalSource(settings)
    assert await source.read() == ()
    begun = datetime.now(timezone.utc)
    name = manager.create()["name"]
    await manager.terminate(name, force=True)
    await eventually(lambda: source.departures, "its end is noted")
    (departure,) = source.departures
    assert (departure.app, departure.anywhere, departure.signal) == (None, False, "input")
    assert departure.at >= begun


@pytest.mark.slow
async def test_foreground_job_of_a_real_terminal_is_found(
    jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = jp_serverapp.web_app.settings
    manager = settings["terminal_manager"]
    source = TerminalSource(settings)
    assert await source.read() == ()
    _, pty = manager.new_named_terminal()

    async def job_is(expected: str | None, what: str) -> None:
        async def seen() -> bool:
            (terminal,) = await source.read()
            return terminal.running_job == expected

        await eventually(seen, what)

    def foreground() -> str:
        return psutil.Process(os.tcgetpgrp(pty.ptyproc.fd)).name()

    await job_is(None, "a prompt")
    pty.ptyproc.write("sleep 600 > /dev/null\r")
    await job_is("sleep", "a silent job")
    pty.ptyproc.write("\x03")
    await job_is(None, "its end")
    pty.ptyproc.write("bash\r")
    await eventually(
        lambda: os.tcgetpgrp(pty.ptyproc.fd) != pty.ptyproc.pid and foreground() == "bash",
        "a second shell",
    )
    await job_is(None, "a second shell at its prompt is no job")
    pty.ptyproc.write("sleep 600\r")
    await job_is("sleep", "a job of the second shell")
    pty.ptyproc.write("\x1a")
    await job_is("sleep (stopped)", "Ctrl-Z stops it, and it may hold somebody's work")
    pty.ptyproc.write("exit\r exit\r")
    await job_is(None, "the second shell ends its stopped job")
    pty.ptyproc.write("sleep 600\r")
    await job_is("sleep", "a job of the first shell")
    pty.ptyproc.write("\x1a")
    await job_is("sleep (stopped)", "it is stopped")
    (terminal,) = await source.read()
    assert not terminal.only_shows, "other jobs of this terminal may work"
    pty.ptyproc.write("fg\r")
    await job_is("sleep", "it goes on")
    (terminal,) = await source.read()
    closed_at = datetime.now(timezone.utc)
    assert (await source.remove(terminal, False)).result is Result.REMOVED

    async def unlisted() -> bool:
        return not await source.read()

    # On a loaded machine the manager may read the end of its output later than it is waited for.
    await eventually(unlisted, "the terminal is listed no more")
    assert all(departure.at <= closed_at for departure in source.departures), "no use of it"
    assert (await source.remove(terminal, False)).result is Result.GONE
    assert foreground_job(None) is None


@pytest.mark.parametrize(("group", "job"), [(7, None), (8, "a command")])
def test_without_proc_everything_but_the_first_shell_is_a_job(
    group: int, job: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On macOS no command was ever seen, so a silent job was closed after the idle limit."""
    monkeypatch.setattr(pseudo_terminal, "PROC", tmp_path / "none")
    monkeypatch.setattr(os, "tcgetpgrp", lambda _fd: group)
    pty = SimpleNamespace(ptyproc=SimpleNamespace(pid=7, fd=3))
    assert foreground_job(pty) == job

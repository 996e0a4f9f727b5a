"""The query whether a shell is free: real kernels on this host and behind a real gateway, queried
in each of three ways."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from gateway_kernels import FREE, Behind, Manager
from jupyter_client.manager import AsyncKernelManager

from auto_shutdown.core.signals import Signal
from auto_shutdown.world import shells as shells_module
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.shells import Shells


def start(gateway: Any) -> str:
    request = urllib.request.Request(f"{gateway.url}/api/kernels", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return f"{gateway.url}/api/kernels/{json.load(answer)['id']}"


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A cell runs until this file is deleted."""
    found = tmp_path / "flag"
    found.touch()
    return found


def end_cell(flag: Path) -> None:
    flag.unlink()


def while_there(flag: Path) -> str:
    return f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.02)"


async def answers(shells: Shells, free: bool) -> Usage:
    """The answer, once it is as expected. A kernel that has just started needs some time."""
    deadline = time.monotonic() + 60
    while True:
        found = await shells.ask("k")
        if found.shell.free is free or time.monotonic() > deadline:
            return found


@pytest.mark.slow
async def test_shell_of_a_local_kernel_is_asked(flag: Path) -> None:
    local, requests = AsyncKernelManager(), Requests()
    await local.start_kernel()
    shells = Shells(Manager(k=local), requests)
    assert (await answers(shells, True)).shell == FREE
    client = local.client()
    client.start_channels()
    await client.wait_for_ready()
    client.execute(while_there(flag))
    assert (await answers(shells, False)).shell == ShellAnswer(False)
    assert requests.of("k").shell_silent
    end_cell(flag)
    assert (await answers(shells, True)).shell == FREE
    assert not requests.of("k").shell_silent
    client.stop_channels()
    await local.shutdown_kernel(now=True)


class Here:
    """A kernel on this host."""

    def get_connection_info(self) -> Any:
        return {"shell_port": 1}


@pytest.mark.parametrize("fails", [False, True])
async def test_stamp_moved_by_the_question_for_the_cells_of_a_local_kernel_is_reported(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every server counts history_request as activity. It matters only if this server does not
    read the kernel's IOPub channel. Without the stamp that kernel would never be removed."""
    manager, requests = Manager(k=Here()), Requests()
    model = {"id": "k", "last_activity": "2026-03-01T12:00:00Z"}
    monkeypatch.setattr(manager, "kernel_model", lambda _id: model, raising=False)

    def ask_history(_connection: Any) -> tuple[str, ...]:
        model["last_activity"] = "2026-03-01T12:00:01Z"
        if fails:
            raise OSError("the thread is late")
        return ("x = 1",)

    monkeypatch.setattr(shells_module, "ask_history", ask_history)
    usage = await Shells(manager, requests).ask_history("k")
    assert usage.cells == (None if fails else ("x = 1",))
    moved_at = datetime(2026, 3, 1, 12, 0, 1, tzinfo=timezone.utc)
    assert usage.stamps == {Signal.LAST_ACTIVITY: moved_at}
    requests.of("k").on_iopub = True
    assert (await Shells(manager, requests).ask_history("k")).stamps == {}


@pytest.mark.slow
async def test_shell_of_a_kernel_behind_a_gateway_is_asked(gateway: Any, flag: Path) -> None:
    requests = Requests()
    url = start(gateway)
    shells = Shells(Manager(k=Behind(url)), requests)
    assert (await answers(shells, True)).shell == FREE
    before = (await Behind(url).refresh_model())["last_activity"]
    usage = await shells.ask("k")
    assert (usage.shell, usage.other_client_seen) == (FREE, False)
    after = (await Behind(url).refresh_model())["last_activity"]
    assert before == after, "the question is no activity here"
    page = await connected(url)
    await send(page, "execute_request", code=while_there(flag))
    busy = await answers(shells, False)
    assert busy.shell == ShellAnswer(False)
    assert requests.of("k").shell_silent
    usage = await shells.ask_by_websocket("k", with_usage=True)
    assert usage.shell.free is False
    assert usage.kernel_cores is not None, "the control channel answers meanwhile"
    end_cell(flag)
    assert (await answers(shells, True)).shell == FREE
    page.close()


@pytest.mark.slow
async def test_shell_of_a_kernel_without_known_address_is_asked_through_this_server(
    gateway: Any,
) -> None:
    url = start(gateway)
    asked = []

    def through_this_server(kernel_id: str) -> Any:
        asked.append(kernel_id)
        return url.replace("http", "ws", 1) + "/channels", {}

    shells = Shells(Manager(k=object()), Requests(), through_this_server)
    assert (await answers(shells, True)).shell == FREE
    assert "k" in asked
    found = await Shells(Manager(k=object()), Requests()).ask("k")
    assert (found.shell.free, found.shell.failure) == (False, "it cannot be asked from here")


@pytest.mark.slow
async def test_subshells_have_to_answer_too(gateway: Any, flag: Path) -> None:
    """JupyterLab runs the callbacks of widgets in a subshell, and the main shell is free
    meanwhile."""
    url, requests = start(gateway), Requests()
    shells = Shells(Manager(k=Behind(url)), requests)
    assert (await answers(shells, True)).shell == FREE
    page = await connected(url)
    await send(page, "create_subshell_request", channel="control")
    subshell = (await receive(page, "create_subshell_reply"))["content"]["subshell_id"]
    await send(page, "execute_request", subshell, code=while_there(flag))
    await receive(page, "execute_input")
    assert (await shells.ask("k")).shell == FREE
    requests.of("k").unwatched_subshells.add(subshell)
    living = frozenset([subshell])
    assert (await shells.ask("k")).shell == ShellAnswer(False, "", "ipython", subshells=living)
    end_cell(flag)
    assert (await answers(shells, True)).shell == replace(FREE, subshells=living)
    assert requests.of("k").unwatched_subshells == set()
    requests.of("k").unwatched_subshells.add("deleted")
    assert (await answers(shells, True)).shell == replace(FREE, subshells=living)
    page.close()


async def connected(url: str) -> Any:
    from tornado.websocket import websocket_connect

    return await websocket_connect(url.replace("http", "ws", 1) + "/channels?session_id=page")


async def send(
    page: Any, kind: str, subshell: str | None = None, channel: str = "shell", **content: Any
) -> None:
    header = {"msg_id": kind, "msg_type": kind, "session": "page", "username": "", "version": "5.3"}
    if subshell is not None:
        header["subshell_id"] = subshell
    header["date"] = datetime.now(timezone.utc).isoformat()
    parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    await page.write_message(json.dumps({**parts, "channel": channel}))


async def receive(page: Any, kind: str) -> Any:
    while True:
        message = json.loads(await asyncio.wait_for(page.read_message(), 60))
        if message["header"]["msg_type"] == kind:
            return message

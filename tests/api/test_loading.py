"""If the extension is broken or cannot start, the server still starts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tornado.websocket import WebSocketHandler

from auto_shutdown.api.startup import why_not_started
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.extension import AutoShutdown
from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.world.websocket_handlers import WebsocketHandlers


def new_extension(state_dir: Path, server: Any) -> AutoShutdown:
    """An extension of ``server`` that is not started, on a host without SageMaker's metadata."""
    metadata = state_dir.with_name("none.json")
    extension = AutoShutdown(state_dir=str(state_dir), metadata_path=str(metadata))
    extension.serverapp = server
    return extension


BROKEN = """
import sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "auto_shutdown.config.traits":
            raise RuntimeError("simulated breakage")

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.slow
def test_broken_import_is_one_log_line_and_the_server_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    config = tmp_path / "config.json"
    extensions = {"auto_shutdown": True}
    config.write_text(json.dumps({"ServerApp": {"jpserver_extensions": extensions}}))
    port = free_port()
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "jupyter", "server", f"--config={config}", "--no-browser"]
    argv += ["--allow-root", f"--port={port}", "--ServerApp.token=", f"--notebook-dir={tmp_path}"]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, env=env, cwd=tmp_path)
    try:
        url, deadline = f"http://127.0.0.1:{port}/api", time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(url, timeout=60) as response:
                    assert "version" in json.load(response)
                break
            except OSError:
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    (line,) = [line for line in log.read_text().splitlines() if "simulated breakage" in line]
    assert "auto_shutdown cannot be loaded, and removes nothing" in line


async def test_failing_stop_of_the_extension_does_not_stop_the_shutdown_of_the_server(
    jp_serverapp: Any,
) -> None:
    """jupyter_server shuts its kernels down after all extensions have stopped."""
    closed = []

    class Failing:
        async def stop(self) -> None:
            raise RuntimeError("simulated")

        def close(self) -> None:
            closed.append(self)
            raise RuntimeError("simulated")

    extension: Any = AutoShutdown()
    extension.serverapp = jp_serverapp
    extension._controller = extension._assembly = Failing()
    await extension.stop_extension()
    assert len(closed) == 1


async def test_broken_late_import_is_named_in_the_answer_of_status(
    jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "auto_shutdown.assembly", None)
    extension = AutoShutdown(metadata_path="/none.json")
    extension.serverapp = jp_serverapp
    await extension._start()
    why = why_not_started(jp_serverapp.web_app.settings)
    assert "auto_shutdown.assembly" in why.message
    assert extension._controller is None


async def test_a_client_that_connects_before_the_assembly_is_observed(
    tmp_path: Path, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading the configuration may take long. If a page connects meanwhile and runs a cell, the
    first pass knows of it."""
    extension = new_extension(tmp_path / "state", jp_serverapp)
    read_limits = extension._configured_limits

    async def connect_first(files: Any) -> Any:
        rules = jp_serverapp.web_app.wildcard_router.rules
        targets = [rule.target for rule in rules if isinstance(rule.target, type)]
        (handler,) = (t for t in targets if hasattr(t, "is_observed_by_auto_shutdown"))
        channel: Any = handler.__new__(handler)
        channel.kernel_id = "k"
        header = {"msg_id": "1", "msg_type": "execute_request"}
        with contextlib.suppress(Exception):  # this handler has no connection and no request
            channel.on_message(json.dumps({"header": header}))
        return await read_limits(files)

    monkeypatch.setattr(extension, "_configured_limits", connect_first)
    await extension._start()
    try:
        assert extension._controller is not None
        assembly: Any = extension._assembly
        kernels = assembly.controller._world._kernel_source
        assert kernels._requests.of("k").unfinished == 1
    finally:
        await extension.stop_extension()


@pytest.mark.parametrize("failing_call", [1, 2])
async def test_an_error_while_finding_the_websockets_fails_the_start_and_names_the_error(
    failing_call: int, tmp_path: Path, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def watch(_self: Any, _web_app: Any) -> None:
        calls.append(1)
        if len(calls) == failing_call:
            raise RuntimeError("an unknown router")

    monkeypatch.setattr(WebsocketHandlers, "watch", watch)
    extension = new_extension(tmp_path / "state", jp_serverapp)
    await extension._start()
    assert "an unknown router" in why_not_started(jp_serverapp.web_app.settings).message
    assert (extension._controller, extension._assembly) == (None, None)
    running = [task for task in asyncio.all_tasks() if "Controller._run" in repr(task.get_coro())]
    assert running == [], "no pass begins without the websockets"


async def test_handlers_that_are_added_during_the_start_are_observed(
    tmp_path: Path, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(WebSocketHandler):
        pass

    web_app, start = jp_serverapp.web_app, Controller.start

    async def add_handlers(controller: Any) -> None:
        web_app.add_handlers(".*$", [(r"/other/api/kernels/(\w+)/channels", Late)])
        await start(controller)

    monkeypatch.setattr(Controller, "start", add_handlers)
    extension = new_extension(tmp_path / "state", jp_serverapp)
    await extension._start()
    try:
        rules = [rule for host in web_app.default_router.rules for rule in rules_of(host)]
        (late,) = (t for t in rules if isinstance(t, type) and issubclass(t, Late))
        assert hasattr(late, "is_observed_by_auto_shutdown")
    finally:
        await extension.stop_extension()


def rules_of(host_rule: Any) -> list[Any]:
    return [rule.target for rule in getattr(host_rule.target, "rules", ())]


@pytest.mark.parametrize("turns", range(4))
async def test_extension_stopped_during_its_start_leaves_no_task(
    turns: int, tmp_path: Path, jp_serverapp: Any
) -> None:
    """The server ends at any point of the start. Then no task continues, and nothing is written to
    disk."""
    extension = new_extension(tmp_path / "late", jp_serverapp)
    start = asyncio.ensure_future(extension._start())
    for _ in range(turns):
        await asyncio.sleep(0)
    await extension.stop_extension()
    await start
    assert extension._controller is None
    running = [task for task in asyncio.all_tasks() if "Controller._run" in repr(task.get_coro())]
    assert running == []

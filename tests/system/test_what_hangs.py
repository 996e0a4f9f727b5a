"""A real server while something hangs: a slow kernel shutdown, an occupied executor, DeleteApp."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from running_lab import Lab, gone
from short_limits import short_limits

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.cycle import one_pass, removal
from auto_shutdown.local_studio.api import Fault
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LIMIT = 3.0

#: Code of a kernel whose exit hook waits until the file is gone.
ENDS_LATE = """
import atexit, os, time
def hold():
    while os.path.exists({flag!r}):
        time.sleep(0.05)
atexit.register(hold)
"""


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True}
        },
        "KernelManager": {"shutdown_wait_time": 300},
        "AutoShutdown": short_limits(tmp_path, LIMIT, activity_file=str(tmp_path / "active")),
    }


def faults(lab: Lab) -> dict[str, str]:
    health = lab.settings[CONTROLLER].report()["health"]
    return {fault["code"]: fault["message"] for fault in health["faults"]}


async def test_passes_go_on_while_a_kernel_takes_long_to_shut_down(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``shutdown_wait_time`` is 300 s and an exit hook waits: no shutdown is cancelled."""
    monkeypatch.setattr(one_pass, "REMOVAL_SECONDS", 0.2)
    monkeypatch.setattr(removal, "LATE", timedelta(seconds=2))
    flag = tmp_path / "hold"
    flag.touch()
    slow = await lab.kernel()
    await lab.run(slow, ENDS_LATE.format(flag=str(flag)))
    await lab.until(lambda: lab.verdict(slow)["reason"] == "shutting-down")
    await lab.until(lambda: "ShutdownLate" in faults(lab))
    other = await lab.kernel()
    await lab.until(gone(lab, other))  # the passes go on
    assert slow in lab.app.kernel_manager
    body = json.dumps({"kind": "all", "minutes": 5})
    await lab.fetch("auto-shutdown", "keep-alive", method="PUT", body=body)
    flag.unlink()
    await lab.until(gone(lab, slow))
    assert slow not in lab.app.kernel_manager
    await lab.until(lambda: not faults(lab))
    outcomes = {o["id"]: o["outcome"] for o in lab.settings[CONTROLLER].report()["outcomes"]}
    assert outcomes == {slow: "removed", other: "removed"}


def ask(lab: Lab, method: str, path: str, body: Any) -> bytes:
    """Send a request to the server as another process would. The call blocks."""
    request = urllib.request.Request(
        f"{lab.app.connection_url}auto-shutdown/{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"token {lab.app.identity_provider.token}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


async def _has_come_up(lab: Lab, kernel_id: str) -> None:
    """Wait until the server lists the kernel as idle. The server may miss the first messages of a
    kernel, and without a client nothing would tell it later that the kernel has come up."""
    manager = lab.app.kernel_manager.get_kernel(kernel_id)
    client = manager.client()
    client.start_channels()

    def is_idle() -> bool:
        client.kernel_info()
        return bool(manager.execution_state == "idle")

    try:
        await lab.until(is_idle)
    finally:
        client.stop_channels()


async def test_requests_and_removals_work_while_the_default_executor_is_occupied(lab: Lab) -> None:
    free, loop = threading.Event(), asyncio.get_running_loop()
    await lab.until(lambda: CONTROLLER in lab.settings)
    loop.set_default_executor(ThreadPoolExecutor(1))
    held = loop.run_in_executor(None, free.wait)
    ours = ThreadPoolExecutor(1)  # tornado's client resolves names in the server's executor
    try:
        kernel = await lab.app.kernel_manager.start_kernel()
        await _has_come_up(lab, kernel)
        for path, method, body in (
            ("keep-alive", "PUT", {"kind": "all", "minutes": 5}),
            ("settings", "PATCH", {"warn_minutes": 0.01}),
            ("keep-alive?kind=all", "DELETE", None),
            ("history", "GET", None),
            ("check", "POST", {}),
        ):
            answer = await loop.run_in_executor(ours, ask, lab, method, path, body)
            assert isinstance(json.loads(answer), dict)
        await lab.until(gone(lab, kernel))
        outcomes = lab.settings[CONTROLLER].report()["outcomes"]
        assert [o["outcome"] for o in outcomes] == ["removed"]
        assert faults(lab) == {}
    finally:
        free.set()
        await held


def test_server_stops_while_delete_app_hangs(tmp_path: Path) -> None:
    """``docker stop`` sends SIGKILL 10 s after SIGTERM."""
    with LocalStudio(tmp_path) as studio:
        traits = {
            "metadata_path": str(studio.metadata_path),
            "min_idle_timeout_minutes": 0.01,
            "idle_timeout_minutes": 0.05,
            "grace_minutes": 0.02,
            "warn_minutes": 0,
            "poll_interval_seconds": 1,
        }
        studio.api.faults.append(Fault("DeleteApp", hang=60))
        server = studio.start_server({"AutoShutdown": traits})
        studio.client().create_app(
            DomainId=studio.domain_id,
            AppType="KernelGateway",
            AppName="idle",
            ResourceSpec={"InstanceType": "ml.t3.medium"},
            **dict([studio.owner]),
        )
        server.wait_for("DeleteApp", lambda: studio.api.count("DeleteApp"), 60)
        server.process.signal(15)
        server.wait_for("the server ends", lambda: not server.process.running, 9)

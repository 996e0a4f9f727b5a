"""The extension runs beside the agent of SageMaker's own idle shutdown, the published wheel, in one
server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from short_limits import short_limits
from waiting import eventually

#: Beside the environment and not in it, where it would be a part of every other server, too.
sys.path.append(str(Path(__file__).resolve().parents[2] / ".make" / "agent"))
pytest.importorskip("jupyter_activity_monitor_extension.handler")

from jupyter_activity_monitor_extension import handler as agent

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.world.activity_file import OUR_MICROSECOND, ActivityFile

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:A `_load_jupyter_server_extension`:DeprecationWarning"),
]

#: How long a silent cell is watched. SageMaker's own limits are an hour and more.
WATCHED = timedelta(seconds=3)


@pytest.fixture
def protect() -> bool:
    return True


@pytest.fixture
def activity_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new place for the agent's file, and an agent without memory."""
    path = tmp_path / "sagemaker-last-active-timestamp"
    read = agent.LocalFileActiveTimestampChecker.read_last_active_timestamp
    monkeypatch.setattr(read, "__defaults__", (str(path),))
    monkeypatch.setattr(agent, "first_request_time", None)
    monkeypatch.setattr(agent, "activity_tracker", "2020-01-01T00:00:00.000000Z")
    return path


@pytest.fixture
def jp_server_config(tmp_path: Path, activity_file: Path, protect: bool) -> dict[str, Any]:
    extensions = ("auto_shutdown", "jupyter_server_terminals", "jupyter_activity_monitor_extension")
    return {
        "ServerApp": {"jpserver_extensions": dict.fromkeys(extensions, True)},
        "AutoShutdown": short_limits(
            tmp_path, 9.0, activity_file=str(activity_file), protect_from_native=protect
        ),
    }


class Lab:
    def __init__(self, app: Any, fetch: Any, ws_fetch: Any) -> None:
        self.app, self.fetch, self.ws_fetch = app, fetch, ws_fetch

    async def last_active(self) -> datetime:
        """The request of SageMaker's control plane."""
        response = await self.fetch("api", "idle")
        text = json.loads(response.body)["lastActiveTimestamp"]
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fz").replace(tzinfo=timezone.utc)

    async def open_notebook(self) -> str:
        body = json.dumps({"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {}})
        response = await self.fetch("api", "sessions", method="POST", body=body)
        return str(json.loads(response.body)["kernel"]["id"])

    async def begin(self, kernel_id: str, code: str) -> None:
        """Begin a cell, and disconnect."""
        socket = await self.ws_fetch("api", "kernels", kernel_id, "channels")
        header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "version": "5.3"}
        message = {"header": {**header, "username": "", "date": ""}, "parent_header": {}}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message |= {"metadata": {}, "content": content, "channel": "shell"}
        await socket.write_message(json.dumps(message))
        while json.loads(await socket.read_message())["msg_type"] != "execute_input":
            pass
        socket.close()

    def row(self, ref_id: str) -> dict[str, Any]:
        controller = self.app.web_app.settings.get(CONTROLLER)
        rows = controller.report()["resources"] if controller is not None else []
        return next((r for r in rows if r["id"] == ref_id), {})

    async def until(self, condition: Callable[[], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.app.web_app.settings[CONTROLLER].report()
            await asyncio.sleep(0.05)


@pytest.fixture
def lab(jp_serverapp: Any, jp_fetch: Any, jp_ws_fetch: Any) -> Lab:
    return Lab(jp_serverapp, jp_fetch, jp_ws_fetch)


def written(path: Path) -> str:
    """The content of the agent's file; nothing if there is no file."""
    return path.read_text() if path.exists() else ""


async def begin_silent_cell(lab: Lab) -> datetime:
    """Begin a cell that prints nothing; the instant at which it certainly runs."""
    await lab.last_active()  # the first question to the agent counts as activity
    kernel = await lab.open_notebook()
    await lab.begin(kernel, "import time; time.sleep(600)")
    await lab.until(lambda: lab.row(kernel).get("reason") == "busy")
    return datetime.now(timezone.utc)


@pytest.mark.parametrize("protect", [False])
async def test_agent_of_sagemaker_reports_no_activity_during_a_silent_cell(
    lab: Lab, activity_file: Path
) -> None:
    """This is what protect_from_native is for. Without it the extension writes no file."""
    begun = await begin_silent_cell(lab)
    await lab.until(lambda: datetime.now(timezone.utc) - begun >= WATCHED)
    assert await lab.last_active() - begun < WATCHED / 2
    assert written(activity_file) == ""


async def test_agent_of_sagemaker_reports_activity_during_a_silent_cell_only(
    lab: Lab, activity_file: Path
) -> None:
    begun = await begin_silent_cell(lab)

    async def reports_activity() -> bool:
        return await lab.last_active() - begun >= WATCHED / 2

    await eventually(reports_activity, "the agent reports activity during the cell")
    (kernel,) = [r["id"] for r in lab.app.web_app.settings[CONTROLLER].report()["resources"]]
    await lab.fetch("api", "kernels", kernel, "interrupt", method="POST", body="")
    await lab.until(lambda: lab.row(kernel)["reason"] == "recent-activity")
    stamp = written(activity_file)
    # The extension's own writing keeps no kernel: the kernel is removed by its own idle clock.
    await lab.until(lambda: not lab.row(kernel))
    assert written(activity_file) == stamp
    assert ActivityFile(str(activity_file)).read() is None


async def test_agent_of_sagemaker_reports_activity_during_a_keep_alive(
    lab: Lab, activity_file: Path
) -> None:
    body = json.dumps({"kind": "all", "minutes": 5})
    await lab.until(lambda: CONTROLLER in lab.app.web_app.settings)
    before = datetime.now(timezone.utc)
    await lab.fetch("auto-shutdown", "keep-alive", method="PUT", body=body)
    await lab.until(lambda: written(activity_file))
    # The file has whole seconds, and the agent takes the latest activity it knows.
    assert await lab.last_active() >= before - timedelta(seconds=1)
    assert written(activity_file).endswith(f".{OUR_MICROSECOND}Z")

"""A second Jupyter server with the same extension runs beside the first. Neither removes an app in
which the other works, and idle apps are still removed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from own_apps import LIMITS, needs_containers, report, row
from programs import silent_cell

from auto_shutdown.local_studio.labs import merge, server_config
from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OWN = "JupyterLab/default"
LIMIT = 60 * LIMITS["idle_timeout_minutes"]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found
        assert found.api.invalid_answers == []


def plain_server(studio: LocalStudio, config: dict[str, Any]) -> JupyterServerApp:
    """The server that ``jupyter lab`` starts in a terminal of Studio Classic. It has kernels of its
    own, and the same extension and metadata file."""
    port = free_port()
    path = studio.root / f"plain-{port}.json"
    extension = {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}}
    settings = merge(server_config(port, studio.home, "/"), {**extension, "AutoShutdown": config})
    path.write_text(json.dumps(settings))
    argv = [sys.executable, "-m", "jupyterlab", f"--config={path}"]

    def start() -> Leashed:
        log = studio.root / f"plain-{port}.log"
        process = Leashed(argv, log, studio._environment(), studio.home)
        wait_for_http(f"http://127.0.0.1:{port}/api", process)
        return process

    server = JupyterServerApp(f"http://127.0.0.1:{port}/", start)
    studio.servers.append(server)
    return server


def stays(name: str, seconds: float, there: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert there(), f"{name} was removed"
        time.sleep(0.2)


def test_classic_server_keeps_an_app_in_which_another_server_runs_a_cell(
    studio: LocalStudio,
) -> None:
    config = {**LIMITS, "metadata_path": str(studio.metadata_path)}
    first = studio.start_server({"AutoShutdown": config})
    kernel = first.open_notebook("a.ipynb")
    (app,) = studio.gateways()
    flag = studio.root / "at-work"
    first.execute(kernel, silent_cell(flag), wait=False)
    second = plain_server(studio, {**config, "state_dir": str(studio.root / "second")})
    stays(app, 3 * LIMIT, lambda: studio.status(app) == "InService")
    shown = row(second, f"KernelGateway/{app}")
    assert shown["reason"] == "background-work"
    assert "of the Jupyter server at" in shown["detail"], shown
    assert report(second)["health"]["state"] == "ok"
    flag.unlink()
    first.wait_for("the app goes", lambda: studio.status(app) == "Deleted", 90)
    assert not first.request("GET", "api/kernels")


def test_classic_server_keeps_apps_as_unknown_while_another_server_does_not_answer(
    studio: LocalStudio,
) -> None:
    """The other server has a password, or is broken. Nobody knows what its kernels do."""
    config = {**LIMITS, "metadata_path": str(studio.metadata_path)}
    runtime = studio.root / "jupyter" / "runtime"
    second = plain_server(studio, {**config, "enabled": False})
    (file,) = runtime.glob("jpserver-*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "token": "wrong"}))
    app = studio.create_app()
    first = studio.start_server({"AutoShutdown": config})
    shown = first.wait_for(
        "it says so",
        lambda: (r := row(first, f"KernelGateway/{app}")).get("reason") == "unknown" and r,
    )
    assert "does not say what runs in it (HTTP 403)" in shown["detail"]
    health = report(first)["health"]
    assert [fault["source"] for fault in health["faults"]] == ["other-servers"]
    stays(app, LIMIT, lambda: studio.status(app) == "InService")
    second.stop()
    first.wait_for("the app goes", lambda: studio.status(app) == "Deleted", 60)
    assert report(first)["health"]["state"] == "ok"


@needs_containers
def test_kernel_of_a_second_server_in_a_space_keeps_the_app_of_the_space(
    studio: LocalStudio,
) -> None:
    """The app is removed one limit after the last use of that kernel."""
    space = studio.add_space("mine")
    server = space.start({"AutoShutdown": LIMITS})
    port = free_port()
    config = space.lab.home / "second.json"
    limits = {**LIMITS, "metadata_path": str(space.lab.metadata_path)}
    extensions = {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}}
    ours = {**extensions, "AutoShutdown": {**limits, "state_dir": str(space.lab.home / "state2")}}
    config.write_text(json.dumps(merge(server_config(port, space.lab.home, "/"), ours)))
    # The second server and its kernel may take longer to start than the limit.
    server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 5})
    terminal = server.open_terminal()
    command = f"nohup {sys.executable} -m jupyterlab --config={config} > {config}.log 2>&1 &\r"
    server.type(terminal, command)
    second = object.__new__(JupyterServerApp)
    second.url = f"http://127.0.0.1:{port}/"
    server.wait_for("the second server", lambda: report(second))
    second.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 5})
    kernel = second.request("POST", "api/kernels", {"name": "python3"})["id"]
    flag = space.lab.home / "at-work"
    second.execute(kernel, silent_cell(flag), wait=False)
    for each in (server, second):
        each.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": None})
    stays("the app", 2.5 * LIMIT, lambda: space.status == "InService")
    ended = time.monotonic()
    flag.unlink()
    server.wait_for("the app goes", lambda: space.status == "Deleted", 90)
    assert time.monotonic() - ended > 0.8 * LIMIT

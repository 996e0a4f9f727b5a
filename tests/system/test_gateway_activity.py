"""What is at work behind a gateway, where only asking shows it: the local Studio's own apps."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from programs import computing_while

from auto_shutdown.local_studio.jupyter_names import image_terminal
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LIMIT = 8.0


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def serve(studio: LocalStudio, **limits: Any) -> JupyterServerApp:
    given = {
        "metadata_path": str(studio.metadata_path),
        "min_idle_timeout_minutes": 0.05,
        "idle_timeout_minutes": LIMIT / 60,
        "grace_minutes": 0.01,
        "warn_minutes": 0,
        "poll_interval_seconds": 0.5,
        **limits,
    }
    return studio.start_server({"AutoShutdown": given})


def resource(server: JupyterServerApp, ref_id: str) -> dict[str, Any]:
    found = (r for r in server.status()["resources"] if r["id"] == ref_id)
    return next(found, {})


def open_notebook(server: JupyterServerApp, path: str) -> str:
    """Open one, and wait until it is in the report: what was never seen has not gone."""
    kernel = server.open_notebook(path)
    server.wait_for("it is seen", lambda: resource(server, kernel))
    return kernel


def the_app(server: JupyterServerApp) -> dict[str, Any]:
    """The report's one app. It is listed a pass after its first kernel, at times."""

    def found() -> dict[str, Any] | None:
        return next((r for r in server.status()["resources"] if r["kind"] == "app"), None)

    app: dict[str, Any] = server.wait_for("the app is listed", found)
    return app


def test_a_silent_thread_behind_a_gateway(studio: LocalStudio, tmp_path: Path) -> None:
    """And an idle kernel beside it, which our own questions must not keep alive."""
    flag = tmp_path / "compute"
    server = serve(studio)
    working, idle = open_notebook(server, "work.ipynb"), open_notebook(server, "idle.ipynb")
    server.execute(working, computing_while(flag))
    server.execute(idle, "1 + 1")
    begin = time.monotonic()
    server.wait_for("the idle one goes", lambda: not resource(server, idle))
    reason = server.wait_for(
        "work is seen", lambda: (r := resource(server, working))["reason"] != "grace" and r
    )
    assert reason["reason"] == "background-work", reason
    assert "the kernel used" in reason["detail"]
    app = the_app(server)
    assert app["reason"] == "in-use"
    while time.monotonic() - begin < 3 * LIMIT:
        assert resource(server, working), "removed while its thread computes"
        time.sleep(0.2)
    ended = time.monotonic()
    flag.unlink()
    server.wait_for("it goes", lambda: not resource(server, working))
    assert time.monotonic() - ended > LIMIT * 0.6
    server.wait_for("its app, too", lambda: studio.status(app["name"]) == "Deleted")


def test_a_job_in_an_image_terminal_is_seen_by_its_host(studio: LocalStudio) -> None:
    """All cores of this machine at work stand for the app's host."""
    server = serve(studio)
    kernel = open_notebook(server, "beside.ipynb")
    server.execute(kernel, "1 + 1")
    app = the_app(server)
    server.open_terminal(image_terminal("datascience-1.0", "ml.t3.medium"))
    with burning():
        server.wait_for(
            "work is seen",
            lambda: resource(server, app["id"]).get("reason") == "background-work",
        )
        assert "its host used" in resource(server, app["id"])["detail"]
        assert studio.status(app["name"]) == "InService"


@contextlib.contextmanager
def burning() -> Iterator[None]:
    """Two processes at full load."""
    argv = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(argv) for _ in range(2)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_kernel_whose_shell_does_not_answer_is_busy(studio: LocalStudio) -> None:
    """Stopped from outside, as by a debugger: nobody knows whether it runs a cell."""
    server = serve(studio)
    kernel = open_notebook(server, "stopped.ipynb")
    server.execute(kernel, "import os; open('pid', 'w').write(str(os.getpid()))")
    (pid_file,) = studio.root.rglob("pid")
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()
    verdict = server.wait_for(
        "it is busy", lambda: (r := resource(server, kernel))["reason"] == "busy" and r
    )
    assert "Its shell has not answered" in verdict["detail"]
    while time.monotonic() - stopped < 3 * LIMIT:
        assert resource(server, kernel), "removed although its shell does not answer"
        time.sleep(0.2)
    os.kill(pid, signal.SIGCONT)
    continued = time.monotonic()
    server.wait_for("it goes", lambda: not resource(server, kernel))
    assert time.monotonic() - continued > LIMIT * 0.6


def test_a_kernel_held_in_starting_does_not_hold_its_app(studio: LocalStudio) -> None:
    server = serve(studio, startup_grace_minutes=0.2)
    app = studio.create_app()
    stop_when_born(studio)
    row = resource(server, open_notebook(server, "stuck.ipynb"))
    assert (row["state"], row["reason"]) == ("starting", "grace")
    server.wait_for("its app goes", lambda: studio.status(app) in ("Deleting", "Deleted"), 90)


def stop_when_born(studio: LocalStudio) -> None:
    """Stops the next kernel of this Studio before it can say anything."""
    known = {p.pid for p in psutil.process_iter()}

    def watch() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in psutil.process_iter(["cmdline"]):
                line = " ".join(process.info["cmdline"] or [])
                if process.pid not in known and "ipykernel_launcher" in line:
                    process.suspend()
                    return
            time.sleep(0.005)

    threading.Thread(target=watch, daemon=True).start()


def test_input_behind_a_gateway(studio: LocalStudio) -> None:
    """Whoever was asked leaves: it goes a limit later, however busy it calls itself."""
    server = serve(studio)
    kernel = open_notebook(server, "asks.ipynb")
    server.execute(kernel, "1")
    with server.client(kernel) as client:
        client.ask("execute_request", code="input()", silent=False, allow_stdin=True)
        client.hear("input_request")
        server.wait_for("it is seen", lambda: "input()" in resource(server, kernel)["detail"])
        begin = time.monotonic()
        while time.monotonic() - begin < 1.5 * LIMIT:
            assert resource(server, kernel)["reason"] == "busy"
            time.sleep(0.2)
    left = time.monotonic()
    server.wait_for("it goes", lambda: not resource(server, kernel))
    assert time.monotonic() - left > LIMIT * 0.7

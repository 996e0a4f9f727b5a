"""Kernels behind the gateways of the local Studio: only a question to the kernel shows its work."""

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
    """Open one, and wait until its kernel is in the report, so that its absence means a removal."""
    kernel = server.open_notebook(path)
    server.wait_for("it is seen", lambda: resource(server, kernel))
    return kernel


def the_app(server: JupyterServerApp) -> dict[str, Any]:
    """The report's one app. It is listed a pass after its first kernel, at times."""

    def found() -> dict[str, Any] | None:
        return next((r for r in server.status()["resources"] if r["kind"] == "app"), None)

    app: dict[str, Any] = server.wait_for("the app is listed", found)
    return app


def test_remote_kernel_with_silent_thread_is_kept_and_idle_one_is_removed(
    studio: LocalStudio, tmp_path: Path
) -> None:
    """The extension's own questions must not keep the idle kernel beside it."""
    flag = tmp_path / "compute"
    server = serve(studio)
    working = open_notebook(server, "work.ipynb")
    server.execute(working, computing_while(flag))
    idle = open_notebook(server, "idle.ipynb")
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


def test_processor_load_of_the_host_keeps_the_app_of_an_image_terminal(studio: LocalStudio) -> None:
    """All cores of this machine are the host of the app."""
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


def test_remote_kernel_whose_shell_does_not_answer_is_kept_as_busy(studio: LocalStudio) -> None:
    """SIGSTOP freezes it, as a debugger would: nobody knows whether it runs a cell."""
    server = serve(studio)
    kernel = open_notebook(server, "stopped.ipynb")
    server.execute(kernel, "import os; open('pid', 'w').write(str(os.getpid()))")
    (pid_file,) = studio.root.rglob("pid")
    pid = int(pid_file.read_text())
    os.kill(pid, signal.SIGSTOP)
    stopped = time.monotonic()
    verdict = server.wait_for(
        "the report names the silent shell",
        lambda: "Its shell has not answered" in (r := resource(server, kernel))["detail"] and r,
    )
    assert verdict["reason"] == "busy"
    while time.monotonic() - stopped < 3 * LIMIT:
        assert resource(server, kernel), "removed although its shell does not answer"
        time.sleep(0.2)
    continued = time.monotonic()
    os.kill(pid, signal.SIGCONT)
    server.wait_for("the kernel is removed", lambda: not resource(server, kernel))
    assert time.monotonic() - continued > LIMIT * 0.6


def test_kernel_stuck_in_starting_does_not_keep_its_app(studio: LocalStudio) -> None:
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


def test_remote_kernel_waiting_in_input_is_removed_one_limit_after_its_client_left(
    studio: LocalStudio,
) -> None:
    """Its execution_state stays busy, because nobody answers."""
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
    server.wait_for("the kernel is removed", lambda: not resource(server, kernel))
    assert time.monotonic() - left > LIMIT * 0.7

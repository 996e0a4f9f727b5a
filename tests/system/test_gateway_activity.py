"""Kernels behind the gateways of the local Studio: only a query to the kernel shows its work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from programs import computing_while

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
    """Open a notebook, and wait until its kernel is in the report, so that its absence means a
    removal."""
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


def test_job_that_a_cell_left_in_the_app_keeps_the_app_and_a_kernel(studio: LocalStudio) -> None:
    """The job is no longer a child of the kernel. The kernel reports the load of its host."""
    server = serve(studio)
    kernel = open_notebook(server, "leaves.ipynb")
    server.execute(kernel, LEAVE_JOBS)
    app = the_app(server)

    def kept_for_the_jobs(ref_id: str) -> str | None:
        row = resource(server, ref_id)
        return row["detail"] if row["reason"] == "background-work" else None

    seen = server.wait_for("the jobs are seen", lambda: kept_for_the_jobs(app["id"]))
    assert "its host used" in seen
    # After its idle limit: without it, nobody could report the jobs.
    server.wait_for("the idle kernel stays", lambda: kept_for_the_jobs(kernel))
    assert studio.status(app["name"]) == "InService"


#: Starts processes that the end of their shell leaves to process 1. Four, because on a loaded
#: machine one gets less of a core than what counts as work.
LEAVE_JOBS = """
import os, sys
for _ in range(4):
    os.system(f"nohup {sys.executable} -c 'while True: pass' > /dev/null 2>&1 &")
"""


def test_remote_kernel_whose_shell_does_not_answer_is_kept_as_busy(studio: LocalStudio) -> None:
    """SIGSTOP freezes the kernel, as a debugger would. Nobody knows whether it runs a cell."""
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
    stop_next_kernel(studio)
    row = resource(server, open_notebook(server, "stuck.ipynb"))
    assert (row["state"], row["reason"]) == ("starting", "grace")
    server.wait_for("its app goes", lambda: studio.status(app) in ("Deleting", "Deleted"), 90)


def stop_next_kernel(studio: LocalStudio) -> None:
    """Stop the next kernel of this Studio before it can send a message."""
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

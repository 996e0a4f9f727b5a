"""An open tab of a real JupyterLab is not activity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hosts import HOSTS, environment, open_notebook, serve

from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

OLD = HOSTS[0]
LIMITS = {
    "min_idle_timeout_minutes": 0.1,
    "idle_timeout_minutes": 0.4,
    "grace_minutes": 0.05,
    "warn_minutes": 0.02,
    "poll_interval_seconds": 1,
}


def test_an_open_tab_keeps_no_resource(browser: Any, tmp_path: Path) -> None:
    """The tab polls, and is connected to the kernel. Nobody uses it."""
    with LocalStudio(tmp_path) as studio:
        server = studio.start_server(
            {"AutoShutdown": {"metadata_path": str(studio.metadata_path), **LIMITS}}
        )
        kernel = server.open_notebook("left-open.ipynb")
        server.execute(kernel, "1 + 1")
        goes_under_its_tab(server, kernel, browser)


def test_an_old_tab_on_an_old_server_keeps_no_resource(browser: Any, tmp_path: Path) -> None:
    """Before jupyter_server 2.15 the requests of such a tab moved ``last_activity``."""
    server = serve(environment(OLD), OLD.module, tmp_path, **LIMITS)
    try:
        kernel = open_notebook(server, "left-open.ipynb")
        server.execute(kernel, "1 + 1")
        goes_under_its_tab(server, kernel, browser)
    finally:
        server.stop()


def goes_under_its_tab(server: JupyterServerApp, kernel: str, browser: Any) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}lab/tree/left-open.ipynb?reset&token={server.token}")
    page.wait_for_selector(".jp-Notebook", timeout=90_000)

    def row() -> dict[str, Any]:
        page.wait_for_timeout(200)  # lets the page go on with what it does by itself
        found: dict[str, Any] = next(
            (r for r in server.status()["resources"] if r["id"] == kernel), {}
        )
        return found

    server.wait_for("the kernel is seen", row)
    connected = server.wait_for("the tab connects", lambda: any("/kernels" in u for u in asked))
    assert connected
    server.wait_for("the kernel goes all the same", lambda: not row(), 180)
    (entry,) = (
        e
        for e in server.request("GET", "auto-shutdown/history")["history"]
        if e["resource"] == kernel
    )
    assert (entry["reason"], entry["outcome"]) == ("idle", "removed")
    assert any("/api/kernels" in url or "/api/sessions" in url for url in asked), "it polled"
    page.close()

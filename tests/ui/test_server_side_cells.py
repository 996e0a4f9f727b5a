"""Cells that the server itself runs for its pages, and a connection class of another make: a silent
cell of ten limits is kept, and its kernel is removed one limit after its end.

jupyter-server-documents replaces ``kernel_websocket_connection_class`` by a class without
``handle_outgoing_message``. With it, as with jupyter-server-nbmodel, a page sends its cells to the
server over HTTP, and the server runs them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hosts import Host, environment, serve, write_notebook
from lab_page import RUN_NOTEBOOK, enter, wait_for_commands
from programs import silent_cell

from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: The idle timeout in seconds, and for how many of them the cells are silent.
LIMIT, SILENT_LIMITS = 2.5, 10

#: A removal may come so much later on a busy machine (seconds).
LATE = 30.0

LAB = ("jupyterlab==4.6.6", "ipykernel")
HOSTS = (
    Host("jupyterlab-4.6-documents", (*LAB, "jupyter-server-documents==0.3.3")),
    Host("jupyterlab-4.6-nbmodel", (*LAB, "jupyter-server-nbmodel==0.2.9")),
)

#: Run code in a kernel as a console does: over a websocket of the page.
EXECUTE = """
  async ([id, code]) => {
    const kernel = jupyterapp.serviceManager.kernels.connectTo({ model: { id, name: 'python3' } });
    await kernel.info;
    kernel.requestExecute({ code });
  }
"""


@dataclass
class Scene:
    """One host, with its page. ``working`` and ``idle`` are kernels, by what runs their cells."""

    name: str
    server: JupyterServerApp
    place: Path
    page: Any = None
    executed: list[str] = field(default_factory=list)
    working: dict[str, str] = field(default_factory=dict)
    idle: dict[str, str] = field(default_factory=dict)

    @property
    def flag(self) -> Path:
        return self.place / "at-work"

    def open_page(self, browser: Any) -> None:
        self.page = browser.new_page()
        self.page.on("request", lambda request: self.executed.append(request.url))
        enter(self.page, self.server)
        wait_for_commands(self.page, "docmanager:open", "notebook:run-all-cells")

    def run_in_page(self, name: str, code: str) -> str:
        """Run a notebook with this cell in the page. Returns the id of its kernel."""
        path = f"{name}.ipynb"
        write_notebook(self.server, path, [code])
        self.page.evaluate(RUN_NOTEBOOK, path)
        sessions = self.server.request("GET", "api/sessions")
        return next(str(s["kernel"]["id"]) for s in sessions if s["path"] == path)

    def start_cells(self) -> None:
        """In the page and over a websocket: a cell that ends, and a silent one."""
        self.idle["page"] = self.run_in_page("idle", "1 + 1")
        self.working["page"] = self.run_in_page("silent", self.silent("page"))
        for kernels, code in ((self.idle, "1 + 1"), (self.working, self.silent("websocket"))):
            kernel = self.server.request("POST", "api/kernels", {"name": "python3"})["id"]
            kernels["websocket"] = kernel
            self.page.evaluate(EXECUTE, [kernel, code])
        for name in self.working:
            self.server.wait_for(f"the cell ({name})", self.runs(name).exists)
        self.server.wait_for("they are seen", lambda: set(self.reasons().values()) == {"busy"})

    def runs(self, name: str) -> Path:
        return self.place / f"{name}.runs"

    def silent(self, name: str) -> str:
        return f"open({str(self.runs(name))!r}, 'w').close()\n{silent_cell(self.flag)}"

    def reasons(self) -> dict[str, str]:
        """Why the kernels of the silent cells are kept; empty for one that is gone."""
        there = self.kernels()
        return {by: there.get(k, {}).get("reason", "") for by, k in self.working.items()}

    def kernels(self) -> dict[str, Any]:
        """The rows of the report, by kernel."""
        self.page.wait_for_timeout(50)  # the page goes on with what it does by itself
        return {r["id"]: r for r in self.server.status()["resources"] if r["kind"] == "kernel"}


@pytest.fixture
def scenes(browser: Any, tmp_path: Path) -> Iterator[list[Scene]]:
    with ExitStack() as stack:
        found = []
        for host in HOSTS:
            place = tmp_path / host.name
            server = serve(
                environment(host),
                host.module,
                place,
                {"LabApp": {"expose_app_in_browser": True}},
                min_idle_timeout_minutes=0.01,
                idle_timeout_minutes=5,
                grace_minutes=0,
                warn_minutes=0,
                poll_interval_seconds=0.3,
            )
            stack.callback(server.stop)
            found.append(Scene(host.name, server, place))
        for scene in found:
            scene.open_page(browser)
            scene.start_cells()
        yield found
        for scene in found:
            scene.page.close()


def test_silent_cells_that_the_server_runs_are_kept_and_their_kernels_go_one_limit_later(
    scenes: list[Scene],
) -> None:
    for scene in scenes:
        assert any("/execute" in url for url in scene.executed), "the page sent it over a websocket"
        scene.server.request(
            "PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": LIMIT / 60}
        )
    begun = time.monotonic()
    idle_are_gone = False
    while not (idle_are_gone and time.monotonic() - begun > SILENT_LIMITS * LIMIT):
        for scene in scenes:
            reasons = scene.reasons()
            assert set(reasons.values()) == {"busy"}, (reasons, scene.server.log[-3000:])
        idle_are_gone = not any(scene.kernels().keys() & scene.idle.values() for scene in scenes)
        assert time.monotonic() - begun < SILENT_LIMITS * LIMIT + LATE, [
            s.kernels() for s in scenes
        ]
    for scene in scenes:
        scene.flag.unlink()
    ended = time.monotonic()
    went: dict[tuple[str, str], float] = {}
    while len(went) < sum(len(scene.working) for scene in scenes):
        for scene in scenes:
            there = scene.kernels()
            for by, kernel in scene.working.items():
                if kernel not in there:
                    went.setdefault((scene.name, by), time.monotonic() - ended)
        assert time.monotonic() - ended < LIMIT + LATE, [s.kernels() for s in scenes]
    print(went)
    assert min(went.values()) > LIMIT * 0.8, went

"""Cells of real notebooks in a real JupyterLab, each silent for ten limits.

JupyterLab and its extensions send requests of their own while a cell runs (``create_subshell``,
``usage_request``, ``debug_request``, ``comm_info``), and each of them ends with a status `idle`.
All scenes run side by side in one server, because most of the time is waiting.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hosts import WIDGETS, environment, serve

from auto_shutdown.local_studio.gateways import Gateway
from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

#: The idle timeout in seconds. Processor time is measured over a quarter of it. The questions of
#: this extension cost a kernel behind a gateway some 50 ms on a busy machine, which would count as
#: work in half a second.
LIMIT_HERE, LIMIT_BEHIND_A_GATEWAY = 2.0, 10.0
#: Each cell is silent for this number of limits.
SILENT_LIMITS = 10
#: After so many limits the second page is loaded anew, and after so many it is closed.
RELOAD_LIMITS, CLOSE_LIMITS = 3, 6

LIMITS = {
    "min_idle_timeout_minutes": 0.01,
    # Until all cells are silent: nothing goes while the notebooks are opened.
    "idle_timeout_minutes": 5,
    "grace_minutes": 0,
    "warn_minutes": 0,
    "poll_interval_seconds": 0.3,
}

KERNEL = "with-widgets"

#: The first cell of each notebook: ``silence()`` lasts while the notebook's flag is there.
PREPARED = """
import asyncio, os, pathlib, time
from IPython.display import display
from ipywidgets import Button, IntProgress
from tqdm.notebook import tqdm
flag, silent = pathlib.Path({flag!r}), pathlib.Path({silent!r})
def bar():
    shown = IntProgress(max=5)
    display(shown)
    for shown.value in range(6): time.sleep(0.05)
def silence():
    silent.touch()
    while flag.exists(): time.sleep(0.3)
"""

BAR_THEN_SILENCE = "bar(); silence()"
CLICKED = """
button = Button(description={name!r})
button.on_click(lambda _: silence())
display(button)
"""
AWAITS = """
bar()
silent.touch()
while flag.exists(): await asyncio.sleep(0.3)
"""


@dataclass
class Scene:
    """A notebook with these ``cells``. ``act`` is what the user does in it. ``page`` names the page
    that shows it."""

    name: str
    cells: tuple[str, ...]
    act: Callable[[Any, Scene], None] = lambda page, scene: run_all(page)
    page: str = "first"
    kernel: str = field(default="", init=False)

    @property
    def path(self) -> str:
        return f"{self.name}.ipynb"


def run_all(page: Any) -> None:
    """Run the cells of the notebook in front, without waiting for their end."""
    page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells') }")


def with_debugger(page: Any, scene: Scene) -> None:
    button = page.locator(".jp-NotebookPanel:visible .jp-DebuggerBugButton")
    button.and_(page.locator("[aria-disabled=false], :not([disabled])")).first.click()
    page.locator(
        ".jp-NotebookPanel:visible .jp-DebuggerBugButton[aria-pressed=true],"
        ".jp-NotebookPanel:visible .jp-DebuggerBugButton.lm-mod-toggled"
    ).first.wait_for()
    run_all(page)


def clicked(page: Any, scene: Scene) -> None:
    """JupyterLab handles the message of a widget in a subshell, so the main shell stays free."""
    run_all(page)
    page.get_by_role("button", name=scene.name, exact=True).click()


def in_a_subshell_console(page: Any, scene: Scene) -> None:
    run_all(page)
    page.evaluate(
        "async () => { await jupyterapp.commands.execute('notebook:create-subshell-console') }"
    )
    code = page.locator(".jp-CodeConsole:visible .jp-CodeConsole-input .cm-content")
    code.click()
    page.keyboard.insert_text("silence()")
    page.keyboard.press("Shift+Enter")


def with_kernel_usage(page: Any, scene: Scene) -> None:
    """The side bar of jupyter-resource-usage asks the kernel of the notebook in front."""
    run_all(page)
    page.click('.jp-SideBar [data-id="kernelusage-panel-id"], [title="Kernel Usage"]')


#: Commands of the page that are used here. They come a moment after the page.
READY = ["docmanager:open", "notebook:run-all-cells", "notebook:create-subshell-console"]

SCENES = [
    Scene("bar-then-a-silent-cell", ("for _ in tqdm(range(20)): time.sleep(0.02)", "silence()")),
    Scene("queue", ("bar()", "time.sleep(1)", BAR_THEN_SILENCE)),
    Scene("awaits", (AWAITS,)),
    Scene("debugger", (BAR_THEN_SILENCE,), with_debugger),
    Scene("clicked", (CLICKED.format(name="clicked"),), clicked),
    Scene("subshell-console", ("bar()",), in_a_subshell_console),
    Scene("reloaded", (BAR_THEN_SILENCE,), page="second"),
    Scene("kernel-usage", (BAR_THEN_SILENCE,), with_kernel_usage),
]
#: Behind a gateway its connection cannot be mended as that of a notebook (see ``open_notebook``).
NOT_BEHIND_A_GATEWAY = "subshell-console"

#: Nothing of it lasts: it goes while the others are at work.
IDLE = Scene("idle", ("bar()", "silent.touch()"))


@pytest.fixture(params=["here", pytest.param("behind a gateway", marks=pytest.mark.soak)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JupyterServerApp]:
    python = environment(WIDGETS)
    config: dict[str, Any] = {"LabApp": {"expose_app_in_browser": True}}
    install_kernel(python, tmp_path / "data")
    gateway = None
    try:
        if request.param != "here":
            install_kernel(python, tmp_path / "apps/app/.local/share/jupyter")
            gateway = Gateway(tmp_path, "app")
            gateway.wait()
            config["GatewayClient"] = {"url": gateway.url}
        server = serve(python, WIDGETS.module, tmp_path, config, **LIMITS)
        try:
            yield server
        finally:
            server.stop()
    finally:
        if gateway is not None:
            gateway.stop()


def install_kernel(python: Path, data: Path) -> None:
    """Install a kernel in the environment that has the widgets, also for a gateway in another
    process."""
    spec = data / "kernels" / KERNEL / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    content = {"argv": argv, "display_name": KERNEL, "language": "python"}
    spec.write_text(json.dumps({**content, "metadata": {"debugger": True}}))


def open_notebook(page: Any, server: JupyterServerApp, scene: Scene, place: Path) -> None:
    """Write the notebook, open it as a user does, and wait until its cell runs silently."""
    flag, silent = place / f"{scene.name}.flag", place / f"{scene.name}.silent"
    flag.touch()
    write_notebook(server, scene, PREPARED.format(flag=str(flag), silent=str(silent)))
    page.evaluate(
        """async path => {
            const { commands, shell } = jupyterapp;
            const opened = await commands.execute('docmanager:open', { path });
            await opened.context.ready;
            await opened.sessionContext.ready;
            // Behind a gateway a new connection now and then carries nothing (jupyter_server 2.21,
            // without this extension, too): a person would load the page again.
            const { kernel } = opened.sessionContext.session;
            const patience = () => new Promise(done => setTimeout(() => done(false), 10000));
            const informed = kernel.info.then(() => true);
            while (!(await Promise.race([informed, patience()]))) void kernel.reconnect();
            shell.activateById(opened.id);
        }""",
        scene.path,
    )
    sessions = server.request("GET", "api/sessions")
    (scene.kernel,) = (s["kernel"]["id"] for s in sessions if s["path"] == scene.path)
    scene.act(page, scene)
    server.wait_for(f"{scene.name} is silent", silent.exists)


def write_notebook(server: JupyterServerApp, scene: Scene, first_cell: str) -> None:
    spec = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
    empty: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    cells = [
        {"cell_type": "code", "source": source, **empty} for source in (first_cell, *scene.cells)
    ]
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    content = {"type": "notebook", "format": "json", "content": notebook}
    server.request("PUT", f"api/contents/{scene.path}", content)


def new_page(browser: Any, server: JupyterServerApp, workspace: str) -> Any:
    page = browser.new_page()
    page.goto(f"{server.url}lab/workspaces/{workspace}?reset&token={server.token}")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
    ready = f"{READY}.every(name => window.jupyterapp.commands.hasCommand(name))"
    page.wait_for_function(f"() => window.jupyterapp && {ready}", timeout=90_000)
    return page


def is_remote(place: Path) -> bool:
    """Whether the kernels are behind a gateway."""
    return (place / "apps").exists()


def test_silent_cells_of_a_real_page_keep_their_kernels(
    browser: Any, server: JupyterServerApp, tmp_path: Path
) -> None:
    limit = LIMIT_BEHIND_A_GATEWAY if is_remote(tmp_path) else LIMIT_HERE
    scenes = [s for s in SCENES if not (is_remote(tmp_path) and s.name == NOT_BEHIND_A_GATEWAY)]
    pages = {name: new_page(browser, server, name) for name in ("first", "second")}

    def is_due(since: float, limits: float) -> bool:
        return time.monotonic() - since > limits * limit

    def kernels() -> dict[str, Any]:
        for page in pages.values():
            page.wait_for_timeout(50)  # the pages go on with what they do by themselves
        return {r["id"]: r for r in server.status()["resources"] if r["kind"] == "kernel"}

    for scene in [*scenes, IDLE]:
        open_notebook(pages[scene.page], server, scene, tmp_path)
    server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": limit / 60})
    silent_since = time.monotonic()
    is_reloaded = idle_went = False
    while not (is_due(silent_since, SILENT_LIMITS) and idle_went):
        there = kernels()
        gone = {scene.name for scene in scenes if scene.kernel not in there}
        assert not gone, f"removed while their cells run; {server.log[-3000:]}"
        # Behind a gateway the page's end ends what is heard; soon the shell is asked.
        unheard = "reloaded" if is_remote(tmp_path) else ""
        seen = {s.name: there[s.kernel]["reason"] for s in scenes if s.name != unheard}
        assert set(seen.values()) == {"busy"}, seen
        idle_went = idle_went or IDLE.kernel not in there
        assert not is_due(silent_since, 5 * SILENT_LIMITS), "the idle kernel stays"
        if not is_reloaded and is_due(silent_since, RELOAD_LIMITS):
            pages["second"].goto(f"{server.url}lab/workspaces/second?token={server.token}")
            is_reloaded = True
        if "second" in pages and is_due(silent_since, CLOSE_LIMITS):
            pages.pop("second").close()
    for scene in scenes:
        (tmp_path / f"{scene.name}.flag").unlink()
    ended = time.monotonic()
    went: dict[str, float] = {}
    while len(went) < len(scenes):
        there = kernels()
        for scene in scenes:
            if scene.kernel not in there:
                went.setdefault(scene.name, time.monotonic() - ended)
        left = {s.name: there[s.kernel]["detail"] for s in scenes if s.name not in went}
        assert time.monotonic() - ended < 90 + limit, left
    assert min(went.values()) > 0.8 * limit, went

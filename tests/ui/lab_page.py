"""The panel as a person finds it, in one page of a lab."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Error as PlaywrightError

from auto_shutdown.local_studio.server import JupyterServerApp

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"

PANEL = "#jupyterlab-auto-shutdown-panel"
TOAST = ".Toastify__toast"

#: Tries to choose a command in the palette, and milliseconds for each step of one.
PALETTE_TRIES = 15
PALETTE_MS = 4_000

#: Pictures are made only where somebody asks for them.
PICTURES = bool(os.environ.get("AUTO_SHUTDOWN_PICTURES"))

#: A page that says of itself whether it can be seen: no browser hides a tab for a test.
HIDEABLE = """
  window.hide = hidden => {
    const value = hidden ? 'hidden' : 'visible';
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => value });
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  };
"""


def opened(
    pages: Any, server: JupyterServerApp, path: str = "lab", panel: bool = True, **how: Any
) -> Any:
    """A new page of ``pages`` (a browser or one of its contexts), by default with the panel."""
    page = pages.new_page(**how)
    page.add_init_script(HIDEABLE)
    enter(page, server, path)
    if panel:
        open_panel(page)
    return page


def enter(page: Any, server: JupyterServerApp, path: str = "lab") -> None:
    page.goto(f"{server.url}{path}?reset&token={server.token}")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)


def open_panel(page: Any) -> None:
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    page.wait_for_selector(f"{PANEL} .jp-AS-row, {PANEL} p.jp-AS-section")


def run(page: Any, command: str) -> None:
    """Choose a command of ours in the palette, by its label."""
    field = page.locator(".lm-CommandPalette-input:visible").first
    item = page.locator(".lm-CommandPalette-item.lm-mod-active:visible")
    chosen = item.filter(has_text=command).first
    for _ in range(PALETTE_TRIES):
        # The palette closes when the page moves the focus, as it does while a notebook opens.
        page.keyboard.press("Control+Shift+C")
        with contextlib.suppress(PlaywrightError):
            field.wait_for(timeout=PALETTE_MS)
            field.fill(command, timeout=PALETTE_MS)
            chosen.wait_for(timeout=PALETTE_MS)
            field.press("Enter", timeout=PALETTE_MS)
            return
    raise AssertionError(f"the palette does not offer {command}")


def row(page: Any, name: str, reason: str | None = None) -> Any:
    """The row of this name; with ``reason`` once it has that."""
    wanted = f'[data-reason="{reason}"]' if reason else ""
    found = page.locator(f"{PANEL} .jp-AS-row{wanted}", has_text=name).first
    found.wait_for(timeout=60_000)
    return found


def setting(page: Any, name: str) -> Any:
    return page.locator(f'{PANEL} [data-setting="{name}"]')


def health(page: Any) -> Any:
    return page.locator(f"{PANEL} .jp-AS-health")


def toasts(page: Any) -> Any:
    """The notifications that are ours."""
    return page.locator(TOAST).filter(has_text="stop")


def theme(server: JupyterServerApp, name: str) -> None:
    put_settings(server, "@jupyterlab/apputils-extension:themes", {"theme": f"JupyterLab {name}"})


def put_settings(server: JupyterServerApp, plugin: str, values: dict[str, Any]) -> None:
    """The host's own settings, as its settings editor writes them."""
    server.request("PUT", f"lab/api/settings/{plugin}", {"raw": json.dumps(values)})


def quiet_host(server: JupyterServerApp) -> None:
    """No news of Jupyter's: it would lie over what is looked at."""
    put_settings(
        server,
        "@jupyterlab/apputils-extension:notification",
        {"fetchNews": "false", "checkForUpdates": False},
    )


def widen(page: Any, width: int) -> None:
    """Drag the panel's edge until it is so wide."""
    box = page.locator(PANEL).bounding_box()
    edge = box["x"] + box["width"] + 2
    page.mouse.move(edge, 400)
    page.mouse.down()
    page.mouse.move(edge + width - box["width"], 400, steps=4)
    page.mouse.up()


def accessibility(page: Any, selector: str) -> list[str]:
    """What axe finds wrong below ``selector``: one line each, with where it is."""
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("selector => axe.run(selector)", selector)
    return [
        f"{problem['id']}: {node['target']} {node['failureSummary']}"
        for problem in found["violations"]
        for node in problem["nodes"]
    ]


def picture(where: Any, name: str) -> None:
    if PICTURES:
        IMAGES.mkdir(parents=True, exist_ok=True)
        where.screenshot(path=str(IMAGES / f"{name}.png"))

"""The panel in one page of JupyterLab, as a user operates it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from auto_shutdown.local_studio.server import JupyterServerApp

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"

PANEL = "#jupyterlab-auto-shutdown-panel"
TOAST = ".Toastify__toast"

#: How long a command may take to become available in the palette.
PALETTE_SECONDS = 60

#: Type a label into the open palette; once its item is listed first, click it. The palette closes
#: itself at once when it runs a command.
CHOOSE_IN_PALETTE = """
  label => {
    const isShown = node => node.offsetParent !== null;
    const find = (selector, within) => [...within.querySelectorAll(selector)].find(isShown);
    const field = find('.lm-CommandPalette-input', document);
    if (!field) {
      return 'closed';
    }
    if (field.value !== label) {
      field.value = label;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      return 'typed';
    }
    const palette = field.closest('.lm-CommandPalette');
    const item = find('.lm-CommandPalette-item.lm-mod-active', palette);
    if (!item?.textContent.includes(label)) {
      return 'typed';
    }
    item.click();
    return isShown(field) ? 'typed' : 'run';
  }
"""

#: Open a notebook, and run its cells without waiting for their end.
RUN_NOTEBOOK = """
  async path => {
    const { commands, shell } = jupyterapp;
    const opened = await commands.execute('docmanager:open', { path });
    await opened.context.ready;
    await opened.sessionContext.ready;
    await opened.sessionContext.session.kernel.info;
    shell.activateById(opened.id);
    void commands.execute('notebook:run-all-cells');
  }
"""

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


def wait_for_commands(page: Any, *names: str) -> None:
    """Wait until the page has these commands. They come a moment after the page."""
    page.wait_for_function(
        "names => names.every(name => window.jupyterapp?.commands.hasCommand(name))",
        arg=list(names),
    )


def open_panel(page: Any) -> None:
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    page.wait_for_selector(f"{PANEL} .jp-AS-row, {PANEL} p.jp-AS-section")


def run(page: Any, command: str) -> None:
    """Run a command of ours from the palette, by its label. Returns once the command was run.

    The palette closes whenever the page moves the focus, as a notebook does while it opens. It
    ignores a key or click while it is refreshing its list. So each try is one step in the page, and
    the palette is opened again until a try has run the command.
    """
    deadline = time.monotonic() + PALETTE_SECONDS
    while time.monotonic() < deadline:
        state = page.evaluate(CHOOSE_IN_PALETTE, command)
        if state == "run":
            return
        if state == "closed":
            page.keyboard.press("Control+Shift+C")
        page.wait_for_timeout(50)
    raise AssertionError(f"the palette does not offer {command}")


def row(page: Any, name: str, reason: str | None = None) -> Any:
    """The row with this name; if ``reason`` is given, once the row has that reason."""
    wanted = f'[data-reason="{reason}"]' if reason else ""
    found = page.locator(f"{PANEL} .jp-AS-row{wanted}", has_text=name).first
    found.wait_for(timeout=60_000)
    return found


def setting(page: Any, name: str) -> Any:
    return page.locator(f'{PANEL} [data-setting="{name}"]')


def health(page: Any) -> Any:
    return page.locator(f"{PANEL} .jp-AS-health")


def toasts(page: Any) -> Any:
    """The notifications of the extension."""
    return page.locator(TOAST).filter(has_text="stop")


def theme(server: JupyterServerApp, name: str) -> None:
    put_settings(server, "@jupyterlab/apputils-extension:themes", {"theme": f"JupyterLab {name}"})


def put_settings(server: JupyterServerApp, plugin: str, values: dict[str, Any]) -> None:
    """Write the host's own settings as its settings editor does."""
    server.request("PUT", f"lab/api/settings/{plugin}", {"raw": json.dumps(values)})


def quiet_host(server: JupyterServerApp) -> None:
    """Turn off Jupyter's news, which would cover the panel."""
    put_settings(
        server,
        "@jupyterlab/apputils-extension:notification",
        {"fetchNews": "false", "checkForUpdates": False},
    )


def widen(page: Any, width: int) -> None:
    """Drag the edge of the panel until the panel is this wide."""
    box = page.locator(PANEL).bounding_box()
    edge = box["x"] + box["width"] + 2
    page.mouse.move(edge, 400)
    page.mouse.down()
    page.mouse.move(edge + width - box["width"], 400, steps=4)
    page.mouse.up()


def accessibility(page: Any, selector: str) -> list[str]:
    """The violations that axe finds below ``selector``: one line for each, with its place."""
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("selector => axe.run(selector)", selector)
    return [
        f"{problem['id']}: {node['target']} {node['failureSummary']}"
        for problem in found["violations"]
        for node in problem["nodes"]
    ]


def picture(where: Any, name: str, height: float | None = None, around: float = 0) -> None:
    """Make a picture of the element ``where``, or of its upper ``height`` pixels, and of ``around``
    pixels on each side."""
    if PICTURES:
        IMAGES.mkdir(parents=True, exist_ok=True)
        box = where.bounding_box()
        clip = {
            "x": box["x"] - around,
            "y": box["y"],
            "width": box["width"] + 2 * around,
            "height": (height or box["height"]) + around,
        }
        where.page.screenshot(path=str(IMAGES / f"{name}.png"), clip=clip)

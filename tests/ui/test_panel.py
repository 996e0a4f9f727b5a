"""The panel, in a real JupyterLab with a real Chromium: what people see, and what they do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.local_studio.jupyter_names import image_terminal
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PANEL = "#jupyterlab-auto-shutdown-panel"
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def serve(studio: LocalStudio, **traits: Any) -> JupyterServerApp:
    given = {"metadata_path": str(studio.metadata_path), "poll_interval_seconds": 2, **traits}
    return studio.start_server({"AutoShutdown": given})


def opened(browser: Any, server: JupyterServerApp, **how: Any) -> Any:
    """A page of the lab with the panel open."""
    page = browser.new_page(**how)
    page.goto(f"{server.url}lab?reset&token={server.token}")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    page.wait_for_selector(f"{PANEL} .jp-AutoShutdown-health", timeout=60_000)
    return page


def row(page: Any, name: str) -> Any:
    return page.locator(f"{PANEL} .jp-AutoShutdown-row", has_text=name).first


def reason_of(page: Any, name: str, expected: str) -> None:
    selector = f'{PANEL} .jp-AutoShutdown-row[data-reason="{expected}"]'
    page.locator(selector, has_text=name).first.wait_for(timeout=60_000)


def setting(page: Any, name: str) -> Any:
    return page.locator(f'{PANEL} [data-setting="{name}"]')


def test_every_state_has_its_reason_and_can_be_kept(browser: Any, studio: LocalStudio) -> None:
    server = serve(studio)
    kernels = {name: server.open_notebook(f"{name}.ipynb") for name in ("train", "eval", "kept")}
    for kernel in kernels.values():
        server.execute(kernel, "1 + 1")
    server.execute(kernels["train"], "import time; time.sleep(600)", wait=False)
    server.open_terminal(image_terminal("datascience-1.0", "ml.t3.medium"))
    server.open_terminal()
    studio.create_app("pytorch-1.8", "ml.g5.xlarge")
    server.request("POST", "auto-shutdown/check")
    page = opened(browser, server)
    reason_of(page, "train.ipynb", "busy")
    reason_of(page, "eval.ipynb", "recent-activity")
    reason_of(page, "image terminal", "in-use")
    reason_of(page, "pytorch", "recent-activity")
    assert "Watching" in page.inner_text(f"{PANEL} .jp-AutoShutdown-health")
    assert row(page, "train.ipynb").locator("progress").count() == 0, "no countdown for the active"
    assert row(page, "eval.ipynb").locator("progress").count() == 1

    row(page, "kept.ipynb").locator("summary").click()
    row(page, "kept.ipynb").get_by_role("button", name="Keep 4 h").click()
    page.locator(f"{PANEL} .jp-AutoShutdown-row", has_text="kept until").first.wait_for()
    (kept,) = server.request("GET", "auto-shutdown/keep-alive")["keep_alive"]
    assert kept["id"] == kernels["kept"]
    pictures(browser, server)
    row(page, "kept.ipynb").get_by_role("button", name="Release").click()
    server.wait_for(
        "release", lambda: not server.request("GET", "auto-shutdown/keep-alive")["keep_alive"]
    )
    page.close()


def pictures(browser: Any, server: JupyterServerApp) -> None:
    """The README's, light and dark; made only where somebody asks for them."""
    if not os.environ.get("AUTO_SHUTDOWN_PICTURES"):
        return
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in ("Light", "Dark"):
        theme = json.dumps({"raw": json.dumps({"theme": f"JupyterLab {name}"})})
        path = "lab/api/settings/@jupyterlab/apputils-extension:themes"
        server.request("PUT", path, json.loads(theme))
        page = opened(browser, server, device_scale_factor=2)
        page.locator(PANEL).screenshot(path=str(IMAGES / f"panel-{name.lower()}.png"))
        page.close()


def test_shutting_down_asks_first(browser: Any, studio: LocalStudio) -> None:
    server = serve(studio)
    app = studio.create_app("pytorch-1.8", "ml.g5.xlarge")
    server.request("POST", "auto-shutdown/check")  # it may have been listed while it came up
    page = opened(browser, server)
    row(page, "pytorch").locator("summary").click()
    row(page, "pytorch").get_by_role("button", name="Shut down now").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for()
    assert "memory of its kernels is lost" in dialog.inner_text()
    dialog.locator("button.jp-mod-reject").first.click()
    assert studio.status(app) == "InService"
    row(page, "pytorch").get_by_role("button", name="Shut down now").click()
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    server.wait_for("the app goes", lambda: studio.status(app) in ("Deleting", "Deleted"))
    page.close()


def test_settings_are_the_servers(browser: Any, studio: LocalStudio) -> None:
    server = serve(studio, locked=["dry_run"], max_idle_timeout_minutes=480)
    page = opened(browser, server)
    page.locator(f"{PANEL} summary", has_text="Settings").click()
    field = setting(page, "idle_timeout_minutes").locator("input")
    field.fill("90")
    field.blur()

    def user() -> Any:
        return server.request("GET", "auto-shutdown/settings")["user"]

    server.wait_for("the change", lambda: user() == {"idle_timeout_minutes": 90})
    field = setting(page, "idle_timeout_minutes").locator("input")
    field.fill("5000")
    field.blur()
    refused = setting(page, "idle_timeout_minutes").locator('[role="alert"]')
    refused.wait_for(timeout=30_000)
    assert "480" in refused.inner_text()
    assert user() == {"idle_timeout_minutes": 90}
    assert setting(page, "dry_run").locator("input").is_disabled()
    assert "Set by your administrator" in setting(page, "dry_run").inner_text()
    setting(page, "idle_timeout_minutes").get_by_role("button").click()
    server.wait_for("the default again", lambda: user() == {})
    setting(page, "keep_terminals").locator("input").click()
    server.wait_for("the switch", lambda: user() == {"keep_terminals": True})
    server.restart()
    assert user() == {"keep_terminals": True}
    page.close()


def test_a_server_that_is_gone_and_comes_back(browser: Any, studio: LocalStudio) -> None:
    server = serve(studio)
    page = opened(browser, server)
    health = page.locator(f"{PANEL} .jp-AutoShutdown-health")
    server.stop()
    health.get_by_text("The server does not answer").wait_for(timeout=90_000)
    server.restart()
    health.get_by_text("Watching").wait_for(timeout=120_000)
    page.close()

"""The one bundle runs in JupyterLab 3.6 and 4.0 and in Notebook 7. All other tests use the newest
JupyterLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hosts import HOSTS, OLDEST, Host, environment, open_notebook, serve
from lab_page import PANEL, health, row, run, setting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_host_shows_the_panel_its_settings_and_the_message_of_a_notebook(
    host: Host, browser: Any, tmp_path: Path
) -> None:
    try_out(host, browser, tmp_path)


@pytest.mark.soak
def test_oldest_host_shows_the_panel(browser: Any, tmp_path: Path) -> None:
    try_out(OLDEST, browser, tmp_path)


def try_out(host: Host, browser: Any, place: Path) -> None:
    server = serve(environment(host), host.module, place, locked=["dry_run"])
    try:
        kernel = open_notebook(server, "train.ipynb", ["print(6 * 7)"])
        server.execute(kernel, "print(6 * 7)")
        context = browser.new_context(locale="en-GB")
        errors: list[str] = []
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{error.message} {error.stack}"))
        page.goto(f"{server.url}{host.page}train.ipynb?reset&token={server.token}")
        page.wait_for_selector(".jp-Notebook", timeout=90_000)
        # It is starting until a page is connected to it.
        server.wait_for(
            "the kernel", lambda: any(r["due_at"] for r in server.status()["resources"])
        )
        run(page, "Open the Auto Shutdown Panel")
        kept = row(page, "train.ipynb")
        kept.get_by_text("/ 2 h").first.wait_for(timeout=30_000)
        health(page).get_by_text("Watching").wait_for()
        kept.locator(".jp-AS-word").click()
        kept.get_by_role("button", name="Keep train.ipynb for 1 h").click()
        row(page, "train.ipynb", "kept-alive")

        run(page, "Auto Shutdown Settings…")
        field = setting(page, "idle_timeout_minutes").locator("input")
        field.fill("3 h")
        field.press("Enter")
        page.locator(f"{PANEL} .jp-AS-settingsSummary").get_by_text("idle for 3 hours").wait_for()
        settings = server.request("GET", "auto-shutdown/settings")
        assert settings["user"] == {"idle_timeout_minutes": 180}
        assert setting(page, "dry_run").locator("input").is_disabled()

        server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
        page.get_by_role("button", name="Check now").click()
        message = page.locator(".jp-AS-message")
        message.get_by_text("because somebody asked for it").wait_for()
        assert message.bounding_box()["height"] > 20
        message.get_by_role("button", name="Bring back").click()
        message.get_by_text("a new one: run your cells again").wait_for()
        (fresh,) = server.request("GET", "api/kernels")
        assert fresh["id"] != kernel
        message.get_by_role("button", name="Run what had been run…").click()
        page.locator(".jp-Dialog [data-mark=unchanged]").wait_for()
        page.locator(".jp-Dialog button.jp-mod-accept").click()
        message.get_by_text("1 cell was run.").wait_for()
        page.locator(".jp-OutputArea-output", has_text="42").wait_for()
        server.wait_for(
            "nothing is left to bring back",
            lambda: server.request("GET", "auto-shutdown/stopped")["stopped"] == [],
        )
        assert [error for error in errors if "auto-shutdown" in error] == []
        context.close()
    finally:
        server.stop()

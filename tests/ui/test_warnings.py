"""The notification before a stop, its buttons, and the message in the notebook after the stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab_page import (
    IMAGES,
    PANEL,
    PICTURES,
    enter,
    open_panel,
    opened,
    picture,
    put_settings,
    quiet_host,
    row,
    run,
    toasts,
)

from auto_shutdown.local_studio.server import HttpError, JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MESSAGE = ".jp-AS-message"


@pytest.fixture
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path_factory.mktemp("studio")) as found:
        yield found


def serve(studio: LocalStudio, idle: float, warn: float, **traits: Any) -> JupyterServerApp:
    given = {
        "metadata_path": str(studio.metadata_path),
        "poll_interval_seconds": 1,
        "grace_minutes": 0.05,
        "min_idle_timeout_minutes": 0.1,
        "idle_timeout_minutes": idle,
        "warn_minutes": warn,
        **traits,
    }
    server = studio.start_server({"AutoShutdown": given})
    quiet_host(server)
    return server


def kernels(server: JupyterServerApp) -> set[str]:
    return {kernel["id"] for kernel in server.request("GET", "api/kernels")}


def holds(server: JupyterServerApp) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.request("GET", "auto-shutdown/keep-alive")["keep_alive"]
    return found


def write(page: Any, text: str) -> None:
    """Type into the first cell. Only the user or the extension saves it."""
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.type(text)


def content(server: JupyterServerApp, path: str) -> str:
    """The content of the file; empty while the server writes it."""
    try:
        return json.dumps(server.request("GET", f"api/contents/{path}")["content"])
    except HttpError as error:
        if "Unreadable Notebook" not in str(error):
            raise
        return ""


def test_panel_warns_once_and_the_notebook_shows_the_stop(
    browser: Any, studio: LocalStudio
) -> None:
    server = serve(studio, idle=10, warn=9.9)
    put_settings(server, "@jupyterlab/docmanager-extension:plugin", {"autosave": False})
    put_settings(server, "jupyterlab-auto-shutdown:plugin", {"presence": False})
    kernel = server.open_notebook("train.ipynb")
    # Used when both have been seen, so that the clock of both is that of the cell.
    server.wait_for(
        "kernel and app are seen",
        lambda: {"kernel", "app"} <= {r["kind"] for r in server.status()["resources"]},
    )
    server.execute(kernel, "1 + 1")
    context = browser.new_context(locale="en-GB", device_scale_factor=2)
    page = opened(context, server, "lab/tree/train.ipynb", panel=False)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    write(page, "precious = 42")
    other = opened(context, server, panel=False)

    # One notification, whichever of the two pages it is in.
    def shown() -> int:
        page.wait_for_timeout(100)
        return int(toasts(page).count() + toasts(other).count())

    def shown_once() -> bool:
        # Time enough for the other page to show it, too. While the notice moves to another instant,
        # the old notification and the new one may both be there for a moment.
        return {shown() for _ in range(25)} == {1}

    # While the page connects to the kernel, the kernel's clock still moves, and the notice with it.
    server.wait_for("one warning", shown_once)
    first, second = (page, other) if toasts(page).count() else (other, page)
    # A page in the background draws no animation: its text is there, and not yet visible.
    said = toasts(first).first.text_content()
    assert "train.ipynb" in said
    assert "stop at " in said, "what runs in an app goes with it, in one sentence"
    assert " / 10 m" in said, "why"

    # It is where the person looks: that page hidden, the other shows it.
    first.evaluate("hide(true)")
    second.evaluate("hide(false)")
    server.wait_for("it moves", lambda: toasts(first).count() == 0 and toasts(second).count() == 1)
    first.evaluate("hide(false)")
    server.wait_for("one page shows it", lambda: shown() == 1)
    countdown = page.locator(".jp-AS-statusButton.jp-mod-warn")
    countdown.get_by_text("stops in").wait_for()
    if PICTURES:
        toasts(second).first.wait_for()
        second.mouse.move(600, 300)
        box = toasts(second).first.bounding_box()
        second.screenshot(
            path=str(IMAGES / "warning.png"),
            clip={"x": 1280 - 460, "y": box["y"] - 20, "width": 460, "height": 740 - box["y"]},
        )

    # JupyterLab's own panel of what runs lists it, too.
    second.click('.jp-SideBar [data-id="jp-running-sessions"]')
    own = second.locator(".jp-RunningSessions-item:has([data-icon='auto-shutdown:icon'])")
    own.filter(has_text="train.ipynb").wait_for()

    # Saved before its kernel goes, and nothing is closed.
    soon = {"idle_timeout_minutes": 0.3, "warn_minutes": 0.2}
    server.request("PATCH", "auto-shutdown/settings", soon)
    server.wait_for("the save", lambda: "precious = 42" in content(server, "train.ipynb"))
    assert kernel in kernels(server)
    server.wait_for("it is stopped", lambda: kernel not in kernels(server))
    message = page.locator(MESSAGE)
    message.get_by_text("Auto Shutdown stopped the kernel of this notebook").wait_for()
    message.get_by_text("Its app (datascience-1-0) was deleted").wait_for(timeout=60_000)
    said = message.inner_text()
    assert "without activity (the general limit)" in said
    assert "AWS has closed Studio Classic to new apps" in said
    assert page.locator(".jp-Notebook").is_visible()
    server.wait_for("no warning any more", lambda: shown() == 0)
    picture(page.locator(".jp-NotebookPanel"), "stopped", height=190)

    message.get_by_role("button", name="Bring back").click()
    server.wait_for("a new kernel", lambda: kernels(server) - {kernel})
    message.get_by_role("button", name="Run what had been run…").wait_for()
    message.get_by_role("button", name="Close this message").click()
    message.wait_for(state="detached")
    context.close()


def test_user_keeps_a_notebook_with_the_notification_the_command_and_the_panel(
    browser: Any, studio: LocalStudio
) -> None:
    server = serve(studio, idle=10, warn=9.9)
    kernel = server.open_notebook("eval.ipynb")
    server.execute(kernel, "1 + 1")
    server.request("POST", "auto-shutdown/check")
    context = browser.new_context(locale="en-GB")
    page = opened(context, server, "lab/tree/eval.ipynb", panel=False)
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    warning = toasts(page).first
    warning.wait_for(timeout=60_000)
    warning.get_by_role("button", name="Keep 1 h").click()
    (held,) = server.wait_for("the keep-alive", lambda: holds(server))
    assert held["kind"] == "app", "the app, and so what runs in it"
    server.wait_for(
        "the warning is gone", lambda: page.wait_for_timeout(50) or not toasts(page).count()
    )

    server.request("DELETE", f"auto-shutdown/keep-alive?kind=app&id={held['id']}")
    run(page, "Keep the Current Notebook Alive for 1 h")
    (held,) = server.wait_for("the keep-alive", lambda: holds(server))
    assert (held["kind"], held["id"]) == ("kernel", kernel)

    server.request("DELETE", f"auto-shutdown/keep-alive?kind=kernel&id={kernel}")
    open_panel(page)
    page.get_by_role("button", name="Check now").click()
    # What stops with its app says so once, there.
    soon = page.locator(f"{PANEL} .jp-AS-row[data-kind=app] .jp-AS-soon")
    soon.get_by_text("Stops at").wait_for()
    assert row(page, "eval.ipynb").locator(".jp-AS-soon").count() == 0
    soon.get_by_role("button", name="Keep datascience-1-0 for 1 h").click()
    (held,) = server.wait_for("the keep-alive", lambda: holds(server))
    assert held["kind"] == "app"
    context.close()


def test_without_notifications_the_panel_announces(browser: Any, studio: LocalStudio) -> None:
    server = serve(studio, idle=10, warn=9.9)
    put_settings(
        server, "jupyterlab-auto-shutdown:plugin", {"notifications": False, "statusBar": False}
    )
    kernel = server.open_notebook("eval.ipynb")
    server.execute(kernel, "1 + 1")
    server.request("POST", "auto-shutdown/check")
    context = browser.new_context(locale="en-GB")
    page = opened(context, server)
    announced = page.locator(f"{PANEL} .jp-AS-announcement")
    announced.get_by_text("eval.ipynb").wait_for()
    assert toasts(page).count() == 0
    assert page.locator(".jp-AS-statusButton").count() == 0
    # It can be stopped now instead: a dialog says what comes back and what does not.
    stop = announced.get_by_role("button", name="Stop now…")
    stop.click()
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_text("Does not come back: the variables in memory").wait_for()
    dialog.get_by_text("AWS has closed Studio Classic to new apps").wait_for()
    dialog.locator("button.jp-mod-reject").first.click()
    assert kernel in kernels(server)
    # What is used again is not announced any more.
    server.execute(kernel, "import time; time.sleep(60)", wait=False)
    server.request("POST", "auto-shutdown/check")
    page.get_by_role("button", name="Check now").click()
    announced.wait_for(state="detached")
    server.request("POST", f"api/kernels/{kernel}/interrupt")
    stop.click()
    dialog.locator("button.jp-mod-accept").click()
    server.wait_for("it is stopped", lambda: kernel not in kernels(server))
    (entry,) = server.request("GET", "auto-shutdown/stopped")["stopped"]
    assert (entry["resource"], entry["cells"]) == (kernel, 2)
    context.close()


def test_notebook_shows_the_stop_when_the_user_opens_it_the_next_morning(
    browser: Any, studio: LocalStudio
) -> None:
    """The page was closed and the server restarted. The notebook gets a new kernel when the user
    opens it."""
    server = serve(studio, idle=0.2, warn=0.05)
    kernel = server.open_notebook("train.ipynb")
    server.execute(kernel, "1 + 1")
    server.wait_for("it is stopped", lambda: kernel not in kernels(server))
    server.request("PATCH", "auto-shutdown/settings", {"enabled": False})
    server.restart()
    context = browser.new_context(locale="en-GB")
    page = opened(context, server, "lab/tree/train.ipynb", panel=False)
    message = page.locator(MESSAGE)
    message.get_by_text("The kernel that runs now is a new one").wait_for(timeout=60_000)
    assert "Auto Shutdown stopped the kernel of this notebook at" in message.inner_text()
    message.get_by_role("button", name="Close this message").click()
    message.wait_for(state="detached")
    enter(page, server, "lab/tree/train.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    open_panel(page)
    page.locator(f"{PANEL} .jp-AS-removed", has_text="train.ipynb").wait_for()
    assert message.count() == 0, "told once"
    context.close()

"""The panel in each state: it makes no false announcement, acts on the right row, and explains
errors.

The server, the host and the browser are real; the reports are made up (``crowded_report``)."""

from __future__ import annotations

import re
from typing import Any

import crowded_report as crowded
import pytest
from crowded_report import shown
from lab_page import PANEL, accessibility, enter

from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_panel_announces_no_stop_while_nothing_is_stopped(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """This holds in a dry run, while the extension is switched off, while passes fail, and while an
    administrator has stopped all removals."""
    base = quiet_server.status()
    broken = {"source": "cycle", "code": "E", "message": "A pass failed.", "remedy": "Report it."}
    stop = {"source": "stop-switch", "code": "Stopped", "message": "Stopped by the administrator."}
    ways = {
        "dry run": {"policy": {**base["policy"], "dry_run": True}},
        "switched off": {"policy": {**base["policy"], "enabled": False}},
        "failing": {
            "health": {
                **base["health"],
                "state": "failing",
                "faults": [{**broken, "since": base["now"]}],
            }
        },
        "stopped": {
            "health": {
                **base["health"],
                "state": "failing",
                "armed": False,
                "faults": [{**stop, "remedy": "Wait.", "since": base["now"]}],
            }
        },
    }
    page = shown(browser, quiet_server, crowded.states)
    page.get_by_text("Stops at").first.wait_for()
    for way, change in ways.items():
        page.unroute_all()
        crowded.show(page, base, resources=crowded.states, **change)
        with page.expect_response("**/auto-shutdown/check*"):
            page.get_by_role("button", name="Check now").click()
        page.evaluate(DRAWN)
        page.get_by_text("Stops at").first.wait_for(state="detached")
        everything = page.locator(PANEL).evaluate("node => node.outerHTML")
        assert not re.search(r"\b[Ss]tops (at|in|when)", everything), way
        assert page.locator(".jp-AS-status").inner_text() in ("", FAILS), way
        toast = page.locator(".Toastify__toast").filter(has_text="stop").first
        toast.wait_for(state="detached")
    page.locator(PANEL).get_by_text("Nothing is stopped at the moment:").first.wait_for()
    everything = page.locator(PANEL).evaluate("node => node.outerHTML")
    assert "It cannot be stopped: Stopped by the administrator." in everything
    page.close()


FAILS = "Auto Shutdown cannot work"


#: Requests the report, as when the tab is seen again.
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
#: Resolves after the host has drawn what was to be drawn.
DRAWN = """
  new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))
"""


def test_a_click_reaches_the_row_that_was_pressed(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """Rows do not move while the mouse button is pressed. They move after its release."""
    page = shown(browser, quiet_server, crowded.crowd)
    rows = page.locator(f"{PANEL} .jp-AS-row")
    pressed = page.locator(f"{PANEL} .jp-AS-row[data-kind=kernel]").nth(3)
    before, aimed = rows.count(), pressed.get_attribute("data-id")
    removed = page.locator(f"{PANEL} .jp-AS-row[data-kind=kernel]").first.get_attribute("data-id")
    pressed.locator(".jp-AS-word").hover()
    page.mouse.down()
    page.unroute_all()
    crowded.show(
        page,
        quiet_server.status(),
        resources=lambda now: [r for r in crowded.crowd(now) if r["id"] != removed],
        outcomes=crowded.outcomes,
    )
    with page.expect_response("**/auto-shutdown/status*"):
        page.evaluate(REFRESH)
    page.evaluate(DRAWN)
    assert rows.count() == before
    page.mouse.up()
    page.locator(f"{PANEL} .jp-AS-row[data-id='{aimed}'] .jp-AS-details").wait_for()
    page.locator(f"{PANEL} .jp-AS-row[data-id='{removed}']").wait_for(state="detached")
    page.close()


def test_panel_distinguishes_two_notebooks_of_one_name(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """The test reads the row, its tooltip, the dialog, the action of the context menu and the
    accessible names."""
    page = shown(browser, quiet_server, crowded.states)
    for folder in ("a/", "b/"):
        row = page.locator(f"{PANEL} .jp-AS-row", has_text="eval.ipynb").filter(has_text=folder)
        assert row.count() == 1
        name = row.get_by_role("button", name=f"Open eval.ipynb ({folder})")
        assert name.get_attribute("title") == f"{folder}eval.ipynb"
    row = page.locator(f"{PANEL} .jp-AS-row", has_text="eval.ipynb").filter(has_text="b/")
    row.click(button="right")
    menu = page.locator(".lm-Menu")
    items = page.locator(".lm-Menu-item:visible")
    for label in ("Open", "Keep for 1 h", "Keep for 4 h", "Shut down now…"):
        menu.get_by_text(label, exact=True).wait_for()
    assert items.get_by_text("Release", exact=True).count() == 0
    menu.get_by_text("Shut down now…", exact=True).click()
    dialog = page.locator(".jp-Dialog")
    dialog.get_by_text("Shut down eval.ipynb (b/) now?").wait_for()
    dialog.locator("button.jp-mod-reject").first.click()

    page.get_by_role("button", name="Shut down idle…").first.click()
    dialog.get_by_text("Shut down what is idle now?").wait_for()
    texts = dialog.locator("label").all_inner_texts()
    assert any("eval.ipynb (a/): idle" in text for text in texts), texts
    assert not any("train.ipynb" in text for text in texts), "it runs a cell"
    assert any("with report.ipynb" in text for text in texts), "an app names what goes with it"
    # What an app loses is more than what a kernel loses. The dialog says it once.
    assert dialog.inner_text().count("Stopping ends the variables in memory.") == 1
    assert accessibility(page, ".jp-Dialog") == []
    dialog.locator("button.jp-mod-reject").first.click()
    page.get_by_role("button", name="Help").first.click()
    dialog.get_by_text("How Auto Shutdown works").wait_for()
    # The page for users, from the bundle and not from the internet.
    dialog.get_by_role("heading", name="What you lose when something stops").wait_for()
    assert dialog.locator("img").count() == 0
    assert accessibility(page, ".jp-Dialog") == []
    page.close()


def test_panel_shows_why_the_extension_could_not_start(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """The panel shows the server's reason and remedy."""
    page = browser.new_page()
    answer = {"message": "The value of idle_timeout_minutes is no number.", "remedy": "Correct it."}
    page.route("**/auto-shutdown/status*", lambda route: route.fulfill(status=503, json=answer))
    enter(page, quiet_server)
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    health = page.locator(f"{PANEL} .jp-AS-health")
    health.get_by_text(
        "The value of idle_timeout_minutes is no number. Correct it."
    ).first.wait_for()
    page.close()


def test_the_error_dialog_does_not_hold_up_the_panel(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """A request fails because the server has stopped. The panel reports this behind the open
    dialog, and no longer announces a stop."""
    page = shown(browser, quiet_server, crowded.states)
    page.get_by_text("Stops at").first.wait_for()
    page.unroute_all()
    page.route("**/auto-shutdown/**", lambda route: route.abort())
    page.get_by_role("button", name="Check now").click()
    dialog = page.locator(".jp-Dialog", has_text="The server does not answer. Nothing was changed.")
    dialog.wait_for()
    health = page.locator(f"{PANEL} .jp-AS-health")
    health.get_by_text("The server does not answer.").first.wait_for()
    page.get_by_text("Stops at").first.wait_for(state="detached")
    assert dialog.is_visible()
    page.close()

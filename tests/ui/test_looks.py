"""How the panel looks and reads: themes, widths, zoom, many rows, odd names, other languages.

The server, the host and the browser are real; most reports are made up (``crowded_report``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import crowded_report as crowded
import pytest
from hosts import serve
from lab_page import (
    PANEL,
    ROOT,
    accessibility,
    enter,
    open_panel,
    picture,
    put_settings,
    quiet_host,
    theme,
    widen,
)

from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LOCALE = ROOT / "auto_shutdown" / "locale"

#: Rows in which the name and the state lie over each other, or reach out of the panel.
CLASHES = """
  panel => {
    const edge = panel.getBoundingClientRect();
    const found = [];
    for (const line of panel.querySelectorAll('.jp-AS-line')) {
      const boxes = [...line.children].map(node => node.getBoundingClientRect());
      boxes.sort((a, b) => a.left - b.left);
      boxes.forEach((box, n) => {
        const next = boxes[n + 1];
        const over = next && next.left < box.right - 1 &&
          next.top < box.bottom - 1 && box.top < next.bottom - 1;
        if (over || box.right > edge.right + 1 || box.left < edge.left - 1) {
          found.push(line.textContent);
        }
      });
    }
    return found;
  }
"""

#: Whether the buttons of a notice lie side by side in it, each label on one line. They do not yet
#: while the notice moves into the page.
BUTTONS_FIT = """
  notice => {
    const edge = notice.getBoundingClientRect();
    return [...notice.querySelectorAll('.jp-toast-button')].every(button => {
      const box = button.getBoundingClientRect();
      return box.height < 32 && box.left >= edge.left && box.right <= edge.right;
    });
  }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServerApp]:
    place = tmp_path_factory.mktemp("plain")
    found = serve(Path(sys.executable), "jupyterlab", place, poll_interval_seconds=60)
    quiet_host(found)
    yield found
    found.stop()


def shown(pages: Any, server: JupyterServerApp, resources: Any, **how: Any) -> Any:
    """A page with the panel open on a report with these resources."""
    page = pages.new_page(**how)
    crowded.show(page, server.status(), resources=resources, outcomes=crowded.outcomes)
    enter(page, server)
    open_panel(page)
    return page


def no_sideways_scrolling(page: Any) -> None:
    assert page.locator(PANEL).evaluate("node => node.scrollWidth - node.clientWidth") <= 0
    assert page.locator(PANEL).evaluate(CLASHES) == []


@pytest.mark.parametrize("name", ["Light", "Dark", "Dark High Contrast"])
def test_every_state_in_every_theme(browser: Any, server: JupyterServerApp, name: str) -> None:
    """All rows unfolded, all sections open: axe finds nothing wrong."""
    theme(server, name)
    context = browser.new_context(locale="en-GB", device_scale_factor=2)
    page = shown(context, server, crowded.states)
    if name != "Dark High Contrast":
        widen(page, 320)
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.mouse.move(800, 400)
        picture(page.locator(PANEL), f"panel-{name.lower()}")
        page.set_viewport_size({"width": 1280, "height": 720})
    page.locator(f"{PANEL} [data-fold=settings]").click()
    page.locator(f"{PANEL} [data-setting=enabled]").wait_for()
    page.get_by_role("button", name="Filter and sort").click()
    for words in page.locator(f"{PANEL} .jp-AS-word").all():
        words.click()
    page.locator(f"{PANEL} .jp-AS-details").first.wait_for()
    assert accessibility(page, PANEL) == []
    context.close()
    theme(server, "Light")


def test_no_stop_is_announced_where_nothing_stops(browser: Any, server: JupyterServerApp) -> None:
    """Neither under dry run nor switched off nor while passes fail."""
    base = server.status()
    broken = {"source": "cycle", "code": "E", "message": "A pass failed.", "remedy": "Report it."}
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
    }
    page = shown(browser, server, crowded.states)
    page.get_by_text("Stops at").first.wait_for()
    for way, change in ways.items():
        page.unroute_all()
        crowded.show(page, base, resources=crowded.states, **change)
        page.get_by_role("button", name="Check now").click()
        page.get_by_text("Stops at").first.wait_for(state="detached")
        everything = page.locator(PANEL).evaluate("node => node.outerHTML")
        assert not re.search(r"\b[Ss]tops (at|in|when)", everything), way
        assert page.locator(".jp-AS-status").inner_text() in ("", FAILS), way
        toast = page.locator(".Toastify__toast").filter(has_text="stop").first
        toast.wait_for(state="detached")
    page.close()


FAILS = "Auto Shutdown cannot work"


#: Opens the filter and types into it before the host draws again, as happens on a busy machine.
FILTER_AT_ONCE = """
  async ([selector, text]) => {
    document.querySelector(selector).click();
    await null;  // React draws between two events of a browser, the host does not
    for (const key of text) document.execCommand('insertText', false, key);
  }
"""


def test_forty_one_kernels_in_twelve_apps(browser: Any, server: JupyterServerApp) -> None:
    """Nothing is cut off from 250 to 700 px and at 200 % zoom; the settings stay in reach."""
    page = shown(browser, server, crowded.crowd)
    rows = page.locator(f"{PANEL} .jp-AS-row")
    assert rows.count() == 41 + 12
    for width in (250, 400, 700):
        widen(page, width)
        assert page.locator(PANEL).bounding_box()["width"] == pytest.approx(width, abs=12)
        no_sideways_scrolling(page)
    widen(page, 300)
    page.get_by_role("button", name="Settings", exact=True).first.click()
    page.wait_for_function("document.activeElement.closest('[data-setting]') !== null")
    assert page.locator(f"{PANEL} [data-setting=enabled] input").is_visible()

    page.evaluate(FILTER_AT_ONCE, [f"{PANEL} [aria-label='Filter and sort']", "דוח"])
    filter_field = page.locator(f"{PANEL} .jp-AS-filter input")
    assert filter_field.input_value() == "דוח"
    page.wait_for_function("document.querySelectorAll('.jp-AS-row').length < 41")
    assert {"דוח" in row.inner_text() for row in rows.all() if "ipynb" in row.inner_text()} == {
        True
    }
    page.keyboard.press("Escape")
    filter_field.wait_for(state="detached")
    page.locator(f"{PANEL} [data-fold='instance ml.m5.large']").click()
    folded = rows.count()
    assert folded < 41 + 12
    enter(page, server)
    open_panel(page)
    page.locator(f"{PANEL} .jp-AS-row").first.wait_for()
    assert rows.count() == folded, "what is folded is remembered"
    page.close()

    # 200 % zoom: half as many CSS pixels.
    zoomed = shown(
        browser, server, crowded.crowd,
        viewport={"width": 640, "height": 400}, device_scale_factor=2,
    )  # fmt: skip
    no_sideways_scrolling(zoomed)
    zoomed.get_by_role("button", name="Settings", exact=True).first.click()
    zoomed.wait_for_function("document.activeElement.closest('[data-setting]') !== null")
    zoomed.close()


#: Requests the report, as when the tab is seen again.
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"
#: Resolves after the host has drawn what was to be drawn.
DRAWN = """
  new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))
"""


def test_a_click_reaches_the_row_that_was_pressed(browser: Any, server: JupyterServerApp) -> None:
    """Rows stand still while the mouse button is pressed, and move when it is released."""
    page = shown(browser, server, crowded.crowd)
    rows = page.locator(f"{PANEL} .jp-AS-row")
    pressed = page.locator(f"{PANEL} .jp-AS-row[data-kind=kernel]").nth(3)
    before, aimed = rows.count(), pressed.get_attribute("data-id")
    removed = page.locator(f"{PANEL} .jp-AS-row[data-kind=kernel]").first.get_attribute("data-id")
    pressed.locator(".jp-AS-word").hover()
    page.mouse.down()
    page.unroute_all()
    crowded.show(
        page,
        server.status(),
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


def test_two_notebooks_of_one_name(browser: Any, server: JupyterServerApp) -> None:
    """In the row, its tooltip, the dialog, the context menu's action and accessible names."""
    page = shown(browser, server, crowded.states)
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
    assert accessibility(page, ".jp-Dialog") == []
    dialog.locator("button.jp-mod-reject").first.click()
    page.get_by_role("button", name="Help").first.click()
    dialog.get_by_text("How Auto Shutdown works").wait_for()
    # The page for users, from the bundle and not from the internet.
    dialog.get_by_role("heading", name="What you lose when something stops").wait_for()
    assert dialog.locator("img").count() == 0
    assert accessibility(page, ".jp-Dialog") == []
    page.close()


@pytest.mark.parametrize("language", ["de_DE", "ko_KR", "zh_CN"])
def test_in_other_languages(browser: Any, server: JupyterServerApp, language: str) -> None:
    """Every text of the panel, its tooltips and accessible names, and the times."""
    put_settings(server, "@jupyterlab/translation-extension:plugin", {"locale": language})
    path = LOCALE / language / "LC_MESSAGES" / "jupyterlab_auto_shutdown.json"
    catalogue = json.loads(path.read_text())
    page = browser.new_page(locale="en-US")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    report = server.status()
    faults = [crowded.fault(datetime.now(timezone.utc))]
    report["health"] = {**report["health"], "state": "degraded", "faults": faults}
    crowded.show(page, report, resources=crowded.states, outcomes=crowded.outcomes)
    enter(page, server)
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    page.locator(f"{PANEL} .jp-AS-row").first.wait_for()
    # The notice's buttons: each label on one line, and both inside the notice.
    notice = page.locator(".Toastify__toast").first
    notice.get_by_role("button", name=catalogue["Stop now…"][0]).wait_for()
    page.wait_for_function(BUTTONS_FIT, arg=notice.element_handle())
    page.locator(f"{PANEL} [data-fold=settings]").click()
    page.locator(f"{PANEL} [data-setting=enabled]").wait_for()
    for words in page.locator(f"{PANEL} .jp-AS-word").all():
        words.click()
    page.locator(f"{PANEL} .jp-AS-details").first.wait_for()
    widen(page, 250)
    no_sideways_scrolling(page)
    html = page.locator(PANEL).evaluate("node => node.outerHTML")
    for text in ("Billed now", "Recently stopped", "Saved this month", "Check now"):
        assert catalogue[text][0] in html, text
    # Texts with a number, too. Korean and Chinese have only one form for them.
    for text, count in (("%1 failed", 1), ("%1 hour", 2), ("%1 minute", 5)):
        forms = catalogue[text]
        assert forms[0 if count == 1 else -1].replace("%1", str(count)) in html, text
    # The server's own sentences, too.
    for text in ("The previous settings still apply.", "The next pass tries again."):
        assert catalogue[f"server\u0004{text}"][0] in html, text
        assert text not in html
    english = [
        text
        for text, forms in catalogue.items()
        if len(text) > 7 and "%" not in text and text not in forms and text in html
    ]
    assert english == []
    assert not re.search(r"\d [AP]M\b", page.inner_text(PANEL)), "times as the language has them"
    assert any(f"translations/{language}" in url for url in asked), "loaded on demand"
    if language == "de_DE":
        page.locator(f"{PANEL} [data-fold=settings]").click()
        page.mouse.move(800, 400)
    page.close()
    put_settings(server, "@jupyterlab/translation-extension:plugin", {"locale": "default"})


def test_an_extension_that_could_not_start(browser: Any, server: JupyterServerApp) -> None:
    """The panel shows the server's reason and remedy."""
    page = browser.new_page()
    answer = {"message": "The value of idle_timeout_minutes is no number.", "remedy": "Correct it."}
    page.route("**/auto-shutdown/status*", lambda route: route.fulfill(status=503, json=answer))
    enter(page, server)
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]', timeout=60_000)
    health = page.locator(f"{PANEL} .jp-AS-health")
    health.get_by_text(
        "The value of idle_timeout_minutes is no number. Correct it."
    ).first.wait_for()
    page.close()


def test_the_error_dialog_does_not_hold_up_the_panel(
    browser: Any, server: JupyterServerApp
) -> None:
    """A request fails because the server is gone. The panel says so behind the open dialog, and no
    longer announces a stop."""
    page = shown(browser, server, crowded.states)
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

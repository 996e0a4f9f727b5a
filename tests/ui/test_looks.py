"""The appearance of the panel: themes, widths, zoom, many rows, odd names, other languages.

The server, the host and the browser are real; most reports are made up (``crowded_report``)."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import crowded_report as crowded
import pytest
from crowded_report import shown
from lab_page import (
    PANEL,
    ROOT,
    accessibility,
    enter,
    open_panel,
    picture,
    put_settings,
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


#: States of rows that are cut although they contain a number. A command may be of any length.
CUT_NUMBERS = """
  panel => [...panel.querySelectorAll(
    '.jp-AS-word, .jp-AS-why, .jp-AS-time, .jp-AS-price, .jp-AS-count, .jp-AS-soon > span'
  )].filter(node =>
    /\\d/.test(node.textContent) && node.scrollWidth > node.clientWidth &&
    !node.closest('[data-reason="running-job"], [data-reason="vetoed"]')
  ).map(node => node.textContent)
"""

#: How many different places the times of one list begin at.
PLACES_OF_TIMES = """
  panel => new Set([...panel.querySelectorAll('.jp-AS-time')].map(
    node => Math.round(node.getBoundingClientRect().left)
  )).size
"""


def nothing_is_cut(page: Any) -> None:
    assert page.locator(PANEL).evaluate("node => node.scrollWidth - node.clientWidth") <= 0
    assert page.locator(PANEL).evaluate(CLASHES) == []
    assert page.locator(PANEL).evaluate(CUT_NUMBERS) == []


@pytest.mark.parametrize("name", ["Light", "Dark", "Dark High Contrast"])
def test_panel_shows_every_state_in_every_theme(
    browser: Any, quiet_server: JupyterServerApp, name: str
) -> None:
    """All rows are unfolded and all sections are open. Axe finds no violation, and no text is cut
    off."""
    theme(quiet_server, name)
    context = browser.new_context(locale="en-GB", device_scale_factor=2)
    page = shown(context, quiet_server, crowded.states)
    assert page.locator(PANEL).evaluate(PLACES_OF_TIMES) == 1, "today's times and earlier ones"
    widen(page, 250)
    nothing_is_cut(page)
    if name != "Dark High Contrast":
        widen(page, 320)
        page.set_viewport_size({"width": 1280, "height": 1125})
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
    theme(quiet_server, "Light")


#: Opens the filter and types into it before the host draws again, as happens on a busy machine.
FILTER_AT_ONCE = """
  async ([selector, text]) => {
    document.querySelector(selector).click();
    await null;  // React draws between two events of a browser, the host does not
    for (const key of text) document.execCommand('insertText', false, key);
  }
"""


def test_panel_shows_forty_one_kernels_in_twelve_apps(
    browser: Any, quiet_server: JupyterServerApp
) -> None:
    """No text is cut off from 250 to 700 px and at 200 % zoom, and the user can reach the
    settings."""
    page = shown(browser, quiet_server, crowded.crowd)
    rows = page.locator(f"{PANEL} .jp-AS-row")
    assert rows.count() == 41 + 12
    for width in (250, 400, 700):
        widen(page, width)
        assert page.locator(PANEL).bounding_box()["width"] == pytest.approx(width, abs=12)
        nothing_is_cut(page)
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
    enter(page, quiet_server)
    open_panel(page)
    page.locator(f"{PANEL} .jp-AS-row").first.wait_for()
    assert rows.count() == folded, "what is folded is remembered"
    page.close()

    # 200 % zoom: half as many CSS pixels.
    zoomed = shown(
        browser, quiet_server, crowded.crowd,
        viewport={"width": 640, "height": 400}, device_scale_factor=2,
    )  # fmt: skip
    nothing_is_cut(zoomed)
    zoomed.get_by_role("button", name="Settings", exact=True).first.click()
    zoomed.wait_for_function("document.activeElement.closest('[data-setting]') !== null")
    zoomed.close()


#: Sentences of the server in the rows of ``crowded_report``: a resource's parameters, a program and
#: the failed removals of the report and of the audit log.
OF_RESOURCES = (
    "its processes",
    "used %1 of a core",
    "it cannot be reached (%1)",
    "It runs a cell, but has shown no sign of work for %1.",
    "It keeps the app; the administrator's max_busy_minutes could end that.",
    "Deleting app %1 failed: %2.",
    "The server closed the terminal, but its manager still lists it.",
)


#: Every text of an element that people see or hear: texts, tooltips and accessible names.
SHOWN_TEXTS = """
  panel => [panel, ...panel.querySelectorAll('*')].flatMap(node => [
    ...[...node.childNodes].filter(child => child.nodeType === 3).map(child => child.data),
    node.title || '',
    node.getAttribute('aria-label') || '',
    node.value || '',
    node.placeholder || ''
  ].map(String))
"""

ENGLISH_DURATION = re.compile(r"\d ?(s|m|h|d|min|hours?|minutes?|seconds?|days?)(?![\w.-])")


def longest_piece(text: str) -> str:
    """The longest piece of ``text`` between its arguments, which ``|`` marks."""
    return max((piece.strip() for piece in text.split("|")), key=len)


@pytest.mark.parametrize("language", ["de_DE", "ko_KR", "zh_CN"])
def test_panel_speaks_other_languages(
    browser: Any, quiet_server: JupyterServerApp, language: str
) -> None:
    """The test reads every text, tooltip, accessible name and time of the panel."""
    put_settings(quiet_server, "@jupyterlab/translation-extension:plugin", {"locale": language})
    path = LOCALE / language / "LC_MESSAGES" / "jupyterlab_auto_shutdown.json"
    catalogue = json.loads(path.read_text())
    page = browser.new_page(locale="en-US")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    report = quiet_server.status()
    faults = [crowded.fault(datetime.now(timezone.utc))]
    report["health"] = {**report["health"], "state": "degraded", "faults": faults}
    crowded.show(
        page, report, resources=crowded.states, outcomes=crowded.outcomes, programs=crowded.programs
    )
    enter(page, quiet_server)
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
    nothing_is_cut(page)
    assert page.locator(PANEL).evaluate(PLACES_OF_TIMES) == 1
    html = page.locator(PANEL).evaluate("node => node.outerHTML")
    for text in ("Billed now", "Recently stopped", "Saved this month", "Check now"):
        assert catalogue[text][0] in html, text
    # Texts with a number, too. Korean and Chinese have only one form for them.
    for text, count in (("%1 failed", 2), ("%1 hour", 2), ("%1 minute", 5)):
        forms = catalogue[text]
        assert forms[0 if count == 1 else -1].replace("%1", str(count)) in html, text
    # The server's own sentences, too.
    for text in ("The previous settings still apply.", "The next pass tries again."):
        assert catalogue[f"server\u0004{text}"][0] in html, text
        assert text not in html
    for template in OF_RESOURCES:
        translated = re.sub(r"%\d", "|", catalogue[f"server\u0004{template}"][0])
        english_words = re.sub(r"%\d", "|", template)
        assert longest_piece(translated) in html, template
        assert longest_piece(english_words) not in html, template
    english = [
        text
        for text, forms in catalogue.items()
        if len(text) > 7 and "%" not in text and text not in forms and text in html
    ]
    assert english == []
    assert not re.search(r"\d [AP]M\b", page.inner_text(PANEL)), "times as the language has them"
    if language != "de_DE":  # German writes hours and seconds as English does
        shown = [*page.locator(PANEL).evaluate(SHOWN_TEXTS), notice.inner_text()]
        assert [text for text in shown if ENGLISH_DURATION.search(text)] == []
    assert any(f"translations/{language}" in url for url in asked), "loaded on demand"
    if language == "de_DE":
        page.locator(f"{PANEL} [data-fold=settings]").click()
        page.mouse.move(800, 400)
    page.close()
    put_settings(quiet_server, "@jupyterlab/translation-extension:plugin", {"locale": "default"})

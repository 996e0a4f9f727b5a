"""What the panel asks of the server, and what it tells it: counted, in a plain JupyterLab."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import open_notebook, serve
from lab_page import HIDEABLE, enter, health, open_panel, opened, put_settings

from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServerApp]:
    place = tmp_path_factory.mktemp("plain")
    found = serve(Path(sys.executable), "jupyterlab", place, poll_interval_seconds=60)
    open_notebook(found, "train.ipynb")
    yield found
    found.stop()


class Asked:
    """The requests of our bundle from a page."""

    def __init__(self, page: Any) -> None:
        self.all: list[tuple[str, str]] = []
        self.bodies: list[str] = []
        self._open = 0
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        self._page = page

    def _begun(self, request: Any) -> None:
        if "/auto-shutdown/" in request.url:
            self._open += 1
            # Without the number that the host adds against caches.
            path = re.sub(r"[?&]\d+$", "", request.url.split("/auto-shutdown/")[1])
            self.all.append((request.method, path))
            if path == "activity":
                self.bodies.append(str(request.post_data))

    def _ended(self, request: Any) -> None:
        if "/auto-shutdown/" in request.url:
            self._open -= 1

    def wait_for(self, path: str) -> None:
        """Until it was asked for."""
        for _ in range(3000):
            if any(found == path for _, found in self.all):
                return
            self._page.wait_for_timeout(20)
        raise TimeoutError(path)

    def settle(self) -> None:
        """Let what was asked be answered, in real time: the page's own clock stands still."""
        for _ in range(200):
            self._page.wait_for_timeout(10)
            if self._open == 0:
                return

    def pass_minutes(self, minutes: int) -> list[tuple[str, str]]:
        """The requests of so many minutes, by the page's clock."""
        self.all.clear()
        for _ in range(minutes * 6):
            self._page.clock.run_for(10_000)
            self.settle()
        return list(self.all)


def test_ten_quiet_minutes(browser: Any, server: JupyterServerApp) -> None:
    """Seen, not seen, and hidden. The page's clock is ours: ten minutes take seconds."""
    context = browser.new_context()
    context.clock.install()
    page = context.new_page()
    page.add_init_script(HIDEABLE)
    asked = Asked(page)
    enter(page, server)
    # Its last question of a start, which a slow host may be long in coming to.
    asked.wait_for("history?limit=50")
    page.wait_for_timeout(500)
    asked.settle()
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))

    asked.pass_minutes(3)  # what has just begun is not quiet yet
    unseen = asked.pass_minutes(10)
    assert set(unseen) <= {("GET", "status?panel=false")}
    assert 1 <= len(unseen) <= 4, "a glimpse every five minutes"

    page.clock.resume()
    open_panel(page)
    asked.settle()
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    asked.pass_minutes(3)
    seen = asked.pass_minutes(10)
    assert set(seen) <= {("GET", "status")}
    assert 8 <= len(seen) <= 12, "once a minute for somebody who looks"

    page.evaluate("hide(true)")
    assert asked.pass_minutes(10) == [], "nothing while the tab is hidden"
    page.evaluate("hide(false)")
    asked.settle()
    assert asked.all == [("GET", "status")], "and at once when it is seen again"
    context.close()


def test_presence_is_real_input_at_most_once_a_minute_and_can_be_turned_off(
    browser: Any, server: JupyterServerApp
) -> None:
    context = browser.new_context()
    page = opened(context, server, "lab/tree/train.ipynb", panel=False)
    asked = Asked(page)
    page.wait_for_selector(".jp-Notebook")
    page.locator(".jp-Toolbar-kernelStatus, .jp-Notebook-ExecutionIndicator").first.wait_for()

    def presence() -> int:
        asked.settle()
        return sum(path == "activity" for _, path in asked.all)

    # A script is nobody, and an open tab is no input.
    page.evaluate(
        """() => {
          const node = document.querySelector('.jp-Notebook');
          node.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', bubbles: true }));
          node.dispatchEvent(new WheelEvent('wheel', { deltaY: 9, bubbles: true }));
        }"""
    )
    assert presence() == 0
    # Outside of what is open: in the menu bar.
    page.locator("#jp-top-panel, #jp-menu-panel").first.click(position={"x": 900, "y": 8})
    assert presence() == 0
    # A notebook without a kernel yet is nobody's work either; this one has its session.
    server.wait_for("the session", lambda: server.request("GET", "api/sessions"))
    page.wait_for_function(
        "document.querySelector('.jp-Toolbar-kernelName').textContent.includes('Python')"
    )
    # It has been seen for longer than that, and at rest: the end of its start counts, too.
    server.wait_for(
        "the kernel at rest",
        lambda: [k["execution_state"] for k in server.request("GET", "api/kernels")] == ["idle"],
    )
    server.request("POST", "auto-shutdown/check")
    page.locator(".jp-Notebook").click()
    page.keyboard.type("hello")
    page.mouse.wheel(0, 100)
    assert presence() == 1, "once a minute"
    (kernel,) = server.request("GET", "api/kernels")
    assert kernel["id"] in asked.bodies[0]
    report = server.request("POST", "auto-shutdown/check")
    (row,) = (r for r in report["resources"] if r["kind"] == "kernel")
    assert row["signal"] == "presence"

    put_settings(server, "jupyterlab-auto-shutdown:plugin", {"presence": False})
    enter(page, server, "lab/tree/train.ipynb")
    page.wait_for_function(
        "document.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Python')"
    )
    asked.all.clear()
    page.locator(".jp-Notebook").click()
    page.keyboard.type("hello")
    assert presence() == 0
    context.close()
    put_settings(server, "jupyterlab-auto-shutdown:plugin", {})


def test_quiet_after_the_server_is_gone(browser: Any, server: JupyterServerApp) -> None:
    """Ever more rarely, and after an hour not at all. The last test here: it stops the server."""
    context = browser.new_context()
    context.clock.install()
    page = opened(context, server)
    asked = Asked(page)
    server.stop()
    asked.settle()
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    first = asked.pass_minutes(60)
    assert 5 <= len(first) <= 25, "it backs off"
    asked.pass_minutes(10)
    assert asked.pass_minutes(10) == []
    assert "The panel has stopped asking" in health(page).inner_text()
    context.close()

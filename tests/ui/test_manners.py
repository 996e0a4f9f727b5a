"""The test counts the requests of the panel to the server in a plain JupyterLab."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import open_notebook, serve
from lab_page import HIDEABLE, PANEL, enter, health, open_panel, opened, put_settings, row

from auto_shutdown.local_studio.server import JupyterServerApp

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServerApp]:
    place = tmp_path_factory.mktemp("plain")
    found = serve(Path(sys.executable), "jupyterlab", place, poll_interval_seconds=60)
    open_notebook(found, "train.ipynb")
    yield found
    found.stop()


class PanelRequests:
    """The requests of the extension's bundle from a page."""

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
        """Wait until the page has sent this request."""
        for _ in range(3000):
            if any(found == path for _, found in self.all):
                return
            self._page.wait_for_timeout(20)
        raise TimeoutError(path)

    def settle(self) -> None:
        """Wait in real time until the server has answered, because the page's own clock stands
        still."""
        for _ in range(200):
            self._page.wait_for_timeout(10)
            if self._open == 0:
                return

    def pass_minutes(self, minutes: int, step: int = 10_000) -> list[tuple[str, str]]:
        """The requests of so many minutes by the page's clock. The clock moves in steps of so many
        milliseconds, and an answer can arrive between two steps."""
        self.all.clear()
        for _ in range(minutes * 60_000 // step):
            self._page.clock.run_for(step)
            self.settle()
        return list(self.all)


def test_page_loads_less_than_100_kb_at_its_start(browser: Any, server: JupyterServerApp) -> None:
    """The limit also holds with the open panel. The page loads the panel's code when the user opens
    the panel. If the page cannot load that code, the panel reports it and offers another try."""
    context = browser.new_context()
    page = context.new_page()
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))

    def bundle_bytes() -> int:
        page.wait_for_load_state("networkidle")
        ours = [a for a in answers if "jupyterlab-auto-shutdown/static/" in a.url]
        return sum(len(answer.body()) for answer in ours)

    enter(page, server)
    page.wait_for_selector(".jp-AS-statusButton")
    at_start = bundle_bytes()
    assert 20_000 < at_start < 75_000
    page.route("**/static/view.*", lambda route: route.abort())
    page.click('.jp-SideBar [data-id="jupyterlab-auto-shutdown-panel"]')
    failed = page.locator(f"{PANEL} [role=alert]", has_text="could not be loaded")
    failed.wait_for()
    page.unroute("**/static/view.*")
    failed.get_by_role("button", name="Try again").click()
    page.wait_for_selector(f"{PANEL} .jp-AS-row")
    assert at_start + 10_000 < bundle_bytes() < 100_000
    context.close()


def test_panel_polls_rarely_for_ten_quiet_minutes(browser: Any, server: JupyterServerApp) -> None:
    """The panel is visible, then not visible, then its tab is hidden. The test moves the page's
    clock, so ten minutes take seconds."""
    context = browser.new_context()
    context.clock.install()
    page = context.new_page()
    page.add_init_script(HIDEABLE)
    asked = PanelRequests(page)
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
    assert 1 <= len(seen) <= 12, "once a minute at most for somebody who looks"

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
    asked = PanelRequests(page)
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


def test_panel_shows_changes_after_events(browser: Any, server: JupyterServerApp) -> None:
    """Each change appears within seconds, while polling would take a minute. The console stays
    empty."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(HIDEABLE)
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    enter(page, server)
    open_panel(page)
    asked = PanelRequests(page)
    # The first event tells the panel that events arrive; from then on it polls once a minute.
    open_notebook(server, "first.ipynb")
    row(page, "first.ipynb").wait_for(timeout=15_000)
    asked.settle()
    took: dict[str, float] = {}

    def seen(name: str, locator: Any) -> None:
        began = time.monotonic()
        locator.wait_for(timeout=20_000)
        took[name] = round(time.monotonic() - began, 2)

    kernel = open_notebook(server, "live.ipynb")
    seen("kernel started", row(page, "live.ipynb"))
    reason = f'{PANEL} .jp-AS-row[data-id="{kernel}"][data-reason="%s"]'
    # A kernel that no client ever connected to stays "starting" for its server.
    server.execute(kernel, "1 + 1")
    server.execute(kernel, "import time; time.sleep(600)", wait=False)
    seen("cell begun", page.locator(reason % "busy"))
    server.request("POST", f"api/kernels/{kernel}/interrupt")
    seen("cell interrupted", page.locator(reason % "recent-activity"))
    terminal = server.open_terminal()
    seen("terminal opened", row(page, f"terminal {terminal}"))
    server.request("DELETE", f"api/kernels/{kernel}")
    gone = page.locator(f'{PANEL} .jp-AS-row[data-id="{kernel}"]')
    began = time.monotonic()
    gone.wait_for(state="detached", timeout=20_000)
    took["kernel gone"] = round(time.monotonic() - began, 2)
    print("seconds from the answer to the row:", took)

    page.evaluate("hide(true)")
    asked.settle()
    asked.all.clear()
    open_notebook(server, "unseen.ipynb")
    page.wait_for_timeout(2_000)
    assert asked.all == [], "nothing while the tab is hidden, whatever happens"
    page.evaluate("hide(false)")
    row(page, "unseen.ipynb").wait_for(timeout=10_000)
    assert [text for text in said if "auto-shutdown" in text or "auto_shutdown" in text] == []
    context.close()


def test_panel_stops_polling_after_the_server_has_stopped(
    browser: Any, server: JupyterServerApp
) -> None:
    """The panel polls at growing intervals, and not at all after an hour. This is the last test
    here, because it stops the server."""
    context = browser.new_context()
    context.clock.install()
    page = opened(context, server)
    asked = PanelRequests(page)
    server.stop()
    asked.settle()
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    first = asked.pass_minutes(60, step=30_000)
    assert 5 <= len(first) <= 25, "it backs off"
    asked.pass_minutes(10, step=30_000)
    assert asked.pass_minutes(10, step=30_000) == []
    assert "The panel has stopped asking" in health(page).inner_text()
    context.close()

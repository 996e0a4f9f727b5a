"""Measures the time from a change to the row in the panel, in a real browser, and compares it with
JupyterLab's own list of running kernels."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from auto_shutdown.local_studio.server import KernelClient

from .names import TOKEN
from .servers import Server
from .tables import Table, ms

TRIES = 50

#: For how many tries a notebook stays open, so that JupyterLab's own list has the time to show it.
STAYS = 8

#: How many seconds a change may take to appear before the benchmark fails.
DEADLINE_SECONDS = 30.0

#: A script for the page. It records when each row, and each state of a row, first appeared
#: (milliseconds since 1970).
WATCH = """
  window.seen = {};
  const note = key => { window.seen[key] = window.seen[key] || Date.now(); };
  setInterval(() => {
    const text = document.querySelector('#jp-running-sessions')?.textContent ?? '';
    for (const name of text.match(/try-\\d+/g) ?? []) { note(`running ${name}`); }
    const rows = [...document.querySelectorAll('#jupyterlab-auto-shutdown-panel .jp-AS-row')];
    const names = new Set();
    for (const row of rows) {
      const name = (row.textContent.match(/try-\\d+/) ?? [''])[0];
      names.add(name);
      const state = row.dataset.reason === 'busy' ? 'busy' : 'not busy';
      if (state === 'busy') { window.busy = (window.busy ?? new Set()).add(name); }
      note(`${name} row`);
      note(state === 'not busy' && window.busy?.has(name) ? `${name} ended` : `${name} ${state}`);
    }
    window.known = window.known ?? new Set();
    for (const name of window.known) { if (!names.has(name)) { note(`${name} gone`); } }
    names.forEach(name => window.known.add(name));
  }, 10);
"""


class Pages:
    """Two pages: one shows our panel, the other JupyterLab's list of running kernels."""

    def __init__(self, browser: Any, server: Server) -> None:
        self._panel = _page(browser, server, "jupyterlab-auto-shutdown-panel")
        self._list = _page(browser, server, "jp-running-sessions")

    def seen(self, key: str) -> float:
        """When our panel first showed ``key`` (a Unix time in seconds). Raises TimeoutError."""
        return self._seen(self._panel, key, DEADLINE_SECONDS)

    def seen_in_list(self, key: str) -> float:
        return self._seen(self._list, f"running {key}", DEADLINE_SECONDS)

    def _seen(self, page: Any, key: str, seconds: float) -> float:
        found = page.wait_for_function(
            "key => window.seen[key]", arg=key, timeout=seconds * 1000, polling=20
        )
        return float(found.json_value()) / 1000


def _page(browser: Any, server: Server, panel: str) -> Any:
    page = browser.new_page()
    page.goto(f"{server.url}lab?reset&token={TOKEN}")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
    page.click(f'.jp-SideBar [data-id="{panel}"]', timeout=60_000)
    page.wait_for_selector(f"#{panel}", timeout=60_000)
    page.evaluate(WATCH)
    return page


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("no chromium: apt-get install chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def one_try(server: Server, pages: Pages, name: str) -> tuple[str, dict[str, float], float]:
    """One notebook from its start to the end of a cell, by another client than the pages: its
    session, how long each change took to reach the row, and when it was started."""
    body = {"path": f"{name}.ipynb", "name": name, "type": "notebook"}
    took: dict[str, float] = {}
    session = server.post("api/sessions", {**body, "kernel": {"name": "python3"}})
    began = time.time()
    took["a kernel started"] = pages.seen(f"{name} row") - began
    kernel_id = session["kernel"]["id"]
    address = f"{server.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels?token={TOKEN}"
    client = KernelClient(address, 60.0)
    with client:
        asked = client.ask("kernel_info_request")
        client.hear_state("idle", asked)
        time.sleep(0.5)  # a person does not run a cell in the same instant
        code = {"silent": False, "store_history": True, "allow_stdin": False}
        at = time.time()
        asked = client.ask("execute_request", code="import time; time.sleep(1.5)", **code)
        took["a cell begun"] = pages.seen(f"{name} busy") - at
        client.hear_state("idle", asked)
        at = time.time()
        took["a cell ended"] = pages.seen(f"{name} ended") - at
    return session["id"], took, began


def measure(root: Path) -> Table:
    table = Table(
        "From a change to the panel",
        "JupyterLab in a real browser, default settings, the panel in one page and JupyterLab's "
        "list of running kernels in another. Another client makes each change, "
        f"{TRIES} times; the time from its answer to the row on the page. JupyterLab's list shows "
        "no cells.",
        ("change", "median", "90 %", "longest", "JupyterLab's list: median", "longest"),
    )
    config = {
        "ServerApp": {"root_dir": str(root)},
        "LabApp": {"news_url": None},
        "AutoShutdown": {"metadata_path": str(root / "none.json")},
    }
    found: dict[str, list[float]] = {}
    listed: list[float] = []
    open_sessions: list[tuple[str, str, float]] = []
    with Server(root / "liveness", config, module="jupyterlab") as server, chromium() as browser:
        pages = Pages(browser, server.settled())

        def close_oldest() -> None:
            session, name, begin = open_sessions.pop(0)
            listed.append(pages.seen_in_list(name) - begin)
            server.delete(f"api/sessions/{session}")
            at = time.time()
            found.setdefault("a kernel shut down", []).append(pages.seen(f"{name} gone") - at)

        for number in range(TRIES):
            name = f"try-{number:03d}"
            session, took, begin = one_try(server, pages, name)
            open_sessions.append((session, name, begin))
            for change, seconds in took.items():
                found.setdefault(change, []).append(seconds)
            if len(open_sessions) > STAYS:
                close_oldest()
        while open_sessions:
            close_oldest()
        unsignalled = server.get("auto-shutdown/status")["health"]["unsignalled_changes"]
    for change, times in found.items():
        beside = ("-", "-")
        if change == "a kernel started":
            beside = (ms(statistics.median(listed)), ms(max(listed)))
        tenth = statistics.quantiles(times, n=10)[-1]
        table.rows.append(
            (change, ms(statistics.median(times)), ms(tenth), ms(max(times)), *beside)
        )
        table.judge(f"{change}, longest", max(times), 1, "s")
    table.judge("changes that no signal told", unsignalled, 0, "changes")
    return table

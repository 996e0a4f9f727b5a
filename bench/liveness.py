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
from .servers import Account, Server
from .tables import Table, ms

TRIES = 50

#: A notebook stays open for this many tries, so that JupyterLab's own list has time to show it.
OPEN_TRIES = 8

#: How many seconds a change may take to appear before the benchmark fails.
DEADLINE_SECONDS = 30.0

#: How many apps another client creates meanwhile, and the panel's longest wait for a list of apps.
APPS = 10
LIST_SECONDS = 90.0
NEW_APP = "an app created by another client"

#: The longest time (seconds) that a change may take to appear. An app of another client appears
#: after the next ListApps, and an open panel makes that call every 60 seconds.
TARGET_SECONDS = 1.0
NEW_APP_TARGET_SECONDS = 60.0 + TARGET_SECONDS

#: The first numbers in the names of terminals (whose names take no hyphen) and of apps. Kernels
#: count from 0.
TERMINALS_FROM, APPS_FROM = 300, 600

#: A script for the page. It records when each row, and each state of a row, first appeared
#: (milliseconds since 1970).
WATCH = """
  window.seen = {};
  const note = key => { window.seen[key] = window.seen[key] || Date.now(); };
  setInterval(() => {
    const text = document.querySelector('#jp-running-sessions')?.textContent ?? '';
    for (const name of text.match(/try-?\\d+/g) ?? []) { note(`running ${name}`); }
    const rows = [...document.querySelectorAll('#jupyterlab-auto-shutdown-panel .jp-AS-row')];
    const names = new Set();
    for (const row of rows) {
      const name = (row.textContent.match(/try-?\\d+/) ?? [''])[0];
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

    def shown_at(self, key: str, within: float = DEADLINE_SECONDS) -> float:
        """When our panel first showed ``key`` (a Unix time in seconds). Raises TimeoutError after
        ``within`` seconds."""
        return self._shown_at(self._panel, key, within)

    def forget_states(self, name: str) -> None:
        """Let the next busy state of ``name``, and its end, count as new."""
        self._panel.evaluate(
            "name => { window.busy?.delete(name); "
            "for (const state of ['busy', 'not busy', 'ended']) "
            "{ delete window.seen[`${name} ${state}`]; } }",
            name,
        )

    def shown_in_list_at(self, key: str) -> float:
        """When JupyterLab's list first showed the notebook ``key``. Raises TimeoutError."""
        return self._shown_at(self._list, f"running {key}", DEADLINE_SECONDS)

    def _shown_at(self, page: Any, key: str, seconds: float) -> float:
        shown = page.wait_for_function(
            "key => window.seen[key]", arg=key, timeout=seconds * 1000, polling=20
        )
        return float(shown.json_value()) / 1000


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
        raise RuntimeError(
            "This benchmark needs chromium: apt-get install chromium fonts-dejavu-core"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def one_try(server: Server, pages: Pages, name: str) -> tuple[str, dict[str, float], float]:
    """Start a notebook's kernel, run a cell and interrupt another, as a client other than the two
    pages. Returns the id of the session, how many seconds each change took to reach the row, and
    the Unix time of the start."""
    body = {"path": f"{name}.ipynb", "name": name, "type": "notebook"}
    delays: dict[str, float] = {}
    session = server.post("api/sessions", {**body, "kernel": {"name": "python3"}})
    began = time.time()
    delays["a kernel started"] = pages.shown_at(f"{name} row") - began
    kernel_id = session["kernel"]["id"]
    address = f"{server.url.replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels?token={TOKEN}"
    client = KernelClient(address, 60.0)
    with client:
        request = client.ask("kernel_info_request")
        client.hear_state("idle", request)
        time.sleep(0.5)  # a person does not run a cell in the same instant
        code = {"silent": False, "store_history": True, "allow_stdin": False}
        at = time.time()
        request = client.ask("execute_request", code="import time; time.sleep(1.5)", **code)
        delays["a cell begun"] = pages.shown_at(f"{name} busy") - at
        client.hear_state("idle", request)
        at = time.time()
        delays["a cell ended"] = pages.shown_at(f"{name} ended") - at
        pages.forget_states(name)
        request = client.ask("execute_request", code="import time; time.sleep(60)", **code)
        pages.shown_at(f"{name} busy")
        at = time.time()
        server.post(f"api/kernels/{kernel_id}/interrupt")
        delays["a cell interrupted"] = pages.shown_at(f"{name} ended") - at
    return session["id"], delays, began


def open_and_close_terminal(server: Server, pages: Pages, name: str) -> dict[str, float]:
    """Returns how many seconds a new terminal, and its end, took to reach the panel."""
    server.post("api/terminals", {"name": name})
    at = time.time()
    delays = {"a terminal opened": pages.shown_at(f"{name} row") - at}
    server.delete(f"api/terminals/{name}")
    at = time.time()
    delays["a terminal shut down"] = pages.shown_at(f"{name} gone") - at
    return delays


def measure(root: Path) -> Table:
    table = Table(
        "From a change to the panel",
        "JupyterLab runs in a real browser with default settings. One page shows the panel, "
        "another page JupyterLab's own list of running kernels. Another client makes each change "
        f"{TRIES} times, and creates {APPS} apps. The table shows the time from the server's "
        "answer to this client until the page shows the change. JupyterLab's list does not show "
        "cells or apps. No signal reports an app that another client creates: the panel shows it "
        "after the next ListApps.",
        ("change", "median", "90 % within", "longest", "JupyterLab's list: median", "its longest"),
    )
    delays: dict[str, list[float]] = {}
    with (
        Account(0) as account,
        Server(
            root / "liveness", _config(root, account), account.environment, "jupyterlab"
        ) as server,
        chromium() as browser,
    ):
        list_delays = _make_changes(server, Pages(browser, server.settled()), account, delays)
        unsignalled = server.get("auto-shutdown/status")["health"]["unsignalled_changes"]
    for change, seconds in delays.items():
        in_list = ("-", "-")
        if change == "a kernel started":
            in_list = (ms(statistics.median(list_delays)), ms(max(list_delays)))
        p90 = statistics.quantiles(seconds, n=10)[-1]
        table.rows.append(
            (change, ms(statistics.median(seconds)), ms(p90), ms(max(seconds)), *in_list)
        )
        target = NEW_APP_TARGET_SECONDS if change == NEW_APP else TARGET_SECONDS
        table.judge(f"{change}, longest time", max(seconds), target, "s")
    table.judge("changes that no signal reported", unsignalled, 0, "changes")
    return table


def _config(root: Path, account: Account) -> dict[str, Any]:
    return {
        "ServerApp": {"root_dir": str(root)},
        "LabApp": {"news_url": None},
        "AutoShutdown": {"metadata_path": str(root / "none.json"), **account.identity},
    }


def _make_changes(
    server: Server, pages: Pages, account: Account, delays: dict[str, list[float]]
) -> list[float]:
    """Make each change ``TRIES`` times. Adds to ``delays`` how long it took to reach the panel
    (seconds), and returns how long the kernels took to reach JupyterLab's list."""
    list_delays: list[float] = []
    open_sessions: list[tuple[str, str, float]] = []
    created: dict[str, float] = {}

    def add(changes: dict[str, float]) -> None:
        for change, seconds in changes.items():
            delays.setdefault(change, []).append(seconds)

    def close_oldest() -> None:
        session, name, begin = open_sessions.pop(0)
        list_delays.append(pages.shown_in_list_at(name) - begin)
        server.delete(f"api/sessions/{session}")
        at = time.time()
        add({"a kernel shut down": pages.shown_at(f"{name} gone") - at})

    for number in range(TRIES):
        if number % (TRIES // APPS) == 0:
            app = f"try-{APPS_FROM + number}"
            account.create_named(app)
            created[app] = time.time()
        name = f"try-{number:03d}"
        session, changes, begin = one_try(server, pages, name)
        add(changes)
        open_sessions.append((session, name, begin))
        add(open_and_close_terminal(server, pages, f"try{TERMINALS_FROM + number}"))
        if len(open_sessions) > OPEN_TRIES:
            close_oldest()
    while open_sessions:
        close_oldest()
    for app, at in created.items():
        add({NEW_APP: pages.shown_at(f"{app} row", LIST_SECONDS) - at})
    return list_delays

"""A real Chromium, Debian's. The two fixtures of pytest-jupyter that would run for every test do
not go together with playwright's synchronous API, which keeps an event loop running."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import serve
from lab_page import quiet_host

from auto_shutdown.local_studio.server import JupyterServerApp

#: How long a page may take for each thing that a test waits for, in milliseconds.
DEADLINE_MS = 60_000


@pytest.fixture
def jp_asyncio_loop() -> None:
    """Not here."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """Not here."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        message = "no chromium: apt-get install chromium fonts-dejavu-core"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        _set_deadlines(found)
        yield found
        found.close()


def _set_deadlines(browser: Any) -> None:
    """Let each wait in a page of ``browser`` take up to DEADLINE_MS, because tests run side by
    side."""

    def patient(make: Any) -> Any:
        def made(**options: Any) -> Any:
            pages = make(**options)
            pages.set_default_timeout(DEADLINE_MS)
            return pages

        return made

    browser.new_context = patient(browser.new_context)
    browser.new_page = patient(browser.new_page)


@pytest.fixture(scope="module")
def quiet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServerApp]:
    """A plain server that polls once a minute, so that a page shows the results of its own
    requests."""
    place = tmp_path_factory.mktemp("plain")
    found = serve(Path(sys.executable), "jupyterlab", place, poll_interval_seconds=60)
    quiet_host(found)
    yield found
    found.stop()

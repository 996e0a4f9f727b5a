"""A real Chromium, Debian's. The two fixtures of pytest-jupyter that would run for every test do
not go together with playwright's synchronous API, which keeps an event loop running."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest


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
        yield found
        found.close()

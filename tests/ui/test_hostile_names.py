"""The panel shows every name as text, whatever the name contains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_page import PANEL, opened

from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

HTML = '<img src=x onerror="window.owned=1"><b>bold</b>'
SCRIPT = "javascript:window.owned=1//'\"><svg onload=window.owned=1>"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def test_html_in_a_name_is_inert(browser: Any, studio: LocalStudio) -> None:
    """The names are those of a notebook, a terminal and a rule. The panel shows them in rows,
    details, the dialog and the settings."""
    server = studio.start_server(
        {"AutoShutdown": {"metadata_path": str(studio.metadata_path), "poll_interval_seconds": 2}}
    )
    kernel = server.open_notebook(f"{HTML.replace('/', '')}.ipynb")
    for name in (HTML, SCRIPT):
        server.open_terminal(name)
    rule = {"kernel_name": HTML, "idle_timeout_minutes": 60}
    server.request("PATCH", "auto-shutdown/settings", {"rules": [rule]})
    server.request("POST", "auto-shutdown/check")
    page = opened(browser, server)
    page.locator(f"{PANEL} .jp-AS-row", has_text="<img src=x").first.wait_for()
    assert "<svg onload" in page.inner_text(PANEL)
    page.locator(f"{PANEL} [data-fold=settings]").click()
    for words in page.locator(f"{PANEL} .jp-AS-row .jp-AS-word").all():
        words.click()
    button = page.locator(f"{PANEL} .jp-AS-row", has_text="<svg onload").first
    button.locator(".jp-mod-danger").click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for()
    for place in (page.locator(PANEL), dialog):
        assert place.locator("img, svg[onload], b >> text=bold").count() == 0
    page.locator(".jp-Dialog button.jp-mod-warn").click()
    server.wait_for("it goes", lambda: SCRIPT not in str(server.request("GET", "api/terminals")))
    assert page.evaluate("window.owned") is None
    assert kernel in {k["id"] for k in server.request("GET", "api/kernels")}
    page.close()

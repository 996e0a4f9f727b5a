"""The part in the browser loads in a real JupyterLab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

ACTIVATED = "jupyterlab-auto-shutdown is activated."


def test_the_plugin_is_activated(browser: Any, tmp_path: Path) -> None:
    with LocalStudio(tmp_path) as studio:
        server = studio.start_server()
        page = browser.new_page()
        with page.expect_console_message(lambda m: m.text == ACTIVATED, timeout=90_000):
            page.goto(f"{server.url}lab?reset&token={server.token}")
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        assert "JupyterLab" in page.title() or page.query_selector("#jp-main-dock-panel")
        page.close()

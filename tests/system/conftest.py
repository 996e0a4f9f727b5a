"""A real server in this process with limits of seconds, for the tests that need one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_lab import LIMIT, Lab
from short_limits import short_limits


@pytest.fixture
def limits() -> dict[str, float]:
    """Settings that one test changes by parametrization."""
    return {}


@pytest.fixture
def jp_server_config(tmp_path: Path, limits: dict[str, float]) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True}
        },
        "AutoShutdown": short_limits(tmp_path, LIMIT, **limits),
    }


@pytest.fixture
def lab(jp_serverapp: Any, jp_fetch: Any, jp_ws_fetch: Any, jp_asyncio_loop: Any) -> Iterator[Lab]:
    lab = Lab(jp_serverapp, jp_fetch, jp_ws_fetch)
    yield lab
    # The server's own clean-up leaves programs in terminals running.
    with contextlib.suppress(Exception):
        jp_asyncio_loop.run_until_complete(lab.settings["terminal_manager"].terminate_all())

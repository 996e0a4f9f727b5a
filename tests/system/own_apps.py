"""Shared by the tests of spaces and of notebook instances: limits, and requests to a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from auto_shutdown.local_studio.labs import isolated
from auto_shutdown.local_studio.server import HttpError, JupyterServerApp

#: Without containers the extension takes each process of this machine for work in the app.
needs_containers = pytest.mark.skipif(not isolated(), reason="making namespaces is not allowed")

#: Short limits. The notice is long enough for a client that polls to see it.
LIMITS = {
    "min_idle_timeout_minutes": 0.05,
    "idle_timeout_minutes": 0.1,
    "grace_minutes": 0.02,
    "warn_minutes": 0.04,
    "poll_interval_seconds": 1,
}


@contextmanager
def long_timeout(*servers: JupyterServerApp) -> Iterator[None]:
    """Use a long idle timeout in the body. On a busy machine the start of a kernel and its first
    cell can take longer than the short timeout, and the kernel is then removed before the cell."""
    for server in servers:
        server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": 30})
    yield
    for server in servers:
        server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": None})


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def report(server: JupyterServerApp) -> dict[str, Any]:
    """The report. It is empty if the server has ended, because tests wait for that."""
    try:
        return server.status()
    except (OSError, HttpError):
        return {}


def row(server: JupyterServerApp, ref_id: str) -> dict[str, Any]:
    found = (r for r in report(server).get("resources", []) if r["id"] == ref_id)
    return next(found, {})


def history(server: JupyterServerApp) -> list[dict[str, Any]]:
    """The audit log, oldest first."""
    found: list[dict[str, Any]] = server.request("GET", "auto-shutdown/history")["history"]
    return found[::-1]


def announced(server: JupyterServerApp, ref_id: str) -> bool:
    """Whether the server has announced a removal that is not due yet."""
    found = report(server)
    mine = next((r for r in found.get("resources", []) if r["id"] == ref_id), {})
    if mine.get("action") != "keep" or mine.get("due_at") is None or mine["warn_at"] is None:
        return False
    return bool(mine["warn_at"] <= found["now"] < mine["due_at"])

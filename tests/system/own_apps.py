"""What the tests of spaces and of notebook instances share: limits, and what a server says."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from auto_shutdown.local_studio.labs import isolated
from auto_shutdown.local_studio.server import HttpError, JupyterServerApp

#: Without containers whatever this machine does passes for work in the app.
needs_containers = pytest.mark.skipif(not isolated(), reason="making namespaces is not allowed")

#: Short limits; the notice is long enough to be seen by who polls.
LIMITS = {
    "min_idle_timeout_minutes": 0.05,
    "idle_timeout_minutes": 0.1,
    "grace_minutes": 0.02,
    "warn_minutes": 0.04,
    "poll_interval_seconds": 1,
}


def stamp(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def report(server: JupyterServerApp) -> dict[str, Any]:
    """The report; empty once the server is gone, which here is what is waited for."""
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
    """Whether a removal that is still ahead has been announced."""
    found = report(server)
    mine = next((r for r in found.get("resources", []) if r["id"] == ref_id), {})
    if mine.get("action") != "keep" or mine.get("due_at") is None or mine["warn_at"] is None:
        return False
    return bool(mine["warn_at"] <= found["now"] < mine["due_at"])

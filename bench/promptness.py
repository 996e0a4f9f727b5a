"""Measures the time from the moment when an app is due to its DeleteApp, at long poll intervals."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from .servers import Account, Server
from .tables import Table, ms

#: The poll intervals in seconds. Nobody should set one as long as the last.
INTERVALS = (10, 120, 300)

#: The idle limits of the apps in seconds, one rule for each, so that they are due one after
#: another.
LIMITS = (14.0, 15.5, 17.0, 18.5, 20.0)
TYPES = ("ml.t3.medium", "ml.m5.large", "ml.g5.xlarge", "ml.c5.large", "ml.r5.large")


def config(account: Account, interval: int) -> dict[str, Any]:
    rules = [
        {"instance_type": kind, "idle_timeout_minutes": limit / 60}
        for kind, limit in zip(TYPES, LIMITS)
    ]
    return {
        "ServerApp": {"jpserver_extensions": {"auto_shutdown": True}},
        "AutoShutdown": {
            **account.identity,
            "rules": rules,
            "min_idle_timeout_minutes": 0.1,
            "warn_minutes": 0.05,
            "grace_minutes": 0,
            "poll_interval_seconds": interval,
        },
    }


def due_times(server: Server) -> dict[str, float]:
    """When each app is due according to the report: Unix times in seconds, by the app's name."""
    found = server.get("auto-shutdown/status")["resources"]
    return {
        r["name"]: datetime.fromisoformat(r["due_at"].replace("Z", "+00:00")).timestamp()
        for r in found
        if r["kind"] == "app" and r["due_at"] is not None
    }


def delays(root: Path, interval: int) -> list[float]:
    """Seconds from due to DeleteApp, for each app of one server."""
    with (
        Account(0) as account,
        Server(root, config(account, interval), account.environment) as server,
    ):
        names = account.create(TYPES)
        # The extension may have listed the apps before they existed; this check lists them now.
        server.settled().post("auto-shutdown/check")
        due = due_times(server)
        assert set(due) == set(names), f"of {names} only {sorted(due)} are due"
        deadline = time.monotonic() + max(LIMITS) + 30
        while account.api.count("DeleteApp") < len(names) and time.monotonic() < deadline:
            time.sleep(0.1)
        deleted = {
            call.request["AppName"]: call.at
            for call in account.api.calls
            if call.operation == "DeleteApp"
        }
    assert set(deleted) == set(names), f"of {names} only {sorted(deleted)} were deleted"
    return [deleted[name] - due[name] for name in names]


def measure(root: Path) -> Table:
    table = Table(
        "From due to DeleteApp, at any poll interval",
        f"{len(LIMITS)} apps that are due one after another; the time from when the report said "
        "that an app was due to the request that arrived at the SageMaker API on this machine. "
        "Beside it what a tool that looks at intervals only would take: half of one on average, "
        "one at worst.",
        ("poll interval", "median", "longest", "looking at intervals only", "ratio"),
    )
    worst = 0.0
    for interval in INTERVALS:
        found = delays(root / f"promptness-{interval}", interval)
        assert min(found) >= 0, f"removed before it was due: {found}"
        middle, worst = statistics.median(found), max(worst, *found)
        table.rows.append(
            (
                f"{interval} s",
                ms(middle),
                ms(max(found)),
                f"{interval / 2:g} s, {interval} s",
                f"{interval / 2 / middle:.0f}x",
            )
        )
    table.judge("longest from due to DeleteApp", worst, 1, "s")
    return table

"""Measures the time from the moment when an app is due to its DeleteApp, at long poll intervals."""

from __future__ import annotations

import statistics
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from .servers import Account, Server
from .tables import Table, ms

#: The poll intervals in seconds. The last one is longer than any that makes sense in use.
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
    resources = server.get("auto-shutdown/status")["resources"]
    return {
        r["name"]: datetime.fromisoformat(r["due_at"].replace("Z", "+00:00")).timestamp()
        for r in resources
        if r["kind"] == "app" and r["due_at"] is not None
    }


def delays(root: Path, interval: int) -> list[float]:
    """The seconds from the due time of each app of one server to its DeleteApp."""
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
        f"{len(LIMITS)} apps are due one after another. The table shows the time from the due "
        "time in the report to the request at the SageMaker API on this machine. A tool that only "
        "polls sends the request half of its poll interval after the due time on average, and a "
        "whole interval after it at worst.",
        ("poll interval", "median", "longest", "a tool that only polls", "ratio of the medians"),
    )
    worst = 0.0
    for interval in INTERVALS:
        seconds = delays(root / f"promptness-{interval}", interval)
        assert min(seconds) >= 0, f"removed before it was due: {seconds}"
        median, worst = statistics.median(seconds), max(worst, *seconds)
        table.rows.append(
            (
                f"{interval} s",
                ms(median),
                ms(max(seconds)),
                f"{interval / 2:g} s, {interval} s",
                f"{interval / 2 / median:.0f}x",
            )
        )
    table.judge("longest time from due to DeleteApp", worst, 1, "s")
    return table

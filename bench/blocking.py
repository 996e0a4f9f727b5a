"""Measures how long passes and calls to SageMaker block the server's event loop."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from . import passes
from .servers import Account, Server
from .tables import Table, ms

KERNELS, APPS = 100, 100
REPEATS = 3

ROWS = (
    ("nothing", "an idle server"),
    ("passes", f"passes ({KERNELS} kernels, {APPS} apps)"),
    ("first-load", "loading boto3 and the first call, in the worker thread"),
    ("calls", f"further calls to SageMaker ({APPS} apps)"),
    ("load-on-the-loop", "loading boto3 in a handler, as other tools do"),
)


def one_server(root: Path, account: Account, names: tuple[str, ...]) -> dict[str, Any]:
    """Start a server that has not loaded boto3, and measure its event loop during each activity in
    ``names``."""
    config = passes.config(account)
    # Without the metadata file of Studio Classic, because such a server loads boto3 at its start.
    config["AutoShutdown"] = {"metadata_path": str(root / "none.json")}
    environment = passes.environment(account, KERNELS, APPS)
    with Server(root, config, environment) as server:
        server.settled().get("bench/passes?count=3")
        return {name: server.get(f"bench/blocks?during={name}") for name in names}


def measure(root: Path) -> Table:
    table = Table(
        "The longest block of the event loop",
        "A coroutine wakes every millisecond in a real server. A block is the delay of one "
        "wake-up; the time in which other processes used the processor does not count. The first "
        f"rows are medians of {REPEATS} servers, the last row is the median of {REPEATS} others; "
        "the servers of both kinds run in turn.",
        (
            "activity of the server",
            "longest block",
            "99 % are shorter than",
            "duration of the activity",
        ),
    )
    measured: dict[str, list[dict[str, float]]] = {name: [] for name, _ in ROWS}
    of_extension = tuple(name for name, _ in ROWS[:-1])
    with Account(APPS) as account:
        one_server(root / "blocking-compiles", account, of_extension)
        for repeat in range(REPEATS):
            for names in (of_extension, (ROWS[-1][0],)):
                home = root / f"blocking-{repeat}-{names[0]}"
                for name, result in one_server(home, account, names).items():
                    measured[name].append(result)
    longest = {}
    for name, title in ROWS:
        results = measured[name]
        longest[name] = statistics.median(r["longest"] for r in results)
        p99 = statistics.median(r["p99"] for r in results)
        duration = statistics.median(r["seconds"] for r in results)
        table.rows.append((title, ms(longest[name]), ms(p99), ms(duration)))
    for name, title in ROWS[1:-1]:
        table.judge(title, longest[name] * 1000, 5, "ms")
    return table

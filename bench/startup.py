"""Measures how much time and memory the extension adds to the start of a server."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .servers import ROOT, Account, Server
from .tables import Table, ms

REPEATS = 7
APPS = 10

WITHOUT, LOCAL, CLASSIC = "without", "local", "classic"
ROWS = {
    WITHOUT: "without the extension",
    LOCAL: "with the extension, outside SageMaker",
    CLASSIC: "with the extension, on Studio Classic (boto3 loaded)",
}


@dataclass(frozen=True)
class Start:
    """One start: seconds until the first answer, processor seconds until then, and the memory in MB
    after the first pass."""

    seconds: float
    cpu: float
    memory: float


def config(kind: str, account: Account, root: Path) -> dict[str, Any]:
    extensions = {"jupyter_server_terminals": True, "auto_shutdown": kind != WITHOUT}
    settings: dict[str, Any] = {"ServerApp": {"jpserver_extensions": extensions}}
    if kind == CLASSIC:
        settings["AutoShutdown"] = dict(account.identity)
    elif kind == LOCAL:
        settings["AutoShutdown"] = {"metadata_path": str(root / "none.json")}
    return settings


def one_start(kind: str, account: Account, root: Path) -> Start:
    with Server(root, config(kind, account, root), account.environment) as server:
        cpu = processor_seconds(server.process.pid)
        if kind == WITHOUT:
            server.get("api/status")
        else:
            server.settled()
        return Start(server.started_in, cpu, megabytes(server.process.pid))


def processor_seconds(pid: int) -> float:
    """The processor time that all threads of a process have used, in seconds."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def megabytes(pid: int) -> float:
    """The memory of a process in MB (PSS): a page that several processes share counts in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (pss,) = (line for line in lines if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


def measure(root: Path) -> Table:
    table = Table(
        "Start and memory of a server, with and without the extension",
        f"Real servers start one after another, {REPEATS} of each kind in turn. The table shows "
        "medians, and in brackets the median difference from the servers without the extension. "
        "The extension begins after the server's first answer, and loads boto3 in a worker thread.",
        ("server", "first answer after", "processor time until then", "memory"),
    )
    starts_of: dict[str, list[Start]] = {kind: [] for kind in ROWS}
    with Account(APPS) as account:
        one_start(CLASSIC, account, root / "start-compiles")
        for repeat in range(REPEATS):
            for kind, starts in starts_of.items():
                starts.append(one_start(kind, account, root / f"start-{repeat}-{kind}"))
    without = starts_of[WITHOUT]
    for kind, title in ROWS.items():
        starts = starts_of[kind]
        seconds = with_difference([s.seconds for s in starts], [s.seconds for s in without])
        cpu = with_difference([s.cpu for s in starts], [s.cpu for s in without])
        memory = statistics.median(s.memory for s in starts)
        added_mb = memory - statistics.median(s.memory for s in without)
        table.rows.append((title, seconds, cpu, f"{memory:.0f} MB ({added_mb:+.1f})"))
    import_seconds = min(import_alone(root) for _ in range(REPEATS))
    added_cpu = difference([s.cpu for s in starts_of[LOCAL]], [s.cpu for s in without])
    table.judge("processor time added to the start", added_cpu * 1000, 30, "ms")
    table.judge("of which the import (the quickest)", import_seconds * 1000, 15, "ms")
    return table


IMPORT = """
import time, jupyter_server.serverapp, jupyter_server_terminals
begin = time.process_time()
import auto_shutdown.extension
print(time.process_time() - begin)
"""


def import_alone(root: Path) -> float:
    """The processor seconds of importing the extension after the modules that each server loads."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(root / "pycache")}
    argv = [sys.executable, "-c", IMPORT]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=env, cwd=ROOT)
    return float(done.stdout)


def difference(values: Sequence[float], base: Sequence[float]) -> float:
    """The median difference of the pairs."""
    return statistics.median(value - other for value, other in zip(values, base))


def with_difference(values: Sequence[float], base: Sequence[float]) -> str:
    """The median in milliseconds, and in brackets its difference from ``base``."""
    return f"{ms(statistics.median(values))} ({difference(values, base) * 1000:+.0f})"

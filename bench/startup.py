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
    LOCAL: "with it, on a plain host",
    CLASSIC: "with it, on Studio Classic (boto3 loaded)",
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
    found: dict[str, Any] = {"ServerApp": {"jpserver_extensions": extensions}}
    if kind == CLASSIC:
        found["AutoShutdown"] = dict(account.identity)
    elif kind == LOCAL:
        found["AutoShutdown"] = {"metadata_path": str(root / "none.json")}
    return found


def one_start(kind: str, account: Account, root: Path) -> Start:
    with Server(root, config(kind, account, root), account.environment) as server:
        cpu = processor_seconds(server.process.pid)
        if kind == WITHOUT:
            server.get("api/status")
        else:
            server.settled()
        return Start(server.started_in, cpu, megabytes(server.process.pid))


def processor_seconds(pid: int) -> float:
    """Of all threads, in nanoseconds' resolution."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def megabytes(pid: int) -> float:
    """What it has of its own: a shared page counts by its share."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (pss,) = (line for line in lines if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


def measure(root: Path) -> Table:
    table = Table(
        "A server's start and memory, with and without",
        "Real server processes, alternating; medians, and in brackets the median of the "
        f"differences from the server without, pair by pair, {REPEATS} times each. The extension "
        "begins after the server's first answer, and loads boto3 in its worker thread.",
        ("server", "first answer after", "processor until then", "memory"),
    )
    found: dict[str, list[Start]] = {kind: [] for kind in ROWS}
    with Account(APPS) as account:
        one_start(CLASSIC, account, root / "start-compiles")
        for repeat in range(REPEATS):
            for kind, starts in found.items():
                starts.append(one_start(kind, account, root / f"start-{repeat}-{kind}"))
    bare = found[WITHOUT]
    for kind, title in ROWS.items():
        starts = found[kind]
        seconds = beside([s.seconds for s in starts], [s.seconds for s in bare])
        cpu = beside([s.cpu for s in starts], [s.cpu for s in bare])
        memory = statistics.median(s.memory for s in starts)
        more = memory - statistics.median(s.memory for s in bare)
        table.rows.append((title, seconds, cpu, f"{memory:.0f} MB ({more:+.1f})"))
    loading = min(import_alone(root) for _ in range(REPEATS))
    added = difference([s.cpu for s in found[LOCAL]], [s.cpu for s in bare])
    table.judge("added to the start (processor)", added * 1000, 30, "ms")
    table.judge("of it the import, by itself (the quickest)", loading * 1000, 15, "ms")
    return table


IMPORT = """
import time, jupyter_server.serverapp, jupyter_server_terminals
begin = time.process_time()
import auto_shutdown.extension
print(time.process_time() - begin)
"""


def import_alone(root: Path) -> float:
    """Processor time of importing the extension into what a server has loaded anyway."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(root / "pycache")}
    argv = [sys.executable, "-c", IMPORT]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=env, cwd=ROOT)
    return float(done.stdout)


def difference(of: Sequence[float], against: Sequence[float]) -> float:
    return statistics.median(one - other for one, other in zip(of, against))


def beside(of: Sequence[float], against: Sequence[float]) -> str:
    return f"{ms(statistics.median(of))} ({difference(of, against) * 1000:+.0f})"

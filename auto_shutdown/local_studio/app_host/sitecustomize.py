"""Python loads this module in each process of a KernelGateway app (gateways.py sets PYTHONPATH).

A kernel answers ``usage_request`` with the processor time of its host: of the instance that runs
the app. In the local Studio that is the processor time of all processes of the app, instead of all
processes of this machine, which runs tests, servers and other apps, too.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name of the command."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _app() -> int:
    """The first process of the app: leash.py, which adopts what other processes leave behind."""
    pid = os.getpid()
    while pid > 1:
        if b"leash.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
        pid = int(_stat(pid)[1])
    raise RuntimeError("this process does not run in an app of the local Studio")


def _processes(pid: int) -> list[int]:
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += _processes(child)
    return found


class AppHost:
    """The processor time of the app since the previous call of ``cpu_percent``."""

    def __init__(self) -> None:
        self._at = 0.0
        self._spent: dict[int, float] = {}

    def cpu_percent(self, *_: Any, **__: Any) -> float:
        """The average in percent of all cores. The first answer is 0.0, as that of psutil."""
        at, spent = time.monotonic(), {}
        for pid in _processes(_app()):
            with contextlib.suppress(OSError):
                fields = _stat(pid)
                spent[pid] = (int(fields[11]) + int(fields[12])) / _TICKS
        used = sum(max(0.0, now - self._spent.get(pid, 0.0)) for pid, now in spent.items())
        first, elapsed = not self._spent, at - self._at
        self._at, self._spent = at, spent
        cores = psutil.cpu_count() or 1
        return 0.0 if first or not elapsed else round(100 * used / elapsed / cores, 1)


psutil.cpu_percent = AppHost().cpu_percent  # type: ignore[assignment]

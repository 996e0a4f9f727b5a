"""The number of processors that the processes of this host may use together.

A container may have a smaller share of the processors of its machine (``docker run --cpus``, a
limit of Kubernetes). Sources: cgroups(7), and "CPU" in the kernel's documents on control group v2
and on CFS bandwidth control.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


@lru_cache(maxsize=1)
def processors() -> float:
    """The number of processors, as it was when this was called first."""
    if hasattr(os, "sched_getaffinity"):
        count = float(len(os.sched_getaffinity(0)))
    else:
        count = float(os.cpu_count() or 1)
    share = _share_of_container()
    return count if share is None else min(count, share)


def _share_of_container() -> float | None:
    """The processors that the container of this host may use; None without a limit."""
    words = _words("cpu.max")
    if not words:
        words = _words("cpu/cpu.cfs_quota_us") + _words("cpu/cpu.cfs_period_us")
    try:
        quota, period = (int(word) for word in words)
    except ValueError:
        return None  # "max", or no such file
    return quota / period if quota > 0 and period > 0 else None


def _words(name: str) -> list[str]:
    try:
        return (CGROUP / name).read_text().split()
    except OSError:
        return []

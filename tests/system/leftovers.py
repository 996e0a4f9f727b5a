"""Find the processes that a local Studio left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path


def processes_of(root: Path) -> list[int]:
    """All processes that know ``root`` by their command line or environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            known = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
        except OSError:
            continue
        if str(root).encode() in known and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def left_of(root: Path, seconds: float = 60.0) -> list[int]:
    """The processes that still run after they had ``seconds`` to end."""
    deadline = time.monotonic() + seconds
    while processes_of(root) and time.monotonic() < deadline:
        time.sleep(0.1)
    return processes_of(root)

"""A program in a terminal and a kernel of another program, on a host by values."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.outside_programs import Outside, ProgramWatch
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.processes import Process

HOUR = 3600.0
PANE = Process(50, 1, 50, 50, 1, 0.0, "python", session=50, terminal=os.makedev(136, 3))
KERNEL = ForeignKernel(
    Process(60, 59, 60, -1, 1, 0.0, "python3"), Path("/r/kernel-k9.json"), "papermill", {}
)
TABLE = {50: PANE, 60: KERNEL.process}


class Host:
    """The counters and the devices of the programs, by values."""

    def __init__(self) -> None:
        self.readings = {PANE.key: Reading(), KERNEL.process.key: Reading()}
        self.device = (0.0, 0.0)
        self.sockets: dict[int, frozenset[int]] = {}


def quiet_for(watch: ProgramWatch, program_id: str) -> float:
    """For how many seconds a program has shown no sign of work."""
    program = next(p for p in watch.programs if p.id == program_id)
    assert program.quiet_since is not None
    return round((datetime.now(timezone.utc) - program.quiet_since).total_seconds())


def look(watch: ProgramWatch, pane: Process = PANE, connections: Any = ()) -> None:
    watch.look(Outside({**TABLE, 50: pane}, [pane], [KERNEL], frozenset(connections)))

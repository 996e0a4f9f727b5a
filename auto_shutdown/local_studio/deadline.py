"""A time limit that allows for the load of the machine."""

from __future__ import annotations

import os
import time


class Deadline:
    """A limit of ``seconds`` of a machine with a free core for each process that wants one.

    While more processes want to run than there are cores, everything takes longer, so a second
    counts as the share of a core that each process gets. The load average of the last minute gives
    this share; on Linux it includes the processes that wait for a disk.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._last = time.monotonic()

    @property
    def has_passed(self) -> bool:
        """Whether the time is up. Ask it once in each turn of a loop that waits."""
        now = time.monotonic()
        self._left -= (now - self._last) * _share_of_a_core()
        self._last = now
        return self._left <= 0


def _share_of_a_core() -> float:
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # not every system measures it
        return 1.0
    cores = os.cpu_count() or 1
    return cores / load if load > cores else 1.0

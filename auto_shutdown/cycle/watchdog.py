"""Notice a pass that does not end, and name the step that it waits for."""

from __future__ import annotations

import time
from collections.abc import Callable

#: A step of a pass that takes longer than this (seconds) is a fault. Sources and calls to SageMaker
#: have shorter time limits of their own (world/source_reader.py, world/sagemaker.py).
LATE_SECONDS = 60.0

#: A pass whose step has taken longer is cancelled, and the next one begins. No removal is cancelled
#: with it.
GIVE_UP_SECONDS = 300.0


class Watchdog:
    """The step of a pass in progress, and its duration in monotonic seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._step = ""
        self._since: float | None = None

    def step(self, doing: str) -> None:
        """Note that a step begins. ``doing`` describes it ("reading the state files")."""
        self._step, self._since = doing, self._now()

    def pass_ended(self) -> None:
        """Note that no pass is in progress."""
        self._since = None

    @property
    def waiting_for(self) -> str:
        """The step in progress, or the last one."""
        return self._step

    @property
    def seconds(self) -> float:
        """The seconds since the step in progress began; 0 between passes."""
        return 0.0 if self._since is None else self._now() - self._since

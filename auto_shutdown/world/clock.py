"""The wall clock and the monotonic clock of this host, read together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

#: A wall clock that moved by more than this against the monotonic one was stepped (or the host
#: slept, which the monotonic clock does not count). Slewing by NTP stays far below.
STEP = timedelta(seconds=5)


@dataclass(frozen=True)
class Moment:
    """``now`` in aware UTC, and ``monotonic`` in seconds from an arbitrary start."""

    now: datetime
    monotonic: float

    def step_since(self, earlier: Moment) -> timedelta:
        """By how much the wall clock was stepped in between; zero below :data:`STEP`."""
        elapsed = timedelta(seconds=self.monotonic - earlier.monotonic)
        step = self.now - earlier.now - elapsed
        return step if abs(step) >= STEP else timedelta(0)


class Clock:
    """The real clock. Tests use another class with the same method."""

    def read(self) -> Moment:
        return Moment(datetime.now(timezone.utc), time.monotonic())

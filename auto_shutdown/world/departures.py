"""Kernels and terminals that ended a short time ago. Their last use is activity of the app in which
they ran, even if they were both started and ended between two passes."""

from __future__ import annotations

import time

from ..core.model import Departure

#: A snapshot contains a departure for this time (seconds), and at least for this number of passes:
#: the administrator may have set a longer interval between passes.
SHOWN_SECONDS = 900.0
SHOWN_PASSES = 3


class Departures:
    """The departures that one source (of kernels or of terminals) has noted. Old ones are
    dropped."""

    def __init__(self) -> None:
        self._noted: list[tuple[float, int, Departure]] = []
        self._passes = 0

    def note(self, departure: Departure) -> None:
        self._noted.append((time.monotonic(), self._passes, departure))

    def begin_pass(self) -> None:
        self._passes += 1

    @property
    def recent(self) -> tuple[Departure, ...]:
        oldest = time.monotonic() - SHOWN_SECONDS
        self._noted = [
            (at, number, departure)
            for at, number, departure in self._noted
            if at > oldest or self._passes - number < SHOWN_PASSES
        ]
        return tuple(departure for _, _, departure in self._noted)

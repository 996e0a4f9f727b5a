"""Read the administrator's stop switch before each removal, and object while the switch is set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from ..core.decision import Decision
from ..core.faults import Fault
from ..core.formatting import printable
from ..core.ledger import Veto
from ..core.model import Ref
from ..world.stop_switch import Stop, StopSwitch

#: The name that the report shows for the objection.
NAME = "administrator"

#: The answer "not stopped" is valid for this time after its reading began, so that removals due
#: together cost one call.
FRESH = timedelta(seconds=30)

#: It is valid at least for this time after its reading ended. A pass may stop waiting for a slow
#: reading, and the next pass, which uses the answer, first observes everything again. Without this
#: time, an answer that took ``FRESH`` or longer would never be used.
USABLE = timedelta(seconds=15)

#: A switch that stops removals is read again after STOPPED_FOR; a switch that could not be read,
#: after UNKNOWN_FOR.
STOPPED_FOR = timedelta(minutes=5)
UNKNOWN_FOR = timedelta(minutes=1)


class EmergencyStop:
    """Reads the switch when a removal is due, and remembers its answer. After an answer that stops
    removals, it reads the switch also while no removal is due. ``monotonic`` returns monotonic
    seconds."""

    def __init__(self, switch: StopSwitch, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._switch = switch
        self._monotonic = monotonic
        #: When the last reading that ended began, and how long it took.
        self._read_at: datetime | None = None
        self._took = timedelta(0)
        self._stop: Stop | None = None
        self._reading: asyncio.Task[None] | None = None

    def reading(self, removals: Collection[Decision], now: datetime) -> asyncio.Task[None] | None:
        """The reading in progress for which :meth:`objections` would wait; this begins it. None:
        the last answer is valid, or no answer is needed."""
        # While the report shows that removals are stopped, read the switch even if nothing is due.
        # Otherwise the report would not change when the administrator allows removals again.
        if not (removals or self._stop is not None) or self._is_fresh(now):
            return None
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read(now))
        return self._reading

    async def _read(self, now: datetime) -> None:
        began_at = self._monotonic()
        try:
            self._stop, self._read_at = await self._switch.read(), now
            self._took = timedelta(seconds=self._monotonic() - began_at)
        finally:
            self._reading = None

    async def objections(self, removals: Iterable[Decision], now: datetime) -> dict[Ref, Veto]:
        """An objection to each of ``removals`` while the switch is set or cannot be read."""
        decisions = list(removals)
        # A reading that another pass began may be out of date when it ends. Then read once more.
        for _ in range(2):
            reading = self.reading(decisions, now)
            if reading is not None:
                await asyncio.shield(reading)
        if self._stop is None:
            return {}
        text = printable(self._stop.message).rstrip(".")
        return {d.ref: Veto(NAME, text, now + self._lasts()) for d in decisions}

    def _is_fresh(self, now: datetime) -> bool:
        # An answer is out of date, too, if the wall clock was set back behind it.
        return self._read_at is not None and timedelta(0) <= now - self._read_at < self._lasts()

    def _lasts(self) -> timedelta:
        if self._stop is None:
            return max(FRESH, self._took + USABLE)
        return STOPPED_FOR if self._stop.known else UNKNOWN_FOR

    def faults(self, now: datetime) -> list[Fault]:
        """The fault with which the panel and the doctor show that removals are stopped."""
        if self._stop is None:
            return []
        code = "Stopped" if self._stop.known else "Unknown"
        return [
            Fault("stop-switch", code, self._stop.message, self._stop.remedy, now, blocking=True)
        ]

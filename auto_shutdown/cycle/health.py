"""The faults in force: of the world, of the state files and of the passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime

from ..core.faults import derive, settle
from ..core.ledger import Ledger
from ..core.model import Snapshot
from ..core.verdict import Fault
from ..core.words import printable
from .announcer import Announcer

_LATE_REMEDY = (
    "Wait: it goes on when that answers. If it stays, look at what that step needs (a disk, a "
    "gateway, the network), and restart the server."
)


class Health:
    """The faults of one server. Each makes one log line when it begins and one when it is over,
    however many passes lie between. ``standing`` are the faults that last as long as the
    server."""

    def __init__(
        self, log: logging.Logger, standing: tuple[Fault, ...], announcer: Announcer
    ) -> None:
        self._log = log
        self._announcer = announcer
        self._standing = standing
        self._cycle: Fault | None = None
        self._late: Fault | None = None
        self._faults: dict[str, Fault] = {}

    @property
    def faults(self) -> Iterable[Fault]:
        return self._faults.values()

    def settle(
        self, snapshot: Snapshot, ledger: Ledger, others: Iterable[Fault], now: datetime
    ) -> None:
        """Replace the faults after a pass. ``others`` are those that the parts report."""
        found = [*self._standing, *derive(snapshot, ledger, now), *others]
        found += [fault for fault in (self._late or self._cycle,) if fault is not None]
        self._faults, started, over = settle(self._faults, found)
        for fault in started:
            text = f"{fault.source}: {fault.code}: {fault.message} {fault.remedy}"
            self._log.warning("auto_shutdown: %s", printable(text))
            self._announcer.fault(fault, over=False)
        for fault in over:
            self._announcer.fault(fault, over=True)
            self._log.info("auto_shutdown: %s: recovered.", printable(fault.source))

    def pass_ended(self, error: BaseException | None, now: datetime) -> None:
        """A pass was complete (None), or ended with ``error``."""
        self._late = None
        if error is None:
            self._cycle = None
            return
        if isinstance(error, asyncio.CancelledError):
            message = "A pass did not end, and was given up; nothing is removed by it."
            remedy = (
                "See the faults beside this one; if it stays, report this with the server's log."
            )
            self._cycle = Fault("cycle", "PassGivenUp", message, remedy, now, True)
            return
        if self._cycle is None:
            self._log.error("auto_shutdown: a pass failed", exc_info=error)
        message = f"A pass failed ({type(error).__name__}); nothing is removed by it."
        remedy = "Please report this with the server's log."
        self._cycle = Fault("cycle", type(error).__name__, message, remedy, now, True)

    def pass_is_late(self, step: str, seconds: float, now: datetime) -> None:
        """A pass has been in ``step`` for so many ``seconds``, and has not ended."""
        message = (
            f"A pass has been waiting for {seconds:.0f} s: {step}. Nothing is removed meanwhile."
        )
        self._late = Fault("cycle", "PassLate", message, _LATE_REMEDY, now, True)

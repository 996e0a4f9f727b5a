"""The faults in force: of the world, of the state files and of the passes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ..core.faults import Fault, derive, settle
from ..core.formatting import printable
from ..core.ledger import Ledger
from ..core.model import Snapshot
from ..core.translatable import sentence
from .announcer import Announcer

_LATE_REMEDY = sentence(
    "Wait: the pass continues when this step is done. If the fault stays, check what the step "
    "needs (a disk, a gateway, the network), and restart the server."
)


class FaultSource(Protocol):
    """A part of the extension that knows its own faults."""

    def faults(self, now: datetime) -> Iterable[Fault]: ...


class Health:
    """The faults of one server. Each makes one log line when it begins and one when it is over,
    however many passes lie between. ``standing`` are the faults that last as long as the server.
    ``sources`` are the parts that are asked for their faults after each pass."""

    def __init__(
        self,
        log: logging.Logger,
        standing: tuple[Fault, ...],
        announcer: Announcer,
        sources: Sequence[FaultSource] = (),
    ) -> None:
        self._log = log
        self._announcer = announcer
        self._standing = standing
        self._sources = sources
        self._cycle: Fault | None = None
        self._late: Fault | None = None
        self._faults: dict[str, Fault] = {}

    @property
    def faults(self) -> Iterable[Fault]:
        """The faults in force."""
        return self._faults.values()

    def settle(self, snapshot: Snapshot, ledger: Ledger, now: datetime) -> None:
        """Find the faults in force after a pass. Log and announce those that began or ended."""
        current = [*self._standing, *derive(snapshot, ledger, now)]
        current += [fault for source in self._sources for fault in source.faults(now)]
        current += [fault for fault in (self._late or self._cycle,) if fault is not None]
        self._faults, started, over = settle(self._faults, current)
        for fault in started:
            text = f"{fault.source}: {fault.code}: {fault.message} {fault.remedy}"
            self._log.warning("auto_shutdown: %s", printable(text))
            self._announcer.fault(fault, over=False)
        for fault in over:
            self._announcer.fault(fault, over=True)
            self._log.info("auto_shutdown: %s: recovered.", printable(fault.source))

    def pass_ended(self, error: BaseException | None, now: datetime) -> None:
        """Note that a pass was complete (None), or ended with ``error``."""
        self._late = None
        if error is None:
            self._cycle = None
            return
        if isinstance(error, asyncio.CancelledError):
            message = sentence("A pass did not end and was cancelled; it removed nothing more.")
            remedy = sentence(
                "See the other faults. If this fault stays, report it with the server's log."
            )
            self._cycle = Fault("cycle", "PassGivenUp", message, remedy, now, True)
            return
        if self._cycle is None:
            self._log.error("auto_shutdown: a pass failed", exc_info=error)
        message = sentence("A pass failed (%1); it removed nothing more.", type(error).__name__)
        remedy = sentence("Please report this with the server's log.")
        self._cycle = Fault("cycle", type(error).__name__, message, remedy, now, True)

    def pass_is_late(self, step: str, seconds: float, now: datetime) -> None:
        """Note that a pass has been in ``step`` for this many ``seconds``, and has not ended."""
        message = sentence(
            "A pass has been waiting for %1: %2. Nothing is removed meanwhile.",
            timedelta(seconds=seconds),
            step,
        )
        self._late = Fault("cycle", "PassLate", message, _LATE_REMEDY, now, True)

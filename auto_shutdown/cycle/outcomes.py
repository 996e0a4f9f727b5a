"""The outcomes of the last removals, as the report, the server's log and observers show them."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from ..core.decision import Decision
from ..core.formatting import printable
from ..core.model import Kind, Resource
from ..core.outcome import Outcome, Result
from ..core.translatable import sentence
from .announcer import Announcer
from .removal_record import Removal

#: How many outcomes the report carries. The history file has all of them.
OUTCOMES = 50


class Outcomes:
    """The outcomes of one server. ``recent`` holds the entries of the report's ``outcomes``, oldest
    first. ``count`` is the number of outcomes since the server started."""

    def __init__(self, announcer: Announcer, log: logging.Logger) -> None:
        self._announcer = announcer
        self._log = log
        self.recent: deque[dict[str, Any]] = deque(maxlen=OUTCOMES)
        self.count = 0

    def add(self, removal: Removal, outcome: Outcome) -> None:
        """Show ``outcome`` in the report and in the server's log, and tell the observers."""
        reported = removal.reported(outcome)
        self.recent.append(reported)
        self.count += 1
        self._announcer.removal(reported)
        if not outcome.failed:  # a failure becomes a fault, and the fault is logged
            self._log.info("auto_shutdown: %s", printable(removal.log_line(outcome)))

    def failure(self, error: Exception) -> Outcome:
        """The outcome of a removal that raised ``error``, an unexpected one. Logs its traceback."""
        self._log.error("auto_shutdown: removing failed", exc_info=error)
        name = type(error).__name__
        return Outcome(Result.TEMPORARY, sentence("The removal failed: %1.", name), name)


def stale(decision: Decision | None) -> Outcome:
    """The outcome where a second look no longer decides to remove the resource. ``decision`` is the
    decision of that look (None: the resource is no longer listed)."""
    changed = "" if decision is None else f" {decision.detail}"
    return Outcome(Result.STALE, f"It changed just before the removal.{changed}")


def still_there(resource: Resource) -> Outcome:
    """The outcome where the removal call succeeded, and the resource is still listed."""
    if resource.ref.kind is Kind.TERMINAL:
        remedy = sentence(
            "Leave the programs that run in it (exit, Ctrl-D), or end them with kill."
        )
        detail = sentence("The server closed the terminal, but its manager still lists it.")
    else:
        remedy = sentence(
            "See the messages of the kernel manager in the server's log. If the kernel stays, "
            "restart the server."
        )
        detail = sentence("The kernel was shut down, and its manager still lists it.")
    return Outcome(Result.STILL_THERE, detail, "StillThere", remedy)

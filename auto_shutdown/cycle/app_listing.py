"""How often SageMaker is asked for the list of apps.

A thousand users share the undocumented rate of one account. The kernels of an app, which cost
nothing to read, show most of what happens in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.advance import arrivals
from ..core.ledger import Ledger
from ..core.model import Resource

#: Seconds between two calls of ListApps while no panel is open and nothing is due.
EVERY = 15 * 60.0

#: Seconds between two calls while a panel is open, and the least between two calls because a
#: kernel or terminal appeared or left (docs/decisions/003-when-apps-are-listed.md).
AT_MOST_EVERY = 60.0

#: A panel counts as closed when it has not asked for the status for this many seconds. An open
#: panel asks every 90 s, even if no event arrives (labextension/src/behaviour/poller.ts). A hidden
#: panel does not ask.
PANEL_SECONDS = 120.0


class AppListing:
    """The age of the list of apps. All times are monotonic seconds; ``interval`` is the poll
    interval. If the poll interval is longer than a minute, the calls for an open panel are as rare
    as the polls."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._panel_wait = max(AT_MOST_EVERY, interval)
        self._listed_at: float | None = None
        self._failures = 0
        self._asked_at: float | None = None

    def panel_asked(self, at: float) -> None:
        """Note that a panel is open."""
        self._asked_at = at

    def was_made(self, at: float, failed: bool) -> None:
        """Note that ListApps was called at ``at``, and whether that call failed."""
        self._listed_at = at
        self._failures = self._failures + 1 if failed else 0

    def made_at(self, at: float) -> bool:
        """Whether the last call of ListApps was in the pass of ``at``."""
        return self._listed_at == at

    def due_at(self, at: float, shortest_limit: float) -> float:
        """When ListApps is due again, as far as is known at ``at``. ``shortest_limit`` is the
        shortest idle timeout of any app, in seconds."""
        if self._listed_at is None:
            return at
        if self._failures:
            back_off = 2.0 ** min(self._failures - 1, 4)
            return self._listed_at + min(back_off * AT_MOST_EVERY, 16 * self._interval)
        wait = min(EVERY, max(shortest_limit, min(AT_MOST_EVERY, self._interval)))
        if self.is_panel_open(at):
            wait = min(wait, self._panel_wait)
        return self._listed_at + wait

    def is_panel_open(self, at: float) -> bool:
        """Whether a panel has asked for the status recently."""
        return self._asked_at is not None and at - self._asked_at < PANEL_SECONDS

    def is_outdated(self, at: float, ledger: Ledger, resources: Iterable[Resource]) -> bool:
        """Whether a kernel or terminal appeared in an app or left one. Then an app may have been
        created or deleted, too."""
        return (
            not self._failures
            and self._listed_at is not None
            and at - self._listed_at >= min(AT_MOST_EVERY, self._interval)
            and arrivals(ledger, resources)
        )

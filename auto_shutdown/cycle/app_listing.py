"""How often SageMaker is asked for the list of apps.

A thousand users share the undocumented rate of one account. The kernels of an app, which cost
nothing to read, show most of what happens in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.advance import arrivals
from ..core.ledger import Ledger
from ..core.model import Resource

#: Seconds between two calls of ListApps while no panel is open and nothing is due, and otherwise.
EVERY = 15 * 60.0
AT_MOST_EVERY = 60.0

#: A panel counts as closed when it has not asked for the status for so many seconds.
PANEL_SECONDS = 120.0


class AppListing:
    """The age of the list of apps. All times are monotonic seconds; ``interval`` is the poll
    interval."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._listed_at: float | None = None
        self._failures = 0
        self._asked_at: float | None = None

    def panel_asked(self, at: float) -> None:
        """Note that a panel is open: the list must be at most a minute old."""
        self._asked_at = at

    def was_made(self, at: float, failed: bool) -> None:
        """Note that ListApps was called at ``at``, and whether that call failed."""
        self._listed_at = at
        self._failures = self._failures + 1 if failed else 0

    def made_at(self, at: float) -> bool:
        """Whether the last call of ListApps was in the pass of ``at``."""
        return self._listed_at == at

    def is_due(self, at: float, shortest_limit: float) -> bool:
        """Whether to call ListApps again. ``shortest_limit`` is the shortest idle timeout of any
        app, in seconds."""
        if self._listed_at is None:
            return True
        age = at - self._listed_at
        if self._failures:
            back_off = 2.0 ** min(self._failures - 1, 4)
            return age >= min(back_off * AT_MOST_EVERY, 16 * self._interval)
        wait = min(EVERY, shortest_limit)
        if self._asked_at is not None and at - self._asked_at < PANEL_SECONDS:
            wait = min(wait, AT_MOST_EVERY)
        return age >= wait

    def is_outdated(self, at: float, ledger: Ledger, resources: Iterable[Resource]) -> bool:
        """Whether a kernel or terminal appeared in an app or left one. Then an app may have been
        created or deleted, too."""
        return (
            not self._failures
            and self._listed_at is not None
            and at - self._listed_at >= min(AT_MOST_EVERY, self._interval)
            and arrivals(ledger, resources)
        )

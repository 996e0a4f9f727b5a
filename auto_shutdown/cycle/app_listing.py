"""How often SageMaker is asked for the list of apps. A thousand users share one account's
undocumented rate, and an app's kernels, which cost nothing to read, show most of what happens."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.ledger import Ledger, arrivals
from ..core.model import Resource

#: ListApps is asked at most this often when nobody looks and nothing is due, and at most once a
#: minute otherwise.
EVERY = 15 * 60.0
AT_MOST_EVERY = 60.0

#: A panel that has not asked for the status for that long is closed.
PANEL_SECONDS = 120.0


class AppListing:
    """The age of the list. Times in seconds, monotonic; ``interval`` is that of the passes."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._listed_at: float | None = None
        self._failures = 0
        self._asked_at: float | None = None

    def panel_asked(self, at: float) -> None:
        """Somebody looks: the list is kept fresh for them, a minute old at most."""
        self._asked_at = at

    def was_made(self, at: float, failed: bool) -> None:
        self._listed_at = at
        self._failures = self._failures + 1 if failed else 0

    def made_at(self, at: float) -> bool:
        return self._listed_at == at

    def is_due(self, at: float, shortest_limit: float) -> bool:
        if self._listed_at is None:
            return True
        age = at - self._listed_at
        if self._failures:
            patience = 2.0 ** min(self._failures - 1, 4)
            return age >= min(patience * AT_MOST_EVERY, 16 * self._interval)
        wait = min(EVERY, shortest_limit)
        if self._asked_at is not None and at - self._asked_at < PANEL_SECONDS:
            wait = min(wait, AT_MOST_EVERY)
        return age >= wait

    def is_outdated(self, at: float, ledger: Ledger, resources: Iterable[Resource]) -> bool:
        """A kernel or terminal came to, or left, an app: then apps may have, too."""
        return (
            not self._failures
            and self._listed_at is not None
            and at - self._listed_at >= min(AT_MOST_EVERY, self._interval)
            and arrivals(ledger, resources)
        )

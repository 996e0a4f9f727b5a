"""Decide when the extension calls ListApps.

All users of an AWS account share one rate limit, which AWS does not document. So the calls are
rare. Between two calls, the kernels of an app show most changes in it, and reading them costs no
call.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.advance import arrivals
from ..core.ledger import Ledger
from ..core.model import Resource

#: Seconds between two calls of ListApps while no panel is open and nothing is due.
EVERY = 15 * 60.0

#: Seconds between two calls while a panel is open. A call because a kernel or terminal appeared or
#: left also waits until the last call is this old (docs/decisions/003-when-apps-are-listed.md).
AT_MOST_EVERY = 60.0

#: A panel counts as closed when it has not asked for the status for this many seconds. An open
#: panel asks every 90 s, even if no event arrives (labextension/src/behaviour/poller.ts). A hidden
#: panel does not ask.
PANEL_SECONDS = 120.0

#: A pass may delete apps only if their list arrived at most this many seconds before the pass
#: observed them. Reading the stop switch takes up to 40 s, and a change signal can make the pass
#: give up meanwhile. The next pass must still be able to use the list. The age counts from the
#: arrival of the list: a call may take 40 s as well, and both together would exceed the limit. A
#: list may therefore show apps as they were 90 s ago. This is safe for two reasons. SageMaker needs
#: minutes to delete an app and to start another one under its name. The extension also looks at the
#: app again before it calls DeleteApp. The value is below the default poll interval of 60 s, so a
#: poll does not use the list of the poll before.
NEW_SECONDS = 50.0


class AppListing:
    """When ListApps is due, and whether a pass has a new list. All times are monotonic seconds.

    ``interval`` is the poll interval. If it is longer than a minute, the calls for an open panel
    are as rare as the polls."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._panel_wait = max(AT_MOST_EVERY, interval)
        self._called_at: float | None = None
        self._failures = 0
        self._asked_at: float | None = None
        #: When the newest list arrived that a pass has seen, and the moment of the last pass for
        #: which its list counted as new.
        self._listed_at: float | None = None
        self._new_in: float | None = None

    def panel_asked(self, at: float) -> None:
        """Note that a panel is open."""
        self._asked_at = at

    def was_called(self, at: float) -> None:
        """Note that a call of ListApps began at ``at``."""
        self._called_at = at

    def observed(
        self, at: float, listed_at: float | None, observed_at: float, failed: bool
    ) -> None:
        """Note that the pass of ``at`` began an observation at ``observed_at``. The observation
        uses the list that arrived at ``listed_at``. If ``failed``, the call that ended at
        ``listed_at`` brought no list.

        ``listed_at`` and ``observed_at`` may be by another monotonic clock than ``at``."""
        if listed_at is None:
            return
        if listed_at != self._listed_at:
            self._listed_at = listed_at
            self._failures = self._failures + 1 if failed else 0
        if observed_at - listed_at <= NEW_SECONDS:
            self._new_in = at

    def is_new_in(self, at: float) -> bool:
        """Whether the list of the apps is new in the pass of ``at``. Only such a pass may delete
        apps. After a failed call the answer does not matter: the apps are unread, and stay."""
        return self._new_in == at

    def due_at(self, at: float, shortest_limit: float) -> float:
        """When ListApps is due again, as far as is known at ``at``. ``shortest_limit`` is the
        shortest idle timeout of any app, in seconds."""
        if self._called_at is None:
            return at
        if self._failures:
            back_off = 2.0 ** min(self._failures - 1, 4)
            return self._called_at + min(back_off * AT_MOST_EVERY, 16 * self._interval)
        wait = min(EVERY, max(shortest_limit, min(AT_MOST_EVERY, self._interval)))
        if self.is_panel_open(at):
            wait = min(wait, self._panel_wait)
        return self._called_at + wait

    def is_panel_open(self, at: float) -> bool:
        """Whether a panel has asked for the status recently."""
        return self._asked_at is not None and at - self._asked_at < PANEL_SECONDS

    def is_outdated(self, at: float, ledger: Ledger, resources: Iterable[Resource]) -> bool:
        """Whether a kernel or terminal appeared in an app or left one. Then an app may have been
        created or deleted, too."""
        return (
            not self._failures
            and self._called_at is not None
            and at - self._called_at >= min(AT_MOST_EVERY, self._interval)
            and arrivals(ledger, resources)
        )

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

#: A list counts as new in each pass that observes the apps at most this many seconds after the list
#: arrived. One pass may not suffice: it gives up if a change signal comes while the stop switch is
#: read, which takes at most 40 s. A list shows the apps as they were when its call began or later,
#: but the age is counted from the end of the call: otherwise a list that took 40 s could not be
#: used together with such a switch. SageMaker takes minutes to delete an app and start it again
#: under its name, and the last look before DeleteApp shows whether the app is at work. The value is
#: less than the usual poll interval, so a poll does not use the list of the poll before.
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
        """Note that the pass of ``at`` began an observation at ``observed_at``, which uses the list
        that arrived at ``listed_at``, or which knows that the call that ended then ``failed``.

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
        apps."""
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

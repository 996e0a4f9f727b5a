"""The clock of the passes. It gives each pass one instant, and adjusts the ledger if the wall clock
was set forward or back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from ..config.settings import Limits
from ..core.ledger import shift
from ..state.saved_ledger import SavedLedger
from ..world.clock import Clock, Moment
from .situation import Situation

#: After a full pass, a due time alone starts the next one after this many seconds at the earliest.
#: Otherwise a rule that says "due in a moment" in each pass would make passes follow each other
#: without a break. A change signal still starts a pass at once.
PAUSE_SECONDS = 0.25


class PassClock:
    """``moment`` is the moment of the last pass. ``next_at`` is when the next full pass is due, in
    monotonic seconds (None: before the first pass)."""

    def __init__(
        self, clock: Clock, limits: Limits, situation: Situation, saved_ledger: SavedLedger
    ) -> None:
        self._clock = clock
        self._situation = situation
        self._saved_ledger = saved_ledger
        self._interval = limits.poll_interval_seconds
        self._grace = timedelta(minutes=limits.grace_minutes)
        self.moment = clock.read()
        #: The sum of all shifts of the ledger's instants since the server started.
        self.shifted = timedelta(0)
        self.next_at: float | None = None
        #: No due time starts a full pass before this (monotonic seconds).
        self._not_before = 0.0
        #: ``next_at`` as a wall-clock instant, for the report.
        self.next_pass: datetime | None = None

    def read(self) -> Moment:
        """The current moment."""
        return self._clock.read()

    def restart(self) -> Moment:
        """Read the clock before the state of an earlier server is loaded, and return that
        moment."""
        self.moment = self._clock.read()
        return self.moment

    def seconds_left(self) -> float:
        """Seconds until the next full pass is due; zero or negative if it is due now."""
        return (self.next_at or 0.0) - self._clock.read().monotonic

    def was_stepped(self, moment: Moment) -> bool:
        """Whether the wall clock was stepped since the last pass."""
        return bool(moment.step_since(self.moment))

    def adjust(self, moment: Moment) -> None:
        """Shift the ledger after a step of the wall clock, so that no duration changes. After a
        step or a long pause (a frozen process, a sleeping laptop) a new grace period begins."""
        situation = self._situation
        step = moment.step_since(self.moment)
        late = self.next_at is not None and moment.monotonic - self.next_at > 3 * self._interval
        self.moment = moment
        if step:
            situation.ledger = shift(situation.ledger, step)
            self.shifted += step
            self._saved_ledger.clock_stepped(step)
        if step or late:
            quiet_until = moment.now + self._grace
            situation.ledger = replace(situation.ledger, quiet_until=quiet_until)

    def ledger_time(self, in_a_pass: bool) -> datetime:
        """The current instant by the clock of the ledger. After a step of the wall clock during a
        pass (``in_a_pass``), the ledger keeps its old time until the next pass shifts it."""
        moment = self._clock.read()
        if in_a_pass:
            return moment.now - moment.step_since(self.moment)
        self.adjust(moment)
        return moment.now

    def full_pass_ended(self, upcoming: datetime | None) -> None:
        """Set the next full pass: at ``upcoming`` (None: nothing is due), and at the latest after
        the poll interval."""
        self.next_at = None
        self._not_before = self._clock.read().monotonic + PAUSE_SECONDS
        self.partial_pass_ended(upcoming)

    def partial_pass_ended(self, upcoming: datetime | None) -> None:
        """Set the next full pass: at ``upcoming`` (None: nothing is due), and at the latest when it
        was due before."""
        current = self._clock.read()
        if self.next_at is None:
            self.next_at = current.monotonic + self._interval
        self.next_pass = current.now + timedelta(seconds=self.next_at - current.monotonic)
        if upcoming is not None:
            self.bring_forward(current.monotonic + (upcoming - current.now).total_seconds())

    def bring_forward(self, at: float) -> bool:
        """Run the next full pass no later than ``at`` (monotonic seconds). Returns whether that is
        earlier than before."""
        current = self._clock.read()
        # One millisecond more: a timer may fire slightly early, and the pass must not begin before
        # the instant.
        at = max(at + 0.001, self._not_before, current.monotonic)
        if self.next_at is None or at >= self.next_at:
            return False
        self.next_at = at
        self.next_pass = current.now + timedelta(seconds=at - current.monotonic)
        return True

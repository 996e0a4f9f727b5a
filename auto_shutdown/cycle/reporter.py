"""The report of one server: what the HTTP contract, the metrics and the report line show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..core.report import Passes, build
from ..state.history import History
from ..state.preferences import Preferences
from ..state.savings import SavedSavings
from ..world.world import World
from .announcer import Announcer
from .health import Health
from .outcomes import Outcomes
from .pass_clock import PassClock
from .reported_changes import ReportedChanges
from .situation import Situation


class Reporter:
    """Makes the report. ``armed`` is true while the loop of passes runs."""

    def __init__(
        self,
        world: World,
        situation: Situation,
        preferences: Preferences,
        history: History,
        savings: SavedSavings,
        outcomes: Outcomes,
        health: Health,
        announcer: Announcer,
        clock: PassClock,
        changes: ReportedChanges,
    ) -> None:
        self._world = world
        self._situation = situation
        self._preferences = preferences
        self._history = history
        self._savings = savings
        self._outcomes = outcomes
        self._health = health
        self._announcer = announcer
        self._clock = clock
        self._changes = changes
        self.armed = False
        self._last_pass: datetime | None = None
        self._last_ok_pass: datetime | None = None

    def full_pass_ended(self, failure: BaseException | None, now: datetime) -> None:
        """Note that the full pass of ``now`` was complete (None), or ended with ``failure``."""
        self._last_pass = now
        if failure is None:
            self._last_ok_pass = now
        self._health.pass_ended(failure, now)

    def settle_faults(self, now: datetime) -> None:
        """Find the faults in force, and tell the observers if the report has changed."""
        self._health.settle(self._situation.snapshot, self._situation.ledger, now)
        self._announcer.report_may_have_changed(
            self._situation,
            self._preferences.policy,
            self._health.faults,
            self._outcomes.count,
            now,
        )

    def report(self) -> dict[str, Any]:
        """The report of the last pass (core/report.py) as JSON, with the health at this moment."""
        platform, now = self._world.platform, self._clock.read().now
        return build(
            now=now,
            platform={
                "kind": platform.kind,
                "domain_id": platform.domain_id,
                "user_profile_name": platform.user_profile_name,
                "space_name": platform.space_name,
                "region": platform.region_name,
                "native_idle_timeout_minutes": self._world.description.native_idle_minutes,
            },
            passes=Passes(
                armed=self.armed,
                last_pass=self._last_pass,
                last_ok_pass=self._last_ok_pass,
                next_pass=self._clock.next_pass,
                unsignalled_changes=self._changes.unsignalled_changes,
            ),
            faults=self._health.faults,
            policy=self._preferences.policy,
            bounds=self._preferences.bounds(),
            snapshot=self._situation.snapshot,
            ledger=self._situation.ledger,
            plan=self._situation.plan,
            outcomes=self._outcomes.recent,
            savings={**self._history.savings(), **self._savings.view(now)},
        )

"""Observe everything for a full pass, with a list of apps that is new enough."""

from __future__ import annotations

import asyncio
from datetime import datetime

from ..core.advance import advance
from ..core.model import Snapshot
from ..state.preferences import Preferences
from ..world.clock import Moment
from ..world.world import World
from .app_listing import AppListing
from .pass_clock import PassClock
from .situation import Situation
from .watchdog import Watchdog


class FullObservation:
    """Observes everything, and updates ``situation``. It calls ListApps when ``app_listing`` says
    that a new list is due."""

    def __init__(
        self,
        world: World,
        situation: Situation,
        preferences: Preferences,
        app_listing: AppListing,
        clock: PassClock,
        watchdog: Watchdog,
    ) -> None:
        self._world = world
        self._situation = situation
        self._preferences = preferences
        self._app_listing = app_listing
        self._clock = clock
        self._watchdog = watchdog

    def list_due_at(self, at: float) -> float:
        """When ListApps is due, as far as is known ``at`` this moment (monotonic seconds)."""
        shortest = self._preferences.policy.shortest_app_limit().total_seconds()
        return self._app_listing.due_at(at, shortest)

    def list_due_for_panel(self, at: float) -> float | None:
        """When a full pass has to call ListApps for an open panel, as far as is known ``at`` this
        moment. Both are monotonic seconds. None: no panel is open, there is no list, or a call is
        in progress."""
        if not (self._world.has_apps and self._app_listing.is_panel_open(at)):
            return None
        return None if self._world.app_list.call is not None else self.list_due_at(at)

    def has_unseen_list(self) -> bool:
        """Whether a list of apps has arrived since the last observation."""
        listed_at = self._world.app_list.listed_at if self._world.has_apps else None
        return listed_at is not None and listed_at != self._situation.snapshot.apps_listed_at

    async def wait_for_list(self, at: float, seconds: float) -> None:
        """Call ListApps ``at`` this moment (monotonic seconds), or join the call in progress. Wait
        for the list for at most ``seconds``. No pass waits meanwhile."""
        if self._world.has_apps:
            self._list_begins(at)
            await asyncio.wait({self._world.app_list.begin_call()}, timeout=seconds)

    def _list_begins(self, at: float) -> None:
        if self._world.app_list.call is None:
            self._app_listing.was_called(at)

    async def observe_and_advance(self, moment: Moment, list_apps: bool) -> None:
        """Observe everything, and advance the ledger. ``list_apps`` calls ListApps, if there are
        apps here. If SageMaker does not answer at once, the last list remains, and another pass
        follows when the new one has arrived."""
        situation, at = self._situation, moment.monotonic
        has_apps, list_apps = self._world.has_apps, list_apps and self._world.has_apps
        self._watchdog.step("reading the kernels, terminals and apps")
        snapshot = await self._observe_world(at, list_apps)
        outdated = has_apps and self._app_listing.is_outdated(
            at, situation.ledger, snapshot.resources
        )
        if outdated and not list_apps:
            snapshot = await self._observe_world(at, list_apps=True)
        situation.snapshot = snapshot
        situation.ledger = advance(situation.ledger, snapshot, self.observed_at())

    def observed_at(self) -> datetime:
        """The instant of what a pass has just observed. It is not the instant at which the pass
        began: the pass may have waited for a source or a removal since. Activity of that time would
        count as older than it is, and the resource would be removed too early."""
        return self._clock.ledger_time(True)

    async def _observe_world(self, at: float, list_apps: bool) -> Snapshot:
        if list_apps:
            self._list_begins(at)
        observed_at = self._world.app_list.now()
        snapshot = await self._world.observe(list_apps)
        failed = Snapshot.APPS in snapshot.unread
        self._app_listing.observed(at, snapshot.apps_listed_at, observed_at, failed)
        return snapshot

    def has_old_list(self, moment: Moment) -> bool:
        """Whether the list of the apps is not new in this pass."""
        return self._world.has_apps and not self._app_listing.is_new_in(moment.monotonic)

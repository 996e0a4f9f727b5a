"""The cycle: observe, decide, act, report; and the timer that runs it.

Nothing here knows a rule: what is idle is decided in ``core``, what can be seen and removed is
known by ``world``. This module owns the order of things, the clock, and the one lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from .clock import Clock, Moment
from .core import archive
from .core.faults import derive, settle
from .core.ledger import Ledger, advance, arrivals, give_notice, hold, shift
from .core.model import EVERYTHING, Kind, Ref, Snapshot
from .core.planner import decide
from .core.policy import Policy
from .core.report import Passes, build
from .core.verdict import Fault, Plan
from .core.words import iso, printable
from .history import History
from .preferences import Preferences
from .removal import RefusedError, Remover
from .settings import Limits
from .store import Store, StoreError, boot_identity
from .world import Platform, World

#: ListApps is asked at most this often when nobody looks and nothing is due (a thousand users
#: share one account's undocumented rate), and at most once a minute otherwise.
LIST_APPS_EVERY = 15 * 60.0
LIST_APPS_AT_MOST_EVERY = 60.0

#: A panel that has not asked for the status for that long is closed.
PANEL_SECONDS = 120.0

#: A stop of the server waits that long for a pass in flight.
STOP_SECONDS = 10.0


class Controller:
    """Runs the passes of one server, and answers what people ask of it.

    All methods belong to the server's event loop. Passes, and requests that change something,
    are serialised by one lock: there are never two at once.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        history: History,
        limits: Limits,
        clock: Clock,
        log: logging.Logger,
        standing_faults: tuple[Fault, ...] = (),
    ) -> None:
        self.preferences = Preferences(limits, store)
        self._world, self._store, self._history = world, store, history
        self._limits, self._clock, self._log = limits, clock, log
        self._interval = limits.poll_interval_seconds
        self._grace = timedelta(minutes=limits.grace_minutes)
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._moment = clock.read()
        self._next_at: float | None = None
        self._passes = Passes(armed=False)
        self._ledger = Ledger(quiet_until=self._moment.now + self._grace)
        self._snapshot, self._plan = Snapshot(), Plan()
        self._remover = Remover(world, history, log)
        self._standing = standing_faults
        self._boot: str | None = None
        self._state_fault: Fault | None = None
        self._cycle_fault: Fault | None = None
        self._faults: dict[str, Fault] = {}
        self._listed_at: float | None = None
        self._list_failures = 0
        self._asked_at: float | None = None

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load the state and begin the passes."""
        await self.load()
        self._passes = replace(self._passes, armed=True)
        self._loop = asyncio.ensure_future(self._run())

    async def load(self) -> None:
        """Take up the state of an earlier run, as far as it can be trusted."""
        self._moment = self._clock.read()
        now = self._moment.now
        await self.preferences.load(now)
        self._boot = await asyncio.to_thread(boot_identity)
        marks, holds = await self._load_state()
        self._ledger = archive.restore(
            marks=marks,
            holds=holds,
            boot=self._boot,
            quiet_until=now + self._grace,
            latest_hold=now + timedelta(minutes=self._limits.max_keep_alive_minutes),
            now=now,
        )
        # From here on these marks are out of date; a crash must not leave them for the next run.
        await self._save_marks(clean=False)

    async def _load_state(self) -> tuple[Any, Any]:
        marks = holds = None
        try:
            marks = await asyncio.to_thread(self._store.load_marks)
            holds = await asyncio.to_thread(self._store.load_holds)
        except StoreError as error:
            self._note_state(error)
        try:
            await asyncio.to_thread(self._history.load)
        except OSError as error:
            remedy = "Make the state directory writable, or set AutoShutdown.state_dir."
            self._note_state(StoreError(f"The audit log cannot be read: {error}.", remedy))
        return marks, holds

    async def stop(self) -> None:
        """End the passes; a removal in flight is waited for. The marks are saved as complete."""
        self._passes = replace(self._passes, armed=False)
        loop, self._loop = self._loop, None
        if loop is None:
            return
        between_passes = False
        with contextlib.suppress(asyncio.TimeoutError):
            between_passes = await asyncio.wait_for(self._lock.acquire(), STOP_SECONDS)
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
        # A pass that had to be cut off may have known more than it wrote down.
        await self._save_marks(clean=between_passes)
        if between_passes:
            self._lock.release()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # it is a fault by then, and in the log
                await self.check()
            delay = (self._next_at or 0.0) - self._clock.read().monotonic
            self._wake.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(delay, 0.0))

    # -- the cycle ---------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """One pass now; the report. ``dry_run`` rehearses, ``list_apps`` asks SageMaker."""
        async with self._lock:
            moment = self._clock.read()
            try:
                await self._cycle(moment, dry_run, list_apps)
                self._cycle_fault = None
                self._passes = replace(self._passes, last_ok_pass=moment.now)
            except Exception as error:
                self._note_broken_cycle(error, moment.now)
                raise
            finally:
                self._passes = replace(self._passes, last_pass=moment.now)
                self._schedule(moment)
                self._settle_faults(moment.now)
        return self.report()

    async def _cycle(self, moment: Moment, dry_run: bool, list_apps: bool) -> None:
        self._mind_the_clock(moment)
        now = moment.now
        await self.preferences.refresh(now)
        policy = self.preferences.policy_for(dry_run)
        await self._observe(moment, list_apps or self._listing_is_due(moment, policy))
        self._plan = decide(self._snapshot, self._ledger, policy, now)
        if self._acts_on_apps(policy) and self._listed_at != moment.monotonic:
            # Never on an old list: what is there, and in what state, is asked at that moment.
            await self._observe(moment, list_apps=True)
            self._plan = decide(self._snapshot, self._ledger, policy, now)
        self._ledger = give_notice(self._ledger, self._plan.decisions, now)
        to_do = self._remover.to_do(self._plan, policy)
        removed = False
        for decision in to_do:
            self._ledger, ended = await self._remover.carry_out(
                decision, self._snapshot, self._ledger, policy, now
            )
            removed = removed or ended
        if removed:
            await self._observe(moment, list_apps=self._acts_on_apps(policy))
        if to_do:
            self._plan = decide(self._snapshot, self._ledger, policy, now)

    def _acts_on_apps(self, policy: Policy) -> bool:
        return any(d.ref.kind is Kind.APP for d in self._remover.to_do(self._plan, policy))

    async def _observe(self, moment: Moment, list_apps: bool) -> None:
        snapshot = await self._world.observe(list_apps)
        if not list_apps and self._list_is_outdated(moment, snapshot):
            list_apps = True
            snapshot = await self._world.observe(list_apps)
        if list_apps:
            self._listed_at = moment.monotonic
            failed = Snapshot.APPS in snapshot.unread
            self._list_failures = self._list_failures + 1 if failed else 0
        self._snapshot = snapshot
        self._ledger = advance(self._ledger, snapshot, moment.now)

    def _listing_is_due(self, moment: Moment, policy: Policy) -> bool:
        if not self._world.has_apps:
            return False
        if self._listed_at is None:
            return True
        age = moment.monotonic - self._listed_at
        if self._list_failures:
            patience = 2.0 ** min(self._list_failures - 1, 4)
            return age >= min(patience * LIST_APPS_AT_MOST_EVERY, 16 * self._interval)
        wait = min(LIST_APPS_EVERY, policy.shortest_app_limit().total_seconds())
        if self._asked_at is not None and moment.monotonic - self._asked_at < PANEL_SECONDS:
            wait = min(wait, LIST_APPS_AT_MOST_EVERY)
        return age >= wait

    def _list_is_outdated(self, moment: Moment, snapshot: Snapshot) -> bool:
        """A kernel or terminal came to, or left, an app: then apps may have, too."""
        return (
            self._world.has_apps
            and not self._list_failures
            and self._listed_at is not None
            and moment.monotonic - self._listed_at >= min(LIST_APPS_AT_MOST_EVERY, self._interval)
            and arrivals(self._ledger, snapshot.resources)
        )

    def _mind_the_clock(self, moment: Moment) -> None:
        """After a step of the wall clock every duration stays what it was; after that or a long
        pause (a frozen process, a sleeping laptop) nothing is removed before a new grace."""
        step = moment.step_since(self._moment)
        late = self._next_at is not None and (moment.monotonic - self._next_at > 3 * self._interval)
        self._moment = moment
        if step:
            self._ledger = shift(self._ledger, step)
        if step or late:
            self._ledger = replace(self._ledger, quiet_until=moment.now + self._grace)

    def _schedule(self, moment: Moment) -> None:
        """The next pass: at the next warning or removal, or after the poll interval."""
        current = self._clock.read()
        delay = self._interval
        upcoming = self._plan.next_moment(moment.now)
        if upcoming is not None:
            # Not before the instant itself: a timer may fire a moment early.
            until = (upcoming - current.now).total_seconds() + 0.001
            delay = min(delay, max(until, 0.0))
        self._next_at = current.monotonic + delay
        next_pass = current.now + timedelta(seconds=delay)
        self._passes = replace(self._passes, next_pass=next_pass)

    # -- health ------------------------------------------------------------------------------

    def _settle_faults(self, now: datetime) -> None:
        found = [
            *self._standing,
            *derive(self._snapshot, self._ledger, now),
            *self.preferences.faults(now),
            *self._remover.faults(now),
        ]
        found += [fault for fault in (self._state_fault, self._cycle_fault) if fault is not None]
        self._faults, started, over = settle(self._faults, found)
        for fault in started:
            text = f"{fault.source}: {fault.code}: {fault.message} {fault.remedy}"
            self._log.warning("auto_shutdown: %s", printable(text))
        for fault in over:
            self._log.info("auto_shutdown: %s: recovered.", printable(fault.source))

    def _note_broken_cycle(self, error: Exception, now: datetime) -> None:
        if self._cycle_fault is None:
            self._log.error("auto_shutdown: a pass failed", exc_info=error)
        message = f"A pass failed ({type(error).__name__}); nothing is removed by it."
        remedy = "Please report this with the server's log."
        self._cycle_fault = Fault("cycle", type(error).__name__, message, remedy, now, True)

    def _note_state(self, error: StoreError) -> None:
        now = self._clock.read().now
        self._state_fault = Fault("state", "StateFile", str(error), error.remedy, now)

    async def _save_marks(self, clean: bool) -> None:
        marks = archive.marks_to_json(self._ledger) if clean else []
        document = {"boot": self._boot, "clean": clean, "marks": marks}
        try:
            await asyncio.to_thread(self._store.save_marks, document)
        except StoreError as error:
            self._note_state(error)

    # -- what people ask ---------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """The report of the last pass, and of the health by now."""
        platform = self._world.platform
        return build(
            now=self._clock.read().now,
            platform={
                "kind": platform.kind,
                "domain_id": platform.domain_id,
                "user_profile_name": platform.user_profile_name,
                "space_name": platform.space_name,
                "region": platform.region_name,
            },
            passes=self._passes,
            faults=self._faults.values(),
            policy=self.preferences.policy,
            bounds=self.preferences.bounds(),
            snapshot=self._snapshot,
            ledger=self._ledger,
            plan=self._plan,
            outcomes=self._remover.outcomes,
            savings=self._history.savings(),
        )

    def panel_asked(self) -> None:
        """Somebody looks: the list of apps is kept fresh for them, a minute old at most."""
        self._asked_at = self._clock.read().monotonic

    async def patch_settings(self, patch: Any) -> dict[str, Any]:
        """Change settings; the next pass, at once, goes by them."""
        async with self._lock:
            await self.preferences.patch(patch)
        self._wake.set()
        return self.preferences.view()

    def keep_alives(self) -> list[dict[str, Any]]:
        """The keep-alives in force."""
        now = self._clock.read().now
        return [
            {"kind": ref.kind.value, "id": ref.id, "kept_until": iso(held.until)}
            for ref, held in self._ledger.holds.items()
            if held.until > now
        ]

    async def keep_alive(self, ref: Ref, minutes: float | None) -> list[dict[str, Any]]:
        """Hold ``ref`` for ``minutes`` from now, or release it (None); what holds by then.

        Raises RefusedError (404) for what is not there, StoreError when it is not on disk (it
        holds all the same, until the server restarts).
        """
        async with self._lock:
            moment, until = self._clock.read(), None
            if minutes is not None:
                if not self._knows(ref):  # it may have come since the last pass
                    await self._observe(moment, list_apps=False)
                if not self._knows(ref):
                    raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)
                until = moment.now + timedelta(minutes=minutes)
            self._ledger = hold(self._ledger, ref, until)
            holds = archive.holds_to_json(self._ledger)
            await asyncio.to_thread(self._store.save_holds, holds)
        self._wake.set()
        return self.keep_alives()

    def _knows(self, ref: Ref) -> bool:
        return ref == EVERYTHING or self._snapshot.find(ref) is not None

    async def remove(self, ref: Ref) -> Mapping[str, Any]:
        """Remove ``ref`` now because somebody asked; an app with what runs in it.

        Raises RefusedError for what is not there (404), or is never removed (409).
        """
        async with self._lock:
            moment = self._clock.read()
            await self._observe(moment, list_apps=ref.kind is Kind.APP and self._world.has_apps)
            policy = self.preferences.policy
            self._ledger, outcome = await self._remover.on_request(
                ref, self._snapshot, self._ledger, policy, moment.now
            )
            self._settle_faults(moment.now)
        self._wake.set()
        return outcome

    @property
    def platform(self) -> Platform:
        """Who this server is."""
        return self._world.platform

    @property
    def max_keep_alive_minutes(self) -> float:
        """The longest keep-alive the administrator allows."""
        return self._limits.max_keep_alive_minutes

    async def read_history(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` removals, newest first."""
        return await asyncio.to_thread(self._history.read, limit)

"""Runs the passes of one server: the loop and its timer, the lock that keeps two passes apart, and
the report. The steps of a pass are in :mod:`~auto_shutdown.cycle.one_pass`, what users ask for is
in :mod:`~auto_shutdown.cycle.requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ..config.settings import Limits
from ..core.ledger import Ledger
from ..core.report import Passes, build
from ..core.verdict import Fault
from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..state.savings import Account
from ..state.stopped import StoppedSessions
from ..state.store import Store
from ..world.clock import Clock, Moment
from ..world.platform import Platform
from ..world.stop_switch import StopSwitch
from ..world.world import World
from .announcer import Announcer
from .app_listing import AppListing
from .emergency_stop import EmergencyStop
from .health import Health
from .objections import Objections
from .one_pass import OnePass
from .pass_clock import PassClock
from .removal import Remover
from .report_line import ReportLine
from .requests import UserRequests
from .session_recorder import SessionRecorder
from .signals import Signals
from .situation import Situation
from .veto import VetoHooks
from .watchdog import GIVE_UP_SECONDS, LATE_SECONDS

#: Seconds that a stop of the server waits for the step under way, for a pass that was cancelled,
#: and for the state files: together less than 5.
STOP_SECONDS = 2.5
CANCEL_SECONDS = 0.5
SAVE_SECONDS = 1.5

#: Seconds that a request waits for a pass to end. Then it is answered from what is known.
CHECK_SECONDS = 30.0
LOOK_SECONDS = 10.0

#: Several changes within so many seconds are looked at by one pass.
COALESCE_SECONDS = 0.3

#: Seconds between two looks at a pass that has not ended.
WATCH_SECONDS = 5.0


class Controller:
    """Runs the passes of one server, one at a time. ``requests`` is what users may ask of it.

    All methods belong to the server's event loop.
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
        hooks: VetoHooks | None = None,
        switch: StopSwitch | None = None,
        stopped: StoppedSessions | None = None,
    ) -> None:
        self.limits = limits
        self.preferences = Preferences(limits, store)
        self.announcer = Announcer(log)
        self._world, self._history, self._log = world, history, log
        self._one_pass_at_a_time = asyncio.Lock()
        self._signals = Signals()
        self._loop: asyncio.Task[None] | None = None
        self._passes_begun: set[asyncio.Task[None]] = set()
        #: When this server's passes began.
        self.started_at = clock.read().now
        self._passes = Passes(armed=False)
        grace = timedelta(minutes=limits.grace_minutes)
        self.situation = Situation(Ledger(quiet_until=self.started_at + grace))
        self._saved_ledger = SavedLedger(store, limits)
        self._clock = PassClock(clock, limits, self.situation, self._saved_ledger)
        self._savings = Account(store, world.platform.region_name, limits.hourly_prices)
        self._recorder = SessionRecorder(world, stopped, log)
        self._remover = Remover(
            world,
            history,
            self._savings,
            self.situation,
            self.ledger_time,
            self.wake,
            self.announcer,
            self._recorder,
            log,
        )
        self._objections = Objections(
            EmergencyStop(switch or StopSwitch()), hooks or VetoHooks(log)
        )
        self._app_listing = AppListing(limits.poll_interval_seconds)
        self._one_pass = OnePass(
            world,
            self.situation,
            self.preferences,
            self._savings,
            self._remover,
            self._objections,
            self.announcer,
            self._app_listing,
            self._clock,
        )
        self._health = Health(log, standing_faults, self.announcer)
        self._report_line = ReportLine(limits, world.platform.region_name, log)
        self.requests = UserRequests(self, self._remover, history, self._recorder)

    # -- start and stop ----------------------------------------------------------------------

    async def start(self) -> None:
        """Load the state and begin the passes."""
        await self.load()
        self._passes = replace(self._passes, armed=True)
        self._loop = asyncio.ensure_future(self._run())

    async def load(self) -> None:
        """Restore the state of an earlier run, as far as it can be trusted."""
        moment = self._clock.restart()
        await self.preferences.load(moment.now)
        await self._savings.load(self._world.platform.own_app is not None, moment.now)
        self.situation.ledger = await self._saved_ledger.load(moment)
        self._world.recall(self.situation.ledger.marks)
        await self._history.write_owed()

    async def stop(self) -> None:
        """End the passes, and save the marks of activity. Takes at most 5 s, whatever hangs: a
        removal that has not ended by then is not waited for."""
        self._passes = replace(self._passes, armed=False)
        loop, self._loop = self._loop, None
        if loop is None:
            return
        give_up_at = time.monotonic() + STOP_SECONDS
        await self.requests.wait_for_removals(STOP_SECONDS)
        left = max(give_up_at - time.monotonic(), 0.1)
        between_passes = await _acquired(self._one_pass_at_a_time, left)
        loop.cancel()
        for task in self._passes_begun:
            task.cancel()
        await asyncio.wait({loop, *self._passes_begun}, timeout=CANCEL_SECONDS)
        self._objections.close()
        # A pass that was cut off may have seen more than the ledger says: then it is not clean.
        await _within(SAVE_SECONDS, self._save(clean=between_passes))
        if between_passes:
            self._one_pass_at_a_time.release()

    async def _save(self, clean: bool) -> None:
        await self._saved_ledger.save_marks(self.situation.ledger, self._clock.moment, clean=clean)
        self._recorder.close()
        await self._history.write_owed()

    # -- the loop ----------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            kernels = self._signals.take()
            if self._clock.seconds_left() <= 0:
                kernels = None  # something is due, or it is time for the full look
            await self._watch(self._begin_pass(kernels=kernels))
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._signals.wait(), max(self._clock.seconds_left(), 0.0))
                await asyncio.sleep(COALESCE_SECONDS)

    def _begin_pass(
        self,
        dry_run: bool = False,
        list_apps: bool = False,
        kernels: Collection[str] | None = None,
    ) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self.run_pass(dry_run, list_apps, kernels))
        self._passes_begun.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._passes_begun.discard(task)
            if not task.cancelled():
                task.exception()  # run_pass has made it a fault and logged it

        task.add_done_callback(ended)
        return task

    async def _watch(self, running: asyncio.Task[None]) -> None:
        """Wait for a pass. Report one that is late; give up one that does not end."""
        watchdog = self._one_pass.watchdog
        while not running.done():
            await asyncio.wait({running}, timeout=WATCH_SECONDS)
            if running.done() or watchdog.seconds < LATE_SECONDS:
                continue
            now = self._clock.read().now
            self._health.pass_is_late(watchdog.waiting_for, watchdog.seconds, now)
            self._settle_faults(now)
            if watchdog.seconds >= GIVE_UP_SECONDS:
                for task in self._passes_begun:
                    task.cancel()

    def wake(self) -> None:
        """Begin the next full pass at once."""
        self._signals.anything_changed()

    def kernel_changed(self, kernel_id: str) -> None:
        """Look at once at a kernel that began or ended work, came or went."""
        self._signals.kernel_changed(kernel_id)

    @property
    def unsignalled_changes(self) -> int:
        """How many changes only a full pass has found, and no signal told."""
        return self._signals.unsignalled_changes

    # -- the passes --------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """Run a full pass now, as ``run_pass``. Returns the report, also when the pass has not
        ended after ``CHECK_SECONDS``."""
        running = self._begin_pass(dry_run, list_apps)
        await asyncio.wait({running}, timeout=CHECK_SECONDS)
        if running.done():
            running.result()  # raises what went wrong
        return self.report()

    async def run_pass(
        self,
        dry_run: bool = False,
        list_apps: bool = False,
        kernels: Collection[str] | None = None,
    ) -> None:
        """Run a pass now. ``dry_run`` only rehearses removals, ``list_apps`` asks SageMaker for
        the apps. ``kernels``: a partial pass over these is enough, where that is possible."""
        async with self._one_pass_at_a_time:
            moment = self._clock.read()
            try:
                if kernels is None or not await self._partial_pass(moment, kernels):
                    await self._full_pass(moment, dry_run, list_apps)
            finally:
                self._one_pass.watchdog.pass_ended()

    async def _partial_pass(self, moment: Moment, kernels: Collection[str]) -> bool:
        try:
            return await self._one_pass.run_partial(moment, kernels)
        except Exception as error:
            # The full pass that follows does not need it.
            self._log.error("auto_shutdown: a partial pass failed", exc_info=error)
            return False

    async def _full_pass(self, moment: Moment, dry_run: bool, list_apps: bool) -> None:
        failure: BaseException | None = None
        try:
            compare, before = self._signals.full_pass_begins(), self.situation.snapshot
            self._clock.adjust(moment)
            await self._retry_state_files(moment)
            await self._one_pass.run(moment, dry_run, list_apps)
            compare(before, self.situation.snapshot)
            self._passes = replace(self._passes, last_ok_pass=moment.now)
        except (Exception, asyncio.CancelledError) as error:
            failure = error
            raise
        finally:
            self._one_pass.watchdog.pass_ended()
            self._passes = replace(self._passes, last_pass=moment.now)
            self._health.pass_ended(failure, moment.now)
            self._clock.full_pass_ended(self._one_pass.next_moment(moment.now))
            self._settle_faults(moment.now)
            situation, dry = self.situation, self.preferences.policy.dry_run
            self._report_line.pass_ended(
                moment, self.report, situation.snapshot, situation.plan, dry
            )

    async def _retry_state_files(self, moment: Moment) -> None:
        """Read what other servers of this home have changed. Try again what failed so far."""
        self._one_pass.watchdog.step("reading the state files")
        await self.preferences.refresh(moment.now)
        await self._saved_ledger.retry(self.situation, moment)
        if self._history.error is not None:
            await self._history.write_owed()

    # -- report ------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """The report of the last pass, with the health by now."""
        platform, now = self.platform, self._clock.read().now
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
            passes=replace(
                self._passes,
                next_pass=self._clock.next_pass,
                unsignalled_changes=self.unsignalled_changes,
            ),
            faults=self._health.faults,
            policy=self.preferences.policy,
            bounds=self.preferences.bounds(),
            snapshot=self.situation.snapshot,
            ledger=self.situation.ledger,
            plan=self.situation.plan,
            outcomes=self._remover.outcomes,
            savings={**self._history.savings(), **self._savings.view(now)},
        )

    def _settle_faults(self, now: datetime) -> None:
        others = (
            *self.preferences.faults(now),
            *self._saved_ledger.faults(now),
            *self._remover.faults(now),
            *self._objections.faults(now),
            *self._world.faults(now),
        )
        self._health.settle(self.situation.snapshot, self.situation.ledger, others, now)
        self.announcer.report_may_have_changed(
            self.situation,
            self.preferences.policy,
            self._health.faults,
            self._remover.outcomes_so_far,
        )

    @property
    def platform(self) -> Platform:
        """What this server runs in."""
        return self._world.platform

    # -- for requests ------------------------------------------------------------------------

    def panel_asked(self) -> None:
        """A panel is open: the list of apps is kept at most a minute old."""
        self._app_listing.panel_asked(self._clock.read().monotonic)

    async def look(self, list_apps: bool) -> bool:
        """Observe the world after the pass under way, without removing anything. Returns False
        when that pass has not ended after ``LOOK_SECONDS``."""
        if not await _acquired(self._one_pass_at_a_time, LOOK_SECONDS):
            return False
        try:
            moment = self._clock.read()
            self._clock.adjust(moment)
            await self._one_pass.observe(moment, list_apps and self._world.has_apps)
            self._settle_faults(moment.now)
        finally:
            self._one_pass.watchdog.pass_ended()
            self._one_pass_at_a_time.release()
        return True

    def ledger_time(self) -> datetime:
        """Now, by the clock that the instants of the ledger are given in. The next pass shifts
        them all when the wall clock was stepped meanwhile."""
        return self._clock.ledger_time(self._one_pass_at_a_time.locked())

    async def save_keep_alives(self) -> None:
        """Write the keep-alives. Raises StoreError; they are tried again then."""
        await self._saved_ledger.save_holds(self.situation, self._clock.moment)


async def _acquired(lock: asyncio.Lock, seconds: float) -> bool:
    """Take ``lock``, if that works within ``seconds``."""
    try:
        await asyncio.wait_for(lock.acquire(), seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def _within(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Do ``work``, and leave it to itself when it takes longer."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=seconds)
    if task.done():
        task.result()

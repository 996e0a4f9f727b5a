"""Run the passes of one server: when a pass begins, that two never run at once, and how they end.

The steps of a pass are in :mod:`~auto_shutdown.cycle.one_pass`. The requests of users are in
:mod:`~auto_shutdown.cycle.user_requests`. The report is in :mod:`~auto_shutdown.cycle.reporter`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from ..config.settings import Limits
from ..core.ledger import Ledger
from ..core.model import Ref
from ..core.verdict import Fault
from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..state.savings import SavedSavings
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
from .outcomes import Outcomes
from .pass_clock import PassClock
from .pass_tasks import PassTasks
from .patience import acquired, finish_within
from .removal import Remover
from .removal_tasks import RemovalTasks
from .report_line import ReportLine
from .reported_changes import ReportedChanges
from .reporter import Reporter
from .requested_removal import RequestedRemovals
from .session_recorder import SessionRecorder
from .situation import Situation
from .user_requests import UserRequests
from .veto import VetoHooks

#: Seconds that the end of the server waits for the pass in progress, for a cancelled pass, and for
#: the state files. Together they are less than 5.
STOP_SECONDS = 2.5
CANCEL_SECONDS = 0.5
SAVE_SECONDS = 1.5

#: Seconds that a request waits for a pass to end. Then the answer is what the last pass knew.
CHECK_SECONDS = 30.0
LOOK_SECONDS = 10.0

#: One pass looks at all changes within this number of seconds.
COALESCE_SECONDS = 0.3


class Controller:
    """Runs the passes of one server, one at a time. ``requests`` serves the requests of users.

    All methods must be called on the server's event loop.
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
        self.preferences = preferences = Preferences(limits, store)
        self.announcer = announcer = Announcer(log)
        self._world, self._history, self._log = world, history, log
        self._one_pass_at_a_time = asyncio.Lock()
        self._changes = ReportedChanges()
        self._loop: asyncio.Task[None] | None = None
        self._last_pass_failed = False
        #: When this server's passes began.
        self.started_at = clock.read().now
        grace = timedelta(minutes=limits.grace_minutes)
        self.situation = situation = Situation(Ledger(quiet_until=self.started_at + grace))
        self._saved_ledger = SavedLedger(store, limits)
        self._clock = PassClock(clock, limits, situation, self._saved_ledger)
        self._savings = savings = SavedSavings(
            store, world.platform.region_name, limits.hourly_prices
        )
        self._recorder = SessionRecorder(world, stopped, log)
        outcomes, now = Outcomes(announcer, log), self.ledger_time
        tasks = RemovalTasks(world, history, savings, situation, now, outcomes, self._recorder, log)
        remover = Remover(
            world,
            savings,
            situation,
            now,
            lambda: self._clock.shifted,
            self.wake,
            tasks,
            outcomes,
            self._read_other_servers,
        )
        self._objections = Objections(
            EmergencyStop(switch or StopSwitch()), hooks or VetoHooks(log)
        )
        self._app_listing = AppListing(limits.poll_interval_seconds)
        self._one_pass = OnePass(
            world,
            situation,
            preferences,
            savings,
            remover,
            self._objections,
            announcer,
            self._app_listing,
            self._clock,
        )
        parts = (preferences, self._saved_ledger, history, remover, self._objections, world)
        health = Health(log, standing_faults, announcer, parts)
        self._reporter = Reporter(
            world,
            situation,
            preferences,
            history,
            savings,
            outcomes,
            health,
            announcer,
            self._clock,
        )
        self._passes = PassTasks(
            self._one_pass.watchdog, health, self._reporter, lambda: clock.read().now
        )
        self._report_line = ReportLine(limits, world.platform.region_name, log)
        requested = RequestedRemovals(situation, savings, tasks)
        self.requests = UserRequests(self, requested, history, self._recorder)

    # -- start and stop ----------------------------------------------------------------------

    async def start(self) -> None:
        """Load the state and begin the passes."""
        await self.load()
        self._reporter.armed = True
        self._loop = asyncio.ensure_future(self._run())

    async def load(self) -> None:
        """Restore the state of an earlier server, as far as it can be trusted."""
        moment = self._clock.restart()
        await self.preferences.load(moment.now)
        await self._savings.load(self._world.platform.own_app is not None, moment.now)
        self.situation.ledger = await self._saved_ledger.load(moment)
        self._world.recall(self._saved_ledger.earlier_marks)
        await self._history.write_owed()

    async def stop(self) -> None:
        """End the passes, and save the marks of activity. This takes at most 5 s, whatever hangs.
        A removal that has not ended by then goes on without this controller."""
        self._reporter.armed = False
        loop, self._loop = self._loop, None
        if loop is None:
            return
        give_up_at = time.monotonic() + STOP_SECONDS
        await self.requests.wait_for_removals(STOP_SECONDS)
        left = max(give_up_at - time.monotonic(), 0.1)
        between_passes = await acquired(self._one_pass_at_a_time, left)
        loop.cancel()
        await asyncio.wait({loop, *self._passes.cancel_all()}, timeout=CANCEL_SECONDS)
        self._objections.close()
        # A pass that was cancelled may have seen activity that is not in the ledger yet. Then the
        # saved marks are not clean, and the next server does not trust them.
        await finish_within(SAVE_SECONDS, self._save(clean=between_passes))
        if between_passes:
            self._one_pass_at_a_time.release()

    async def _save(self, clean: bool) -> None:
        await self._saved_ledger.save_marks(self.situation.ledger, self._clock.moment, clean=clean)
        self._recorder.close()
        await self._history.write_owed()

    # -- the loop ----------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._run_next_pass()
                await self._wait_for_next_pass()
            except Exception as error:
                self._log.error("auto_shutdown: the loop of passes failed", exc_info=error)
                await asyncio.sleep(self.limits.poll_interval_seconds)

    async def _run_next_pass(self) -> None:
        kernels = self._changes.take()
        if self._clock.seconds_left() <= 0:
            kernels = None  # a removal is due, or the poll interval is over: a full pass
        await self._passes.watch(self._passes.begin(self.run_pass(kernels=kernels)))

    async def _wait_for_next_pass(self) -> None:
        """Wait until a full pass is due, or until shortly after a signal."""
        while (left := self._clock.seconds_left()) > 0:
            if await self._changes.wait(left):
                await asyncio.sleep(COALESCE_SECONDS)
                return

    def wake(self) -> None:
        """Begin the next full pass at once."""
        self._changes.anything_changed()

    def kernel_changed(self, kernel_id: str) -> None:
        """Begin a pass over one kernel: it began or ended work, started or ended."""
        self._changes.kernel_changed(kernel_id)

    @property
    def unsignalled_changes(self) -> int:
        """The number of changes that a full pass has found and that no signal reported."""
        return self._changes.unsignalled_changes

    # -- the passes --------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """Run a full pass now, with the arguments of ``run_pass``. Returns the report, also if the
        pass has not ended after ``CHECK_SECONDS``. Raises what ends the pass."""
        running = self._passes.begin(self.run_pass(dry_run, list_apps))
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
        """Run a pass as soon as the pass in progress has ended.

        ``dry_run`` only rehearses removals, ``list_apps`` asks SageMaker for the apps. ``kernels``
        holds the ids of the kernels that changed, if nothing else changed: then a partial pass over
        these is tried first.
        """
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
            # The full pass that follows does not need the result.
            self._log.error("auto_shutdown: a partial pass failed", exc_info=error)
            return False

    async def _full_pass(self, moment: Moment, dry_run: bool, list_apps: bool) -> None:
        failure: BaseException | None = None
        try:
            compare, before = self._changes.full_pass_begins(), self.situation.snapshot
            self._clock.adjust(moment)
            await self._retry_state_files(moment)
            await self._one_pass.run(moment, dry_run, list_apps)
            compare(before, self.situation.snapshot)
        except (Exception, asyncio.CancelledError) as error:
            failure = error
            raise
        finally:
            self._one_pass.watchdog.pass_ended()
            # Whatever fails from here on, the next pass waits for the poll.
            self._clock.full_pass_ended(None)
            self._full_pass_ended(moment, failure)

    def _full_pass_ended(self, moment: Moment, failure: BaseException | None) -> None:
        """Set the time of the next pass, and report this pass. ``failure`` is the error that ended
        the pass early (None: it is complete)."""
        self._reporter.full_pass_ended(failure, moment.now)
        self._clock.full_pass_ended(self._one_pass.next_moment(moment.now))
        self._last_pass_failed = failure is not None
        self._plan_list_for_panel()
        self._changes.end_waiting()  # a user's check may have found an earlier due time
        self._reporter.settle_faults(moment.now)
        situation, dry = self.situation, self.preferences.policy.dry_run
        self._report_line.pass_ended(moment, self.report, situation.snapshot, situation.plan, dry)

    async def _retry_state_files(self, moment: Moment) -> None:
        """Read the settings that another server of this home may have changed. Read and write
        again the files that failed so far."""
        self._one_pass.watchdog.step("reading the state files")
        await self.preferences.refresh(moment.now)
        await self._saved_ledger.retry(self.situation, moment)
        if self._history.error is not None:
            await self._history.write_owed()

    # -- report ------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """The report of the last pass (core/report.py), with the health at this moment."""
        return self._reporter.report(self.unsignalled_changes)

    @property
    def platform(self) -> Platform:
        """What this server runs in."""
        return self._world.platform

    # -- for requests ------------------------------------------------------------------------

    def panel_asked(self) -> None:
        """Note that a panel is open: list the apps often, and at once if the list is old."""
        self._app_listing.panel_asked(self._clock.read().monotonic)
        if self._plan_list_for_panel():
            self._changes.end_waiting()

    def _plan_list_for_panel(self) -> bool:
        """Run the next full pass when an open panel needs a new list of apps. Returns whether the
        pass is earlier than planned before."""
        if self._last_pass_failed:
            return False  # the list may still be due, and pass would follow pass
        due_at = self._one_pass.list_due_for_panel(self._clock.read().monotonic)
        return due_at is not None and self._clock.bring_forward(due_at)

    async def look(self, list_apps: bool) -> bool:
        """Observe the world after the pass in progress, without removing anything. Returns False
        if that pass has not ended after ``LOOK_SECONDS``."""
        if not await acquired(self._one_pass_at_a_time, LOOK_SECONDS):
            return False
        try:
            moment = self._clock.read()
            self._clock.adjust(moment)
            await self._one_pass.observe(moment, list_apps and self._world.has_apps)
            self._reporter.settle_faults(moment.now)
        finally:
            self._one_pass.watchdog.pass_ended()
            self._one_pass_at_a_time.release()
        return True

    def ledger_time(self) -> datetime:
        """The current instant by the clock of the ledger. After a step of the wall clock the ledger
        keeps its old time until the next pass shifts all of its instants."""
        return self._clock.ledger_time(self._one_pass_at_a_time.locked())

    async def save_keep_alives(self, changed: Ref) -> None:
        """Write the keep-alives after that on ``changed`` was set or released. Raises StoreError;
        then the next pass tries again."""
        await self._saved_ledger.save_holds(self.situation, self._clock.moment, changed)

    async def _read_other_servers(self) -> None:
        """Read the settings and keep-alives that other servers of this home have changed. Where
        nothing has changed, this costs one ``stat`` for each file."""
        moment = self._clock.moment
        await self.preferences.read_again(moment.now)
        await self._saved_ledger.read_others(self.situation, moment)

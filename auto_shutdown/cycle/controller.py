"""Begin the passes of one server when they are due, and load and save its state.

How a pass runs is in :mod:`~auto_shutdown.cycle.pass_runner`, its steps are in
:mod:`~auto_shutdown.cycle.one_pass`. The requests of users are in
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
from ..core.faults import Fault
from ..core.ledger import Ledger
from ..core.model import Ref
from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..state.savings import SavedSavings
from ..state.stopped import StoppedSessions
from ..state.store import Store
from ..world.clock import Clock
from ..world.platform import Platform
from ..world.stop_switch import StopSwitch
from ..world.world import World
from .announcer import Announcer
from .app_listing import AppListing
from .bounded_wait import acquired, finish_within
from .emergency_stop import EmergencyStop
from .health import Health
from .objections import Objections
from .one_pass import OnePass
from .outcomes import Outcomes
from .pass_clock import PassClock
from .pass_runner import PassRunner
from .pass_tasks import PassTasks
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

#: Seconds that ``check`` waits for its pass to end. After that, it answers with the report of the
#: last pass.
CHECK_SECONDS = 30.0

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
        self._changes = ReportedChanges()
        self._loop: asyncio.Task[None] | None = None
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
        self._tasks = tasks
        emergency_stop = EmergencyStop(switch or StopSwitch(), lambda: clock.read().monotonic)
        self._objections = Objections(emergency_stop, hooks or VetoHooks(log))
        remover = Remover(
            world,
            situation,
            now,
            lambda: self._clock.shifted,
            self.wake,
            tasks,
            outcomes,
            self._read_other_servers,
            emergency_stop,
        )
        app_listing = AppListing(limits.poll_interval_seconds)
        self._one_pass = OnePass(
            world,
            situation,
            preferences,
            savings,
            remover,
            self._objections,
            announcer,
            app_listing,
            self._clock,
            self._changes,
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
            self._changes,
        )
        self._passes = PassTasks(
            self._one_pass.watchdog, health, self._reporter, lambda: clock.read().now
        )
        self._runner = PassRunner(
            self._one_pass,
            situation,
            preferences,
            self._saved_ledger,
            history,
            app_listing,
            self._clock,
            self._changes,
            self._reporter,
            ReportLine(limits, world.platform.region_name, log),
            log,
        )
        world.app_list.on_end = self._runner.list_arrived
        requested = RequestedRemovals(situation, tasks, self.wake)
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
        between_passes = await acquired(self._runner.lock, left)
        await self._tasks.wait_for_all(max(give_up_at - time.monotonic(), 0.0))
        loop.cancel()
        await asyncio.wait({loop, *self._passes.cancel_all()}, timeout=CANCEL_SECONDS)
        self._objections.close()
        # A pass that was cancelled may have seen activity that is not in the ledger yet. Then the
        # saved marks are not clean, and the next server does not trust them.
        await finish_within(SAVE_SECONDS, self._save(clean=between_passes))
        if between_passes:
            self._runner.lock.release()

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
        """Run a full pass, with the arguments of ``run_pass``. Returns the report, also if the pass
        has not ended after ``CHECK_SECONDS``. Raises the error that ends the pass."""
        running = self._passes.begin(self.run_pass(dry_run, list_apps))
        await asyncio.wait({running}, timeout=CHECK_SECONDS)
        if running.done():
            running.result()  # raises the error of the pass
        return self.report()

    async def run_pass(
        self,
        dry_run: bool = False,
        list_apps: bool = False,
        kernels: Collection[str] | None = None,
    ) -> None:
        """As :meth:`PassRunner.run`."""
        await self._runner.run(dry_run, list_apps, kernels)

    # -- report ------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """As :meth:`Reporter.report`."""
        return self._reporter.report()

    @property
    def platform(self) -> Platform:
        """The platform on which this server runs."""
        return self._world.platform

    # -- for requests ------------------------------------------------------------------------

    def panel_asked(self) -> None:
        """As :meth:`PassRunner.panel_asked`."""
        self._runner.panel_asked()

    async def look(self, list_apps: bool) -> bool:
        """As :meth:`PassRunner.look`."""
        return await self._runner.look(list_apps)

    def ledger_time(self) -> datetime:
        """The current instant by the clock of the ledger. After a step of the wall clock the ledger
        keeps its old time until the next pass shifts all of its instants."""
        return self._clock.ledger_time(self._runner.lock.locked())

    async def save_keep_alives(self, changed: Ref) -> None:
        """Write all keep-alives to disk. ``changed`` is the resource whose keep-alive was set or
        released. Raises StoreError; then the next pass tries again."""
        await self._saved_ledger.save_holds(self.situation, self._clock.moment, changed)

    async def _read_other_servers(self) -> None:
        """Read the settings and keep-alives that other servers of this home have changed. If
        nothing has changed, this costs one ``stat`` for each file."""
        moment = self._clock.moment
        await self.preferences.read_again(moment.now)
        await self._saved_ledger.read_others(self.situation, moment)

"""Run the passes of one server one at a time, and set the time of the next full pass after each.

The steps of a pass are in :mod:`~auto_shutdown.cycle.one_pass`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..world.clock import Moment
from .app_listing import AppListing
from .bounded_wait import acquired
from .one_pass import OnePass
from .pass_clock import PassClock
from .report_line import ReportLine
from .reported_changes import ReportedChanges
from .reporter import Reporter
from .situation import Situation

#: Seconds that a request waits for a pass to end. After that, the request uses the last snapshot,
#: or is refused.
LOOK_SECONDS = 10.0

#: Seconds that a user's check waits for a new list of apps. Then it uses the last list.
CHECK_LIST_SECONDS = 20.0


class PassRunner:
    """Runs full and partial passes. ``lock`` is held during each pass."""

    def __init__(
        self,
        one_pass: OnePass,
        situation: Situation,
        preferences: Preferences,
        saved_ledger: SavedLedger,
        history: History,
        app_listing: AppListing,
        clock: PassClock,
        changes: ReportedChanges,
        reporter: Reporter,
        report_line: ReportLine,
        log: logging.Logger,
    ) -> None:
        self._one_pass = one_pass
        self._situation = situation
        self._preferences = preferences
        self._saved_ledger = saved_ledger
        self._history = history
        self._app_listing = app_listing
        self._clock = clock
        self._changes = changes
        self._reporter = reporter
        self._report_line = report_line
        self._log = log
        self._last_pass_failed = False
        self.lock = asyncio.Lock()

    async def run(
        self,
        dry_run: bool = False,
        list_apps: bool = False,
        kernels: Collection[str] | None = None,
    ) -> None:
        """Run a pass as soon as the pass in progress has ended.

        ``dry_run`` only rehearses removals. ``list_apps`` calls ListApps before the pass, also if
        the last list is recent; other passes run until the list arrives. ``kernels`` holds the ids
        of the kernels that changed, if nothing else changed: then a partial pass over these is
        tried first.
        """
        if list_apps:
            await self._wait_for_list(CHECK_LIST_SECONDS)
        async with self.lock:
            moment = self._clock.read()
            try:
                if kernels is None or not await self._partial_pass(moment, kernels):
                    await self._full_pass(moment, dry_run)
            finally:
                self._one_pass.watchdog.pass_ended()

    async def _partial_pass(self, moment: Moment, kernels: Collection[str]) -> bool:
        try:
            return await self._one_pass.run_partial(moment, kernels)
        except Exception as error:
            # The full pass that follows does not need the result.
            self._log.error("auto_shutdown: a partial pass failed", exc_info=error)
            return False

    async def _full_pass(self, moment: Moment, dry_run: bool) -> None:
        failure: BaseException | None = None
        try:
            compare, before = self._changes.full_pass_begins(), self._situation.snapshot
            self._clock.adjust(moment)
            await self._retry_state_files(moment)
            await self._one_pass.run(moment, dry_run)
            compare(before, self._situation.snapshot)
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
        self._plan_pass_for_list()
        self._changes.end_waiting()  # a user's check may have found an earlier due time
        self._reporter.settle_faults(moment.now)
        situation, dry = self._situation, self._preferences.policy.dry_run
        self._report_line.pass_ended(
            moment, self._reporter.report, situation.snapshot, situation.plan, dry
        )

    async def _retry_state_files(self, moment: Moment) -> None:
        """Read the settings that another server of this home may have changed. Read and write
        again the files that failed so far."""
        self._one_pass.watchdog.step("reading the state files")
        await self._preferences.refresh(moment.now)
        await self._saved_ledger.retry(self._situation, moment)
        if self._history.error is not None:
            await self._history.write_owed()

    async def look(self, list_apps: bool) -> bool:
        """Observe the world after the pass in progress, without removing anything. Returns False
        if that pass has not ended after ``LOOK_SECONDS``. ``list_apps`` calls ListApps before, and
        waits for the list for at most ``LOOK_SECONDS``."""
        if list_apps:
            await self._wait_for_list(LOOK_SECONDS)
        if not await acquired(self.lock, LOOK_SECONDS):
            return False
        try:
            moment = self._clock.read()
            self._clock.adjust(moment)
            await self._one_pass.observation.observe_and_advance(moment, list_apps=False)
            self._reporter.settle_faults(moment.now)
        finally:
            self._one_pass.watchdog.pass_ended()
            self.lock.release()
        return True

    def panel_asked(self) -> None:
        """Note that a panel is open: list the apps often, and at once if the list is old."""
        self._app_listing.panel_asked(self._clock.read().monotonic)
        if self._plan_list_for_panel():
            self._changes.end_waiting()

    async def _wait_for_list(self, seconds: float) -> None:
        await self._one_pass.observation.wait_for_list(self._clock.read().monotonic, seconds)

    def list_arrived(self) -> None:
        """Run a full pass soon, because a call of ListApps has ended. A full pass in progress that
        uses the list cancels that plan when it ends."""
        self._plan_pass_for_list()
        self._changes.end_waiting()

    def _plan_pass_for_list(self) -> None:
        """Run the next full pass at once if a list of apps has arrived that no pass has used."""
        if not self._last_pass_failed and self._one_pass.observation.has_unseen_list():
            self._clock.bring_forward(self._clock.read().monotonic)

    def _plan_list_for_panel(self) -> bool:
        """Run the next full pass when an open panel needs a new list of apps. Returns whether the
        pass is earlier than planned before."""
        if self._last_pass_failed:
            return False  # the list may still be due, and pass would follow pass
        due_at = self._one_pass.observation.list_due_for_panel(self._clock.read().monotonic)
        return due_at is not None and self._clock.bring_forward(due_at)

"""The cycle: observe, decide, act, report; and the timer that runs it.

This module holds no rule: ``core`` decides what is idle, ``world`` knows how to see and to remove.
It owns the order of the steps, the clock and the lock that keeps two passes apart. What users ask
for is in :mod:`~auto_shutdown.cycle.requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..config.settings import Limits
from ..core.at_work import last_at_work
from ..core.ledger import Ledger, advance, give_notice, learn, object_to, shift
from ..core.model import Kind, Snapshot
from ..core.policy import Policy
from ..core.questions import next_question, questions
from ..core.report import Passes, build
from ..core.verdict import Fault
from ..state.history import History
from ..state.preferences import Preferences
from ..state.saved_ledger import SavedLedger
from ..state.savings import Account
from ..state.store import Store
from ..world.clock import Clock, Moment
from ..world.platform import Platform
from ..world.world import World
from .app_listing import AppListing
from .health import Health
from .removal import Remover
from .report_line import ReportLine
from .requests import UserRequests
from .situation import Situation
from .veto import VetoHooks

#: A stop of the server waits that long for a pass in flight.
STOP_SECONDS = 10.0


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
    ) -> None:
        self.limits = limits
        self.preferences = Preferences(limits, store)
        self._world, self._history, self._clock = world, history, clock
        self._interval = limits.poll_interval_seconds
        self._grace = timedelta(minutes=limits.grace_minutes)
        self._one_pass_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._moment = clock.read()
        self._next_at: float | None = None
        self._passes = Passes(armed=False)
        self.situation = Situation(Ledger(quiet_until=self._moment.now + self._grace))
        self._savings = Account(store, world.platform.region_name, limits.hourly_prices)
        self._remover = Remover(world, history, self._savings, self.situation, log)
        self._hooks = hooks or VetoHooks(log)
        self._health = Health(log, standing_faults)
        self._report_line = ReportLine(limits, world.platform.region_name, log)
        self._app_listing = AppListing(limits.poll_interval_seconds)
        self._saved_ledger = SavedLedger(store, limits)
        self.requests = UserRequests(self, self._remover, history)

    # -- start and stop ----------------------------------------------------------------------

    async def start(self) -> None:
        """Load the state and begin the passes."""
        await self.load()
        self._passes = replace(self._passes, armed=True)
        self._loop = asyncio.ensure_future(self._run())

    async def load(self) -> None:
        """Restore the state of an earlier run, as far as it can be trusted."""
        self._moment = self._clock.read()
        now = self._moment.now
        await self.preferences.load(now)
        await self._savings.load(self._world.platform.own_app is not None, now)
        self.situation.ledger = await self._saved_ledger.load(self._moment)
        await self._history.write_owed()

    async def stop(self) -> None:
        """End the passes, after the removal in flight. Saves the marks of activity as complete."""
        self._passes = replace(self._passes, armed=False)
        loop, self._loop = self._loop, None
        if loop is None:
            return
        between_passes = False
        with contextlib.suppress(asyncio.TimeoutError):
            between_passes = await asyncio.wait_for(
                self._one_pass_at_a_time.acquire(), STOP_SECONDS
            )
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
        # A pass that was cut off may have seen more than the ledger says: then it is not clean.
        await self._saved_ledger.save_marks(
            self.situation.ledger, self._moment, clean=between_passes
        )
        await self._history.write_owed()
        if between_passes:
            self._one_pass_at_a_time.release()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # run_pass has made it a fault and logged it
                await self.run_pass()
            delay = (self._next_at or 0.0) - self._clock.read().monotonic
            self._wake.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(delay, 0.0))

    def wake(self) -> None:
        """Begin the next pass at once."""
        self._wake.set()

    # -- the cycle ---------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """Run a pass now, as ``run_pass``. Returns the report."""
        await self.run_pass(dry_run, list_apps)
        return self.report()

    async def run_pass(self, dry_run: bool = False, list_apps: bool = False) -> None:
        """Run a pass now. ``dry_run`` only rehearses removals, ``list_apps`` asks SageMaker for
        the apps."""
        async with self._one_pass_at_a_time:
            moment = self._clock.read()
            failure: Exception | None = None
            try:
                await self._cycle(moment, dry_run, list_apps)
                self._passes = replace(self._passes, last_ok_pass=moment.now)
            except Exception as error:
                failure = error
                raise
            finally:
                self._passes = replace(self._passes, last_pass=moment.now)
                self._health.pass_ended(failure, moment.now)
                self._schedule_next_pass(moment)
                self._settle_faults(moment.now)
                self._report_line.pass_ended(
                    moment,
                    self.report,
                    self.situation.snapshot,
                    self.situation.plan,
                    self.preferences.policy.dry_run,
                )

    async def _cycle(self, moment: Moment, dry_run: bool, list_apps: bool) -> None:
        now = moment.now
        self._adjust_to_clock(moment)
        await self._retry_state_files(moment)
        policy = self.preferences.policy_for(dry_run)

        await self._observe(moment, list_apps or self._app_list_is_due(moment, policy))
        self.situation.decide(policy, now)
        await self._ask_for_background_work(policy, now)
        await self._ask_veto_hooks(policy, now)
        if self._removes_apps(policy) and not self._app_listing.made_at(moment.monotonic):
            # An app is never deleted on an old list.
            await self._observe(moment, list_apps=self._world.has_apps)
            self.situation.decide(policy, now)
        self._give_notice(now)

        await self._carry_out_removals(moment, dry_run)

        await self._savings.look(self.situation.snapshot, now)
        await self._tell_native_idle_shutdown(now)

    def _adjust_to_clock(self, moment: Moment) -> None:
        """Keep every duration what it was after a step of the wall clock. After a step or a long
        pause (a frozen process, a sleeping laptop) a new grace period begins."""
        step = moment.step_since(self._moment)
        late = self._next_at is not None and (moment.monotonic - self._next_at > 3 * self._interval)
        self._moment = moment
        if step:
            self.situation.ledger = shift(self.situation.ledger, step)
            self._saved_ledger.clock_stepped(step)
        if step or late:
            self.situation.ledger = replace(
                self.situation.ledger, quiet_until=moment.now + self._grace
            )

    async def _retry_state_files(self, moment: Moment) -> None:
        """Read what other servers of this home have changed. Try again what failed so far."""
        await self.preferences.refresh(moment.now)
        await self._saved_ledger.retry(self.situation, moment)
        if self._history.error is not None:
            await self._history.write_owed()

    def _app_list_is_due(self, moment: Moment, policy: Policy) -> bool:
        shortest = policy.shortest_app_limit().total_seconds()
        return self._world.has_apps and self._app_listing.is_due(moment.monotonic, shortest)

    async def _observe(self, moment: Moment, list_apps: bool) -> None:
        situation = self.situation
        snapshot = await self._world.observe(list_apps)
        outdated = self._world.has_apps and self._app_listing.is_outdated(
            moment.monotonic, situation.ledger, snapshot.resources
        )
        if outdated and not list_apps:
            list_apps = True
            snapshot = await self._world.observe(list_apps)
        if list_apps:
            self._app_listing.was_made(moment.monotonic, Snapshot.APPS in snapshot.unread)
        situation.snapshot = snapshot
        situation.ledger = advance(situation.ledger, snapshot, moment.now)

    async def _ask_for_background_work(self, policy: Policy, now: datetime) -> None:
        """Ask what is due soon whether anything works in its background."""
        situation = self.situation
        asked = questions(situation.snapshot, situation.plan, situation.ledger, policy, now)
        if asked:
            answers = await self._world.ask(asked)
            situation.ledger = learn(situation.ledger, answers, now)
            situation.decide(policy, now)

    async def _ask_veto_hooks(self, policy: Policy, now: datetime) -> None:
        """Ask the veto hooks about what is due now."""
        situation = self.situation
        removals = situation.plan.removals
        vetoes = await self._hooks.ask(removals, now) if removals else {}
        if vetoes:
            situation.ledger = object_to(situation.ledger, vetoes)
            situation.decide(policy, now)

    def _removes_apps(self, policy: Policy) -> bool:
        removals = self._remover.removals_to_carry_out(policy)
        return any(decision.ref.kind is Kind.APP for decision in removals)

    def _give_notice(self, now: datetime) -> None:
        situation = self.situation
        situation.ledger = give_notice(situation.ledger, situation.plan.decisions, now)

    async def _carry_out_removals(self, moment: Moment, dry_run: bool) -> None:
        """Carry out the removals of the plan, each alone, and observe what they changed."""
        now = moment.now
        # Users may change the policy while a removal takes its time.
        current_policy = partial(self.preferences.policy_for, dry_run)
        removals = self._remover.removals_to_carry_out(current_policy())
        any_ended = False
        for decision in removals:
            ended = await self._remover.carry_out(decision, current_policy, now)
            any_ended = any_ended or ended
        policy = current_policy()
        if any_ended:
            await self._observe(moment, self._world.has_apps and self._removes_apps(policy))
        if removals:
            self.situation.decide(policy, now)

    async def _tell_native_idle_shutdown(self, now: datetime) -> None:
        """Tell whoever else would stop this server that something is at work."""
        at_work = last_at_work(self.situation.snapshot, self.situation.ledger, now)
        if at_work is not None:
            await self._world.protect(at_work)

    def _schedule_next_pass(self, moment: Moment) -> None:
        """The next pass runs at the next warning or removal, or after the poll interval."""
        current = self._clock.read()
        delay = self._interval
        situation, policy = self.situation, self.preferences.policy
        ahead = (
            situation.plan.next_moment(moment.now),
            next_question(situation.snapshot, situation.plan, situation.ledger, policy, moment.now),
        )
        upcoming = min((at for at in ahead if at is not None), default=None)
        if upcoming is not None:
            # A timer may fire a moment early: never before the instant itself.
            until = (upcoming - current.now).total_seconds() + 0.001
            delay = min(delay, max(until, 0.0))
        self._next_at = current.monotonic + delay
        next_pass = current.now + timedelta(seconds=delay)
        self._passes = replace(self._passes, next_pass=next_pass)

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
            passes=self._passes,
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
            *self._hooks.faults(now),
            *self._world.faults(now),
        )
        self._health.settle(self.situation.snapshot, self.situation.ledger, others, now)

    @property
    def platform(self) -> Platform:
        """What this server runs in."""
        return self._world.platform

    # -- for requests ------------------------------------------------------------------------

    def panel_asked(self) -> None:
        """A panel is open: the list of apps is kept at most a minute old."""
        self._app_listing.panel_asked(self._clock.read().monotonic)

    async def look(self, list_apps: bool) -> None:
        """Observe the world after the pass under way, without removing anything."""
        async with self._one_pass_at_a_time:
            moment = self._clock.read()
            self._adjust_to_clock(moment)
            await self._observe(moment, list_apps and self._world.has_apps)
            self._settle_faults(moment.now)

    def ledger_time(self) -> datetime:
        """Now, by the clock that the instants of the ledger are given in. The next pass shifts
        them all when the wall clock was stepped meanwhile."""
        moment = self._clock.read()
        if self._one_pass_at_a_time.locked():
            return moment.now - moment.step_since(self._moment)
        self._adjust_to_clock(moment)
        return moment.now

    async def save_keep_alives(self) -> None:
        """Write the keep-alives. Raises StoreError; they are tried again then."""
        await self._saved_ledger.save_holds(self.situation, self._moment)

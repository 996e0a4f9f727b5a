"""The cycle: observe, decide, act, report; and the timer that runs it.

This module holds no rule: ``core`` decides what is idle, ``world`` knows how to see and to remove.
It owns the order of the steps, the clock and the lock that keeps two passes apart. What users ask
for is in :mod:`~auto_shutdown.cycle.requests`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..config.settings import Limits
from ..core.at_work import last_at_work
from ..core.ledger import Ledger, add_vetoes, advance, give_notice, record_answers, shift
from ..core.model import Kind, Snapshot
from ..core.policy import Policy
from ..core.questions import next_question, questions
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
from .removal import Remover
from .report_line import ReportLine
from .requests import UserRequests
from .session_recorder import SessionRecorder
from .situation import Situation
from .veto import VetoHooks
from .watchdog import GIVE_UP_SECONDS, LATE_SECONDS, Watchdog

#: Seconds that a stop of the server waits for the step under way, for a pass that was cancelled,
#: and for the state files: together less than 5.
STOP_SECONDS = 2.5
CANCEL_SECONDS = 0.5
SAVE_SECONDS = 1.5

#: Seconds that a request waits for a pass to end. Then it is answered from what is known.
CHECK_SECONDS = 30.0
LOOK_SECONDS = 10.0

#: Seconds that a pass waits for one removal, and for all. Then it goes on, and the removals go on
#: beside it.
REMOVAL_SECONDS = 10.0
REMOVALS_SECONDS = 30.0

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
        self._world, self._history, self._clock = world, history, clock
        self._interval = limits.poll_interval_seconds
        self._grace = timedelta(minutes=limits.grace_minutes)
        self._one_pass_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._passes_begun: set[asyncio.Task[None]] = set()
        self._watchdog = Watchdog()
        self._had_a_pass = False
        self.unsignalled_changes = 0
        self._moment = clock.read()
        self._next_at: float | None = None
        #: When this server's passes began.
        self.started_at = self._moment.now
        self._passes = Passes(armed=False)
        self.situation = Situation(Ledger(quiet_until=self._moment.now + self._grace))
        self.announcer = Announcer(log)
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
        self._hooks = hooks or VetoHooks(log)
        self._emergency_stop = EmergencyStop(switch or StopSwitch())
        self._health = Health(log, standing_faults, self.announcer)
        self._report_line = ReportLine(limits, world.platform.region_name, log)
        self._app_listing = AppListing(limits.poll_interval_seconds)
        self._saved_ledger = SavedLedger(store, limits)
        self.requests = UserRequests(self, self._remover, history, self._recorder)

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
        self._hooks.close()
        # A pass that was cut off may have seen more than the ledger says: then it is not clean.
        await _within(SAVE_SECONDS, self._save(clean=between_passes))
        if between_passes:
            self._one_pass_at_a_time.release()

    async def _save(self, clean: bool) -> None:
        await self._saved_ledger.save_marks(self.situation.ledger, self._moment, clean=clean)
        self._recorder.close()
        await self._history.write_owed()

    async def _run(self) -> None:
        while True:
            signalled = self._wake.is_set()
            self._wake.clear()
            before, outcomes = self._observed(), self._remover.outcomes_so_far
            await self._watch(self._begin_pass())
            self._count_unsignalled(before, signalled or outcomes != self._remover.outcomes_so_far)
            delay = (self._next_at or 0.0) - self._clock.read().monotonic
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(delay, 0.0))
                await asyncio.sleep(COALESCE_SECONDS)

    def _observed(self) -> frozenset[tuple[str, str]]:
        """The kernels with their states, and the terminals: what signals tell of."""
        snapshot = self.situation.snapshot
        kernels = {(kernel.id, kernel.state) for kernel in snapshot.kernels}
        return frozenset(kernels | {(terminal.id, "") for terminal in snapshot.terminals})

    def _count_unsignalled(self, before: frozenset[tuple[str, str]], explained: bool) -> None:
        """Count a poll that found a change of which no signal told: on a server that has all
        signals that is a defect (the first pass finds everything)."""
        # A signal that comes while the pass runs tells of what the pass has found already.
        if not explained and not self._wake.is_set() and self._had_a_pass:
            self.unsignalled_changes += before != self._observed()
        self._had_a_pass = True

    def _begin_pass(self, dry_run: bool = False, list_apps: bool = False) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self.run_pass(dry_run, list_apps))
        self._passes_begun.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._passes_begun.discard(task)
            if not task.cancelled():
                task.exception()  # run_pass has made it a fault and logged it

        task.add_done_callback(ended)
        return task

    async def _watch(self, running: asyncio.Task[None]) -> None:
        """Wait for a pass. Report one that is late; give up one that does not end."""
        while not running.done():
            await asyncio.wait({running}, timeout=WATCH_SECONDS)
            seconds = self._watchdog.seconds
            if running.done() or seconds < LATE_SECONDS:
                continue
            now = self._clock.read().now
            self._health.pass_is_late(self._watchdog.waiting_for, seconds, now)
            self._settle_faults(now)
            if seconds >= GIVE_UP_SECONDS:
                for task in self._passes_begun:
                    task.cancel()

    def wake(self) -> None:
        """Begin the next pass at once."""
        self._wake.set()

    # -- the cycle ---------------------------------------------------------------------------

    async def check(self, dry_run: bool = False, list_apps: bool = False) -> dict[str, Any]:
        """Run a pass now, as ``run_pass``. Returns the report, also when the pass has not ended
        after ``CHECK_SECONDS``."""
        running = self._begin_pass(dry_run, list_apps)
        await asyncio.wait({running}, timeout=CHECK_SECONDS)
        if running.done():
            running.result()  # raises what went wrong
        return self.report()

    async def run_pass(self, dry_run: bool = False, list_apps: bool = False) -> None:
        """Run a pass now. ``dry_run`` only rehearses removals, ``list_apps`` asks SageMaker for
        the apps."""
        async with self._one_pass_at_a_time:
            moment = self._clock.read()
            failure: BaseException | None = None
            try:
                await self._cycle(moment, dry_run, list_apps)
                self._passes = replace(self._passes, last_ok_pass=moment.now)
            except (Exception, asyncio.CancelledError) as error:
                failure = error
                raise
            finally:
                self._watchdog.pass_ended()
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

        self._watchdog.step("writing what was saved")
        await self._savings.look(self.situation.snapshot, now)
        await self._report_at_work(now)

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
        self._watchdog.step("reading the state files")
        await self.preferences.refresh(moment.now)
        await self._saved_ledger.retry(self.situation, moment)
        if self._history.error is not None:
            await self._history.write_owed()

    def _app_list_is_due(self, moment: Moment, policy: Policy) -> bool:
        shortest = policy.shortest_app_limit().total_seconds()
        return self._world.has_apps and self._app_listing.is_due(moment.monotonic, shortest)

    async def _observe(self, moment: Moment, list_apps: bool) -> None:
        situation = self.situation
        self._watchdog.step("reading the kernels, terminals and apps")
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
            self._watchdog.step("asking what is due whether it works in the background")
            answers = await self._world.ask(asked)
            situation.ledger = record_answers(situation.ledger, answers, now)
            situation.decide(policy, now)

    async def _ask_veto_hooks(self, policy: Policy, now: datetime) -> None:
        """Ask the administrator's switch, and then the veto hooks, about what is due now."""
        situation = self.situation
        removals = situation.plan.removals
        self._watchdog.step("asking whether an administrator has stopped removals")
        vetoes = await self._emergency_stop.objections(removals, now)
        if removals and not vetoes:
            self._watchdog.step("asking the veto hooks")
            vetoes = await self._hooks.ask(removals, now)
        if vetoes:
            situation.ledger = add_vetoes(situation.ledger, vetoes)
            situation.decide(policy, now)

    def _removes_apps(self, policy: Policy) -> bool:
        removals = self._remover.removals_to_carry_out(policy)
        return any(decision.ref.kind is Kind.APP for decision in removals)

    def _give_notice(self, now: datetime) -> None:
        """Remember which removals are announced by now, and announce the new ones."""
        situation = self.situation
        before = situation.ledger.notices
        situation.ledger = give_notice(situation.ledger, situation.plan.decisions, now)
        for decision, resource in zip(situation.plan.decisions, situation.snapshot.resources):
            notice = situation.ledger.notices.get(decision.ref)
            if notice is not None and notice != before.get(decision.ref):
                self.announcer.notice(decision, resource)

    async def _carry_out_removals(self, moment: Moment, dry_run: bool) -> None:
        """Carry out the removals of the plan, each alone, and observe what they changed."""
        now = moment.now
        # Users may change the policy while a removal takes its time.
        current_policy = partial(self.preferences.policy_for, dry_run)
        removals = self._remover.removals_to_carry_out(current_policy())
        any_ended = False
        give_up_at = time.monotonic() + REMOVALS_SECONDS
        for decision in removals:
            # An administrator may stop everything while a long row of removals is carried out.
            stopped = await self._emergency_stop.objections([decision], self._clock.read().now)
            self.situation.ledger = add_vetoes(self.situation.ledger, stopped)
            self._watchdog.step(f"removing {decision.ref}")
            patience = min(REMOVAL_SECONDS, max(give_up_at - time.monotonic(), 0.0))
            ended = await self._remover.carry_out(decision, current_policy, now, patience)
            any_ended = any_ended or ended
        policy = current_policy()
        if any_ended:
            await self._observe(moment, self._world.has_apps and self._removes_apps(policy))
        if removals:
            self.situation.decide(policy, now)

    async def _report_at_work(self, now: datetime) -> None:
        """Tell whoever else would stop this server that something is at work."""
        at_work = last_at_work(self.situation.snapshot, self.situation.ledger, now)
        if at_work is not None:
            self._watchdog.step("telling the host that something is at work")
            await self._world.report_at_work(at_work)

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
            *self._emergency_stop.faults(now),
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
            self._adjust_to_clock(moment)
            await self._observe(moment, list_apps and self._world.has_apps)
            self._settle_faults(moment.now)
        finally:
            self._watchdog.pass_ended()
            self._one_pass_at_a_time.release()
        return True

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

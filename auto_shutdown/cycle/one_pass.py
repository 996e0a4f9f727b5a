"""One pass: observe, decide, act. ``core`` decides what is idle, ``world`` observes and removes.

A full pass observes everything, and removes what is due. A partial pass observes only the kernels
that signals named, and never removes anything: where a removal is near, a full pass follows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import partial

from ..core.answers import record_answers
from ..core.decision import Decision, Plan
from ..core.last_at_work import last_at_work
from ..core.ledger import add_vetoes, give_notice
from ..core.marks import BUSY
from ..core.model import Kind, Ref, Snapshot
from ..core.outcome import Outcome
from ..core.partial import advance_kernels, decide_part
from ..core.policy import Policy
from ..core.questions import Schedule, next_question, questions, questions_now, schedule
from ..core.under_way import with_postponed_queries
from ..state.preferences import Preferences
from ..state.savings import SavedSavings
from ..world.app_list import NOT_LISTED_YET
from ..world.clock import Moment
from ..world.world import World
from .announcer import Announcer
from .app_listing import AppListing
from .full_observation import FullObservation
from .objections import Objections
from .pass_clock import PassClock
from .pass_patience import PassPatience
from .removal import Remover
from .reported_changes import ReportedChanges
from .situation import Situation
from .watchdog import Watchdog

#: Seconds that a pass waits for one removal, and for all removals together, while nothing else
#: changes or is due. After that the pass goes on, and the removals go on beside it.
REMOVAL_SECONDS = 10.0
REMOVALS_SECONDS = 30.0

#: Seconds that a pass waits for the stop switch while nothing changes. Reading it has a time limit
#: of its own, which is shorter.
SWITCH_SECONDS = 60.0


class OnePass:
    """The steps of a pass. They change ``situation``."""

    def __init__(
        self,
        world: World,
        situation: Situation,
        preferences: Preferences,
        savings: SavedSavings,
        remover: Remover,
        objections: Objections,
        announcer: Announcer,
        app_listing: AppListing,
        clock: PassClock,
        changes: ReportedChanges,
    ) -> None:
        self._changes = changes
        self._patience = PassPatience(changes)
        self._world = world
        self._situation = situation
        self._preferences = preferences
        self._savings = savings
        self._remover = remover
        self._objections = objections
        self._announcer = announcer
        self._clock = clock
        self._scheduled: tuple[tuple[object, ...], Schedule] = ((), {})
        self.watchdog = Watchdog()
        self.observation = FullObservation(
            world, situation, preferences, app_listing, clock, self.watchdog
        )

    # -- a partial pass ----------------------------------------------------------------------

    async def run_partial(self, moment: Moment, kernel_ids: Collection[str]) -> bool:
        """Observe these kernels, and decide on them and on their apps again. Returns False, with
        nothing changed, if a full pass is needed instead."""
        now, situation, policy = moment.now, self._situation, self._preferences.policy
        if situation.removals_under_way or self._clock.was_stepped(moment):
            return False
        self.watchdog.step("reading the kernels that changed")
        kernels = await self._world.observe_kernels(kernel_ids)
        # No await from here until the situation is replaced, because requests change it, too.
        snapshot = situation.snapshot.with_kernels(kernels) if kernels else None
        if snapshot is None:
            return False
        part = snapshot.part(kernel_ids)
        ledger = advance_kernels(situation.ledger, part, self.observation.observed_at())
        decided = decide_part(situation.plan, part, snapshot, ledger, policy, now)
        if decided is None:
            return False
        plan, of_part = decided
        if questions(part, of_part, ledger, policy, now):
            return False
        situation.snapshot, situation.ledger, situation.plan = snapshot, ledger, plan
        self._give_notice(part, of_part, now)
        self._announcer.rows_may_have_changed(part.resources, of_part)
        self._clock.partial_pass_ended(self._next_moment_of(part, of_part, now))
        if any(kernel.state == BUSY and not kernel.waits_alone for kernel in part.kernels):
            await self._report_at_work(now)
        return True

    # -- a full pass -------------------------------------------------------------------------

    async def run(self, moment: Moment, dry_run: bool) -> None:
        """Observe everything, and remove what is due. ``dry_run`` only rehearses removals."""
        now, situation = moment.now, self._situation
        policy = self._preferences.policy_for(dry_run)
        self._patience = PassPatience(self._changes)
        self._remover.pass_begins()

        list_apps = moment.monotonic >= self.observation.list_due_at(moment.monotonic)
        await self.observation.observe_and_advance(moment, list_apps)
        situation.decide(policy, now)
        await self._ask_for_background_work(policy, now)
        asked = await self._plan_with_new_list(moment, policy)
        # A late list must not void a notice, so give the notices before the apps are kept.
        self._give_notice(situation.snapshot, situation.plan, now)
        self._keep_apps_without_new_list(moment, policy)
        may_remove = await self._ask_for_objections(policy, now, asked)

        if may_remove:
            await self._carry_out_removals(moment, dry_run)

        self.watchdog.step("writing the savings")
        await self._savings.look(situation.snapshot, now)
        at_work = last_at_work(situation.snapshot, situation.ledger, now)
        if at_work is not None:
            await self._report_at_work(at_work)

    def _needs_new_list(self, moment: Moment, policy: Policy) -> bool:
        """Whether only an old list prevents the removal of an app in this pass."""
        return self.observation.has_old_list(moment) and self._can_remove_apps(policy, moment.now)

    async def _plan_with_new_list(self, moment: Moment, policy: Policy) -> set[Ref]:
        """Ask for objections to the plan. If it still removes apps, call ListApps, because a pass
        deletes an app only if SageMaker lists it now, and make the plan again. Do nothing while a
        call that the plan needs is in progress. Returns the resources whose removal was asked
        about."""
        asked: set[Ref] = set()
        if self._world.app_list.call is not None and self._needs_new_list(moment, policy):
            return asked
        await self._ask_for_objections(policy, moment.now, asked)
        if self._needs_new_list(moment, policy):
            await self.observation.observe_and_advance(moment, list_apps=True)
            self._situation.decide(policy, moment.now)
            await self._ask_for_objections(policy, moment.now, asked)
        return asked

    def _keep_apps_without_new_list(self, moment: Moment, policy: Policy) -> None:
        """Decide to keep the apps and what is removed only with them, while the list that this pass
        needs has not arrived. The pass that follows its arrival decides again."""
        situation = self._situation
        # This includes an app that waits for the removal of its kernels: it may end in this pass.
        if self.observation.has_old_list(moment) and self._removes_apps(policy):
            unread = {**situation.snapshot.unread, Snapshot.APPS: NOT_LISTED_YET}
            situation.snapshot = replace(situation.snapshot, unread=unread)
            situation.decide(policy, moment.now)

    async def _ask_for_background_work(self, policy: Policy, now: datetime) -> None:
        """Ask the resources that are due soon whether they do background work."""
        situation = self._situation
        asked = questions_now(self._schedule(situation.snapshot, situation.plan, policy, now), now)
        if asked:
            self.watchdog.step("asking resources that are due whether they do background work")
            with self._world.asking(asked):
                answers = await self._world.ask(asked)
                situation.ledger = record_answers(
                    situation.ledger, answers, self.observation.observed_at()
                )
            situation.decide(policy, now)

    async def _ask_for_objections(self, policy: Policy, now: datetime, asked: set[Ref]) -> bool:
        """Ask for objections to the removals of the plan that are not in ``asked``, and add them to
        it. An objection to one removal may change the plan, so ask until it has no new removal.

        Returns False if a change signal came before the stop switch was read. Then this pass must
        remove nothing. The next pass follows at once."""
        situation = self._situation
        while True:
            removals = [each for each in situation.plan.removals if each.ref not in asked]
            if not await self._stop_switch_was_read(removals, now):
                return False
            asked.update(decision.ref for decision in removals)
            vetoes = await self._objections.ask(removals, now, self.watchdog.step)
            if not vetoes:
                return True
            situation.ledger = add_vetoes(situation.ledger, vetoes)
            situation.decide(policy, now)

    async def _stop_switch_was_read(self, removals: Collection[Decision], now: datetime) -> bool:
        """Read the stop switch, if ``removals`` need it. Returns False if this pass stopped waiting
        for it because of a change signal. Then another pass begins when it has been read."""
        reading = self._objections.emergency_stop.reading(removals, now)
        if reading is None:
            return True
        self.watchdog.step("asking whether an administrator has stopped removals")
        if await self._patience.wait_for(reading, SWITCH_SECONDS):
            return True
        reading.add_done_callback(lambda _reading: self._changes.anything_changed())
        return False

    def _removes_apps(self, policy: Policy) -> bool:
        return any(self._apps_to_remove(policy))

    def _can_remove_apps(self, policy: Policy, now: datetime) -> bool:
        """Whether the plan removes an app whose removal can begin now. Otherwise a new list would
        be of no use, and each pass during a slow shutdown would call ListApps."""
        return any(self._remover.can_begin(ref, now) for ref in self._apps_to_remove(policy))

    def _apps_to_remove(self, policy: Policy) -> list[Ref]:
        removals = self._remover.removals_to_carry_out(policy)
        return [decision.ref for decision in removals if decision.ref.kind is Kind.APP]

    def _give_notice(self, snapshot: Snapshot, plan: Plan, now: datetime) -> None:
        """Record in the ledger which removals are announced, and announce the new ones. ``plan``
        has the decision on each resource of ``snapshot``, in their order."""
        situation = self._situation
        before = situation.ledger.notices
        situation.ledger = give_notice(situation.ledger, plan.decisions, now)
        for decision, resource in zip(plan.decisions, snapshot.resources):
            notice = situation.ledger.notices.get(decision.ref)
            if notice is not None and notice != before.get(decision.ref):
                self._announcer.notice(decision, resource)

    async def _carry_out_removals(self, moment: Moment, dry_run: bool) -> None:
        """Carry out the removals of the plan, one after another, and observe the result."""
        now, situation = moment.now, self._situation
        # Users may change the policy while a removal takes its time.
        current_policy = partial(self._preferences.policy_for, dry_run)
        removals = self._remover.removals_to_carry_out(current_policy())
        if not removals:
            return
        any_ended = False
        give_up_at = time.monotonic() + self._seconds_for_removals(now)

        async def wait_for(removal: asyncio.Future[Outcome]) -> None:
            seconds = min(REMOVAL_SECONDS, give_up_at - time.monotonic())
            await self._patience.wait_for(removal, seconds)

        for decision in removals:
            if self._remover.must_wait(now):
                break
            if not await self._stop_switch_was_read([decision], self._clock.ledger_time(True)):
                break
            self.watchdog.step(f"removing {decision.ref}")
            ended = await self._remover.carry_out(decision, current_policy, now, wait_for)
            any_ended = any_ended or ended
        policy = current_policy()
        if any_ended:
            await self.observation.observe_and_advance(moment, self._can_remove_apps(policy, now))
        situation.decide(policy, now)
        self._keep_apps_without_new_list(moment, policy)

    def _seconds_for_removals(self, now: datetime) -> float:
        """How long the pass of ``now`` may wait for its removals: at most until something else is
        due."""
        upcoming = self.next_moment(now)
        if upcoming is None:
            return REMOVALS_SECONDS
        return min(REMOVALS_SECONDS, (upcoming - self._clock.ledger_time(True)).total_seconds())

    async def _report_at_work(self, at: datetime) -> None:
        """Report to SageMaker's own idle shutdown that something worked ``at`` that time."""
        self.watchdog.step("reporting to the host that something is at work")
        await self._world.report_at_work(at)

    def next_moment(self, now: datetime) -> datetime | None:
        """The earliest instant after ``now`` at which a notice, a removal or a query for background
        work is due (None: there is none)."""
        situation = self._situation
        return self._next_moment_of(situation.snapshot, situation.plan, now)

    def _next_moment_of(self, snapshot: Snapshot, plan: Plan, now: datetime) -> datetime | None:
        planned = self._schedule(snapshot, plan, self._preferences.policy, now)
        ahead = (plan.next_moment(now), next_question(planned, now))
        return min((at for at in ahead if at is not None), default=None)

    def _schedule(self, snapshot: Snapshot, plan: Plan, policy: Policy, now: datetime) -> Schedule:
        """The schedule of the queries for background work. A full pass needs it twice, and a notice
        in between changes nothing that it depends on, except that removals begin and end."""
        ledger = self._situation.ledger
        inputs = (snapshot, plan, ledger.marks, ledger.rehearsed, policy, now)
        known, planned = self._scheduled
        if len(known) != len(inputs) or any(a is not b for a, b in zip(inputs, known)):
            planned = schedule(snapshot, plan, ledger, policy, now)
            self._scheduled = inputs, planned
        return with_postponed_queries(planned, snapshot, self._remover.in_progress, now)

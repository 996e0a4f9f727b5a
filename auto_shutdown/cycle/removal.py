"""Carry out the removals of a plan: look at each resource again, decide again, and remove it only
if that decision is still to remove. A failure of one resource never stops the removal of another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from ..core.advance import advance_part
from ..core.apps import tenants_by_app
from ..core.decision import Decision, Reason
from ..core.faults import Fault
from ..core.ledger import add_vetoes, record
from ..core.model import App, Kind, Ref, Resource, Snapshot, Terminal
from ..core.outcome import Outcome, Result
from ..core.planner import decide
from ..core.policy import Policy
from ..core.translatable import sentence
from ..core.under_way import LATE
from ..world.world import World
from .emergency_stop import EmergencyStop
from .last_look import LastLook, look_again
from .outcomes import Outcomes, stale
from .removal_record import Removal
from .removal_tasks import RemovalTasks
from .situation import Situation

#: No pass begins a removal while so many removals go on beside the passes. Each reads the state
#: files and the stop switch, and a shutdown may need processor time of its kernel. A late removal
#: does not count: it may never end.
MOST_BESIDE = 5

LATE_REMEDY = sentence(
    "Wait: the extension tries nothing else meanwhile. If the fault stays, see the messages "
    "of the kernel manager in the server's log, and restart the server."
)


class Remover:
    """Carries out the removals in the plans of one server.

    ``ledger_time`` returns the current instant by the clock of the ledger. After a step of the wall
    clock, all instants of the ledger are shifted; ``ledger_shift`` returns by how much in total
    since the server started. ``wake`` begins another pass. ``read_other_servers`` reads the
    settings and keep-alives that users have set on other servers of this home. ``emergency_stop``
    reads the administrator's stop switch."""

    def __init__(
        self,
        world: World,
        situation: Situation,
        ledger_time: Callable[[], datetime],
        ledger_shift: Callable[[], timedelta],
        wake: Callable[[], None],
        tasks: RemovalTasks,
        outcomes: Outcomes,
        read_other_servers: Callable[[], Awaitable[None]],
        emergency_stop: EmergencyStop,
    ) -> None:
        self._world = world
        self._situation = situation
        self._ledger_time = ledger_time
        self._ledger_shift = ledger_shift
        self._wake = wake
        self._tasks = tasks
        self._outcomes = outcomes
        self._read_other_servers = read_other_servers
        self._emergency_stop = emergency_stop
        #: The removals for which a pass has stopped waiting, and the instant of that pass.
        self._beside: dict[asyncio.Future[Outcome], datetime] = {}

    def faults(self, now: datetime) -> list[Fault]:
        """The removals that take too long."""
        return [
            Fault(
                f"shutdown of {ref}",
                "ShutdownLate",
                _late_message(ref, since, now),
                LATE_REMEDY,
                now,
            )
            for ref, since in self._situation.removals_under_way.items()
            if now - since >= LATE
        ]

    def removals_to_carry_out(self, policy: Policy) -> list[Decision]:
        """The removals of the plan in the order to act. In a dry run, a removal that was already
        rehearsed is left out until the resource has been active again.

        Image terminals are left out. DeleteApp ends them with their app. If the app stays, for
        example because DeleteApp is denied, its terminals must stay, too."""
        situation = self._situation
        return [
            decision
            for decision in situation.plan.removals
            if not _is_image_terminal(situation.snapshot.find(decision.ref))
            and not (
                policy.dry_run and situation.ledger.was_rehearsed(decision.ref, decision.idle_since)
            )
        ]

    @property
    def in_progress(self) -> Mapping[Ref, datetime]:
        """The removals in progress: for each resource, the instant when its removal began."""
        return self._tasks.in_progress

    def must_wait(self, now: datetime) -> bool:
        """Whether no removal can begin, because too many are in progress. Another pass begins when
        one of them ends."""
        current = [at for at in self._beside.values() if timedelta(0) <= now - at < LATE]
        return len(current) >= MOST_BESIDE

    def can_begin(self, ref: Ref, now: datetime) -> bool:
        """Whether the removal of ``ref`` can begin: it is not in progress, waits for no other, and
        has not ended during this pass. Another pass follows its end."""
        waits = self.must_wait(now) or self._waits_for_tenants(ref, now)
        return not (waits or self._tasks.has(ref) or self._tasks.ended_in_pass(ref))

    def pass_begins(self) -> None:
        """Note that a full pass begins."""
        self._tasks.pass_begins()

    async def carry_out(
        self,
        decision: Decision,
        current_policy: Callable[[], Policy],
        now: datetime,
        wait_for: Callable[[asyncio.Future[Outcome]], Awaitable[None]],
    ) -> bool:
        """Look again, decide again, and carry out one removal of the plan. ``wait_for`` waits for
        its end for a limited time; after that the removal continues while passes run. Returns
        whether the resource is gone. Never raises for the failure of one resource."""
        ref, situation = decision.ref, self._situation
        # An administrator may stop all removals while a long series of them is carried out.
        await self._read_stop_switch(decision)
        if not self.can_begin(ref, now):
            return False
        before = situation.snapshot
        began_at = time.monotonic()
        try:
            to_observe = _ref_to_observe(decision, before)
            fresh = await look_again(self._world, to_observe, current_policy())
        except Exception as error:
            outcome = self._outcomes.failure(error)  # the other removals of the pass go on
            removal = Removal(decision, before.find(ref), current_policy(), now)
            self._outcomes.add(removal, outcome)
            situation.ledger = record(situation.ledger, ref, outcome, now)
            return False
        situation.ledger = advance_part(situation.ledger, fresh, self._ledger_time())
        if self._tasks.has(ref):
            return False  # a user has requested the removal meanwhile
        policy, resource = current_policy(), fresh.find(ref)
        if resource is None:
            outcome = Outcome(Result.GONE, "It was gone before it could be removed.")
            self._outcomes.add(Removal(decision, before.find(ref), policy, now), outcome)
            situation.ledger = record(situation.ledger, ref, outcome, now)
            return True
        second = decide(fresh, situation.ledger, policy, now).of(ref)
        if second is None or not second.removes:
            self._outcomes.add(Removal(decision, resource, policy, now), stale(second))
            return False
        tenants = tenants_by_app(fresh).get(ref.id, ()) if ref.kind is Kind.APP else ()
        removal = Removal(second, resource, policy, now, self._plan_ends_server(), tenants)

        last = LastLook(
            self._world,
            situation,
            self._ledger_time,
            self._ledger_shift,
            current_policy,
            self._read_other_servers,
            partial(self._read_stop_switch, second),
            now,
            fresh,
            ref,
            began_at,
        )
        task = self._tasks.begin(resource, removal, last)
        await wait_for(task)
        if not task.done():
            self._beside[task] = now
            task.add_done_callback(self._ended_beside)
            return False
        return task.result().ended

    def _ended_beside(self, task: asyncio.Future[Outcome]) -> None:
        self._beside.pop(task, None)
        self._wake()

    async def _read_stop_switch(self, decision: Decision) -> None:
        """Record an objection to ``decision`` if the administrator has stopped all removals. Since
        the pass read the switch, other removals, or the audit line, the session and the last look,
        may have taken a minute."""
        stopped = await self._emergency_stop.objections([decision], self._ledger_time())
        self._situation.change_ledger(lambda ledger: add_vetoes(ledger, stopped))

    def _waits_for_tenants(self, ref: Ref, now: datetime) -> bool:
        """Whether the app ``ref`` must wait, because the removal of one of its kernels or terminals
        is in progress.

        Such a removal begins with its audit line, and decides again after that. If that decision is
        to keep the kernel, the app must stay, too. A removal that takes longer than ``LATE`` is a
        fault, and its app waits no longer."""
        if ref.kind is not Kind.APP:
            return False
        begun = (self.in_progress.get(tenant) for tenant in self._situation.covered_by(ref))
        return any(at is not None and now - at < LATE for at in begun)

    def _plan_ends_server(self) -> bool:
        """Whether the plan removes this server's own app or instance."""
        own = [app.ref for app in self._situation.snapshot.apps if app.own]
        return any(decision.ref in own for decision in self._situation.plan.removals)


def _is_image_terminal(resource: Resource | None) -> bool:
    return isinstance(resource, Terminal) and resource.in_image


def _late_message(ref: Ref, since: datetime, now: datetime) -> str:
    return sentence("The %1 has been shutting down for %2 and is not gone yet.", ref, now - since)


def _ref_to_observe(decision: Decision, snapshot: Snapshot) -> Ref:
    """The resource to observe again for ``decision``: its own resource, or the app if the resource
    is removed with its app."""
    if decision.reason is not Reason.APP_REMOVED:
        return decision.ref
    resource = snapshot.find(decision.ref)
    if resource is None or isinstance(resource, App) or resource.app is None:
        return decision.ref
    return Ref(Kind.APP, resource.app)

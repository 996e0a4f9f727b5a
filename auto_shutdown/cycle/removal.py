"""Carry out the removals of a plan: look at each resource again, decide again, and remove it only
if that decision is still to remove. A failure of one resource never stops the removal of another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.advance import advance_part
from ..core.answers import record_answers
from ..core.apps import needs_work_query, tenants_by_app
from ..core.due import window_of
from ..core.ledger import record
from ..core.marks import Work
from ..core.model import App, Kind, Ref, Resource, Snapshot, Terminal
from ..core.planner import decide
from ..core.policy import Policy
from ..core.texts import sentence
from ..core.verdict import Decision, Fault, Outcome, Reason, Result
from ..state.savings import SavedSavings
from ..world.world import World
from .outcomes import Outcomes, stale
from .removal_record import Removal
from .removal_tasks import RemovalTasks
from .situation import Situation

#: A removal that has taken longer is a fault. Nothing cancels it.
LATE = timedelta(seconds=60)

#: The longest time in seconds from the last look at an app, which reads its kernels last, to its
#: DeleteApp.
LOOK_VALID_SECONDS = 5.0

LATE_REMEDY = sentence(
    "Wait: nothing else is tried meanwhile. If it stays, see what the kernel manager writes to the "
    "server's log, and restart the server."
)


class Remover:
    """The removals that the plans of one server decide on. ``ledger_time`` returns the current
    instant by the clock of the ledger, ``ledger_shift`` by how much the instants of the ledger were
    shifted since the server started (after steps of the wall clock). ``wake`` begins another pass.
    ``read_other_servers`` reads what users have asked other servers of this home for."""

    def __init__(
        self,
        world: World,
        savings: SavedSavings,
        situation: Situation,
        ledger_time: Callable[[], datetime],
        ledger_shift: Callable[[], timedelta],
        wake: Callable[[], None],
        tasks: RemovalTasks,
        outcomes: Outcomes,
        read_other_servers: Callable[[], Awaitable[None]],
    ) -> None:
        self._world = world
        self._savings = savings
        self._situation = situation
        self._ledger_time = ledger_time
        self._ledger_shift = ledger_shift
        self._wake = wake
        self._tasks = tasks
        self._outcomes = outcomes
        self._read_other_servers = read_other_servers

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
        """The removals of the plan in the order to act. Under ``dry_run`` each removal is
        rehearsed once for the same idleness.

        Image terminals are left out. DeleteApp ends them with their app, and if the app stays, for
        example because DeleteApp is denied, they must still be there."""
        situation = self._situation
        return [
            decision
            for decision in situation.plan.removals
            if not _is_image_terminal(situation.snapshot.find(decision.ref))
            and not (
                policy.dry_run and situation.ledger.was_rehearsed(decision.ref, decision.idle_since)
            )
        ]

    async def carry_out(
        self,
        decision: Decision,
        current_policy: Callable[[], Policy],
        now: datetime,
        patience: float,
    ) -> bool:
        """Look again, decide again, and carry out one removal of the plan. Wait for it for at most
        ``patience`` seconds; after that it goes on beside the passes. Returns whether the resource
        is gone. Never raises for the failure of one resource."""
        ref, situation = decision.ref, self._situation
        if self._tasks.has(ref) or self._waits_for_tenants(ref, now):
            return False
        before = situation.snapshot
        began_at = time.monotonic()
        try:
            ref_to_observe = _decided_with(decision, before)
            fresh = await _look_again(self._world, ref_to_observe, current_policy())
        except Exception as error:
            outcome = self._outcomes.failure(error)  # the other removals of the pass go on
            removal = Removal(decision, before.find(ref), current_policy(), now)
            self._outcomes.add(removal, outcome)
            situation.ledger = record(situation.ledger, ref, outcome, now)
            return False
        situation.ledger = advance_part(situation.ledger, fresh, now)
        if self._tasks.has(ref):
            return False  # a user requested the removal during this look
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
        frees = self._savings.would_free(resource, before, situation.ledger, now)
        removal = Removal(second, resource, policy, now, frees, self._plan_ends_server())

        last = _LastLook(
            self._world,
            situation,
            self._ledger_time,
            self._ledger_shift,
            current_policy,
            self._read_other_servers,
            now,
            fresh,
            ref,
            began_at,
        )
        task = self._tasks.begin(resource, removal, last)
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            task.add_done_callback(lambda _task: self._wake())
            return False
        return task.result().ended

    def _waits_for_tenants(self, ref: Ref, now: datetime) -> bool:
        """Whether the removal of a kernel or terminal of the app ``ref`` is in progress. A removal
        that takes too long is a fault, and does not hold its app any more.

        A removal is in progress from its beginning, before its audit line has been written. It
        decides once more after that. If the kernel then is at work, its app must stay."""
        if ref.kind is not Kind.APP:
            return False
        begun = (self._tasks.begun_at(tenant) for tenant in self._situation.covered_by(ref))
        return any(at is not None and now - at < LATE for at in begun)

    def _plan_ends_server(self) -> bool:
        """Whether the plan removes this server's own app or instance."""
        own = [app.ref for app in self._situation.snapshot.apps if app.own]
        return any(decision.ref in own for decision in self._situation.plan.removals)


@dataclass
class _LastLook:
    """The last look at ``ref``, and the decision on it. ``fresh`` is the snapshot of that look,
    which began at ``began_at`` (monotonic). ``now`` is the instant of the pass by the clock of the
    ledger."""

    world: World
    situation: Situation
    ledger_time: Callable[[], datetime]
    ledger_shift: Callable[[], timedelta]
    policy: Callable[[], Policy]
    read_other_servers: Callable[[], Awaitable[None]]
    now: datetime
    fresh: Snapshot
    ref: Ref
    began_at: float
    ended_at: float = 0.0

    def __post_init__(self) -> None:
        self._shift_before = self.ledger_shift()

    async def observe(self) -> None:
        """Observe an app again, because SageMaker deletes an app without looking at anything. The
        managers' shutdown looks at a kernel or terminal by itself. Then read what users have asked
        another server for: two servers can delete the same app. If the file system is so slow that
        the look has become old meanwhile, look once more."""
        await self._look()
        await self.read_other_servers()
        if not self.is_recent():
            await asyncio.gather(self._look(), self.read_other_servers())

    async def _look(self) -> None:
        if self.ref.kind is Kind.APP:
            await self._ask_for_background_work()
            self.began_at = time.monotonic()
            self.fresh = await _look_again(self.world, self.ref, self.policy())
            # Before the change: after a step of the wall clock, this shifts the ledger.
            now = self.ledger_time()
            self.situation.change_ledger(lambda ledger: advance_part(ledger, self.fresh, now))
        self.ended_at = time.monotonic()

    async def _ask_for_background_work(self) -> None:
        """Query the app for background work once more: a cell in another server, papermill or a job
        in tmux may have begun since the query of the pass. This comes before the last look, because
        it may take seconds."""
        app = self.fresh.find(self.ref)
        if not isinstance(app, App):
            return
        mark = self.situation.ledger.marks.get(self.ref)
        inside = tenants_by_app(self.fresh).get(app.id, ())
        if not needs_work_query(app, inside, Work() if mark is None else mark.work):
            return
        limit, _ = self.policy().limit_of(app)
        answers = await self.world.ask({self.ref: window_of(limit)})
        now = self.ledger_time()
        self.situation.change_ledger(lambda ledger: record_answers(ledger, answers, now))

    def is_recent(self) -> bool:
        """A call may wait behind others in the thread of the SageMaker calls, and cells may begin
        meanwhile."""
        if self.ref.kind is not Kind.APP:
            return True
        return time.monotonic() - self.ended_at <= LOOK_VALID_SECONDS

    def decide(self) -> Decision | None:
        """Decide with the current ledger, the current policy, and what this server process has
        learnt since the last look: a client may have connected or sent a request meanwhile, and a
        kernel or terminal may have been started. It may be called in any thread."""
        seen, ledger = self.world.updated(self.fresh, self.began_at), self.situation.ledger
        # The ledger may have been shifted since that pass.
        now = self.now + (self.ledger_shift() - self._shift_before)
        if seen is not self.fresh:
            ledger = advance_part(ledger, seen, now)
        return decide(seen, ledger, self.policy(), now).of(self.ref)


def _is_image_terminal(resource: Resource | None) -> bool:
    return isinstance(resource, Terminal) and resource.in_image


async def _look_again(world: World, ref: Ref, policy: Policy) -> Snapshot:
    """Observe again everything that the decision on ``ref`` depends on. With
    ``only_when_it_saves`` it also depends on the other apps of the instance."""
    if policy.may_stop_only_to_save:
        return await world.observe(list_apps=False, last_look=True)
    return await world.look_again(ref)


def _late_message(ref: Ref, since: datetime, now: datetime) -> str:
    seconds = (now - since).total_seconds()
    return sentence(
        "The %1 has been shutting down for %2 s and is not gone yet.", ref, f"{seconds:.0f}"
    )


def _decided_with(decision: Decision, snapshot: Snapshot) -> Ref:
    """What to look at again for ``decision``. The decision on a resource that is removed with its
    app depends on the app, so the app is looked at."""
    if decision.reason is not Reason.APP_REMOVED:
        return decision.ref
    resource = snapshot.find(decision.ref)
    if resource is None or isinstance(resource, App) or resource.app is None:
        return decision.ref
    return Ref(Kind.APP, resource.app)

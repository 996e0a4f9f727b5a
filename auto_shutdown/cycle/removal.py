"""Remove one resource: look at it again, begin its audit line, end it, complete the line. A failure
of one resource never stops the removal of another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from ..core.due import refs
from ..core.ledger import advance_part, record
from ..core.model import IN_SERVICE, KERNEL_GATEWAY, App, Kind, Ref, Resource, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..core.verdict import Action, Decision, Fault, Outcome, Reason, Result
from ..core.words import printable
from ..state.history import History
from ..state.savings import Account
from ..world.world import World
from .announcer import Announcer
from .audit import Removal
from .refused import RefusedError
from .session_recorder import SessionRecorder
from .situation import Situation

#: How many outcomes the report carries; the history has them all.
OUTCOMES = 50

#: What a person who asked for a removal reads as its reason.
REQUESTED = "Somebody asked for it."

#: Seconds that a request waits for its removal, before it is answered that it is under way.
REQUEST_SECONDS = 20.0

#: A removal that has taken longer is a fault. Nothing cancels it.
LATE = timedelta(seconds=60)

LATE_REMEDY = (
    "Wait: nothing else is tried meanwhile. If it stays, see what the kernel manager writes to the "
    "server's log, and restart the server."
)

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


class Remover:
    """Removes what was decided, if a second look still says so."""

    def __init__(
        self,
        world: World,
        history: History,
        savings: Account,
        situation: Situation,
        ledger_time: Callable[[], datetime],
        wake: Callable[[], None],
        announcer: Announcer,
        recorder: SessionRecorder,
        log: logging.Logger,
    ) -> None:
        self._world = world
        self._history = history
        self._savings = savings
        self._situation = situation
        self._ledger_time = ledger_time
        self._wake = wake
        self._announcer = announcer
        self._recorder = recorder
        self._log = log
        self._rehearsed: dict[Ref, datetime | None] = {}
        self._claimed: dict[Ref, asyncio.Task[Outcome]] = {}
        self.outcomes_so_far = 0
        self.outcomes: deque[dict[str, Any]] = deque(maxlen=OUTCOMES)

    def faults(self, now: datetime) -> list[Fault]:
        """Removals that take too long, and an audit log that cannot be written. Removals go on
        without it: the history keeps their lines until it can, and the server's log has them."""
        found = [
            Fault(str(ref), "ShutdownLate", _late_message(ref, since, now), LATE_REMEDY, now)
            for ref, since in self._situation.removals_under_way.items()
            if now - since >= LATE
        ]
        problem = self._history.problem
        if problem is not None:
            message = f"The audit log: {problem} Its lines are kept in memory until then."
            found.append(Fault("history", "StateFile", message, problem.remedy, now))
        return found

    def removals_to_carry_out(self, policy: Policy) -> list[Decision]:
        """The removals of the plan in the order to act. Under ``dry_run`` each removal is
        rehearsed once for the same idleness."""
        self._rehearsed = {  # no more than there are resources, however long it runs
            ref: since for ref, since in self._rehearsed.items() if self._situation.knows(ref)
        }
        return [
            decision
            for decision in self._situation.plan.removals
            if not policy.dry_run
            or self._rehearsed.get(decision.ref, _NEVER) != decision.idle_since
        ]

    def is_removing(self, ref: Ref) -> bool:
        """Whether ``ref`` is being removed at this moment, and nothing can stop that any more."""
        return ref in self._situation.removals_under_way

    async def carry_out(
        self,
        decision: Decision,
        current_policy: Callable[[], Policy],
        now: datetime,
        patience: float,
    ) -> bool:
        """Look again, decide again, and carry out one removal of the plan. Waits for it for at most
        ``patience`` seconds; after that it goes on beside the passes. Returns whether the resource
        is gone. Never raises for the failure of one resource."""
        ref, situation = decision.ref, self._situation
        if ref in self._claimed or self._waits_for_tenants(ref, now):
            return False
        before = situation.snapshot
        fresh = await self._world.look_again(_decided_with(decision, before))
        situation.ledger = advance_part(situation.ledger, fresh, now)
        policy, resource = current_policy(), fresh.find(ref)
        if resource is None:
            outcome = Outcome(Result.GONE, "It was gone before it could be removed.")
            self._note_outcome(Removal(decision, before.find(ref), policy, now), outcome)
            situation.ledger = record(situation.ledger, ref, outcome, now)
            return True

        async def decide_again() -> Decision | None:
            seen = fresh
            if isinstance(resource, App):
                # A kernel or terminal is looked at as it is shut down. SageMaker looks at nothing.
                seen = await self._world.look_again(ref)
                situation.ledger = advance_part(situation.ledger, seen, self._ledger_time())
            return decide(seen, situation.ledger, current_policy(), now).of(ref)

        again = decide(fresh, situation.ledger, policy, now).of(ref)
        if again is None or not again.removes:
            self._note_outcome(Removal(decision, resource, policy, now), _stale(again))
            return False
        frees = self._savings.would_free(resource, before, situation.ledger, now)
        removal = Removal(again, resource, policy, now, frees, self._ends_server())
        task = self._begin(resource, removal, current_policy, decide_again)
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            task.add_done_callback(self._ended_beside_the_pass)
            return False
        return task.result().ended

    def _ended_beside_the_pass(self, _task: asyncio.Task[Outcome]) -> None:
        self._wake()

    def _waits_for_tenants(self, ref: Ref, now: datetime) -> bool:
        """Whether a kernel or terminal of the app ``ref`` is being shut down right now. One that
        takes too long is a fault, and does not hold its app any more."""
        if ref.kind is not Kind.APP:
            return False
        since = self._situation.removals_under_way
        return any(
            tenant in since and now - since[tenant] < LATE
            for tenant in self._situation.covered_by(ref)
        )

    async def remove_on_request(
        self, ref: Ref, current_policy: Callable[[], Policy], now: datetime
    ) -> Mapping[str, Any]:
        """Remove ``ref``, with what runs in it, because a user requested it. Returns the outcome.
        Raises RefusedError."""
        situation = self._situation
        snapshot = situation.snapshot
        resource = snapshot.find(ref)
        if resource is None:
            raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)
        if ref in self._claimed:
            raise being_removed(ref)
        inside: list[Resource] = []
        if isinstance(resource, App):
            _refuse_app(resource, snapshot)
            inside += [kernel for kernel in snapshot.kernels if kernel.app == ref.id]
            inside += [terminal for terminal in snapshot.terminals if terminal.app == ref.id]
        for each in (*inside, resource):
            if each.ref in self._claimed:
                continue
            detail = REQUESTED + self._note_of(each, now)
            requested = Decision(each.ref, Action.REMOVE, Reason.REQUESTED, detail)
            frees = self._savings.would_free(each, snapshot, situation.ledger, now)
            ends_server = isinstance(resource, App) and resource.own
            removal = Removal(requested, each, current_policy(), now, frees, ends_server)
            task = self._begin(each, removal, current_policy, partial(_the_same, requested))
            await asyncio.wait({task}, timeout=REQUEST_SECONDS)
            if not task.done() and each is resource:
                under_way = "It is still being shut down; the report shows when that is done."
                return removal.reported(Outcome(Result.TEMPORARY, under_way))
        return self.outcomes[-1]

    def _ends_server(self) -> bool:
        """Whether the plan removes this server's own app or instance."""
        own = [app.ref for app in self._situation.snapshot.apps if app.own]
        return any(decision.ref in own for decision in self._situation.plan.removals)

    def _note_of(self, resource: Resource, now: datetime) -> str:
        """The user's note on the keep-alive that the removal overrides, as a sentence."""
        covers = refs(resource.ref, None if isinstance(resource, App) else resource.app)
        hold = self._situation.ledger.hold_on(covers, now)
        return f" It was kept alive: {hold.note}." if hold is not None and hold.note else ""

    def _begin(
        self,
        resource: Resource,
        removal: Removal,
        current_policy: Callable[[], Policy],
        decide_again: Callable[[], Awaitable[Decision | None]],
    ) -> asyncio.Task[Outcome]:
        """Begin the removal in a task of its own, which nothing cancels: a kernel manager whose
        shutdown is cancelled half way can never shut that kernel down again."""
        ref = resource.ref
        task = asyncio.ensure_future(self._remove(resource, removal, current_policy, decide_again))
        self._claimed[ref] = task

        def ended(_task: asyncio.Task[Outcome]) -> None:
            del self._claimed[ref]
            self._situation.removals_under_way.pop(ref, None)

        task.add_done_callback(ended)
        return task

    async def _remove(
        self,
        resource: Resource,
        removal: Removal,
        current_policy: Callable[[], Policy],
        decide_again: Callable[[], Awaitable[Decision | None]],
    ) -> Outcome:
        """Begin the audit line, remove the resource, finish the line. ``dry_run`` removes
        nothing. Never raises."""
        ref, situation = resource.ref, self._situation
        attempt = await self._history.begin_line(removal.audit_line())
        again = await decide_again()  # writing the line may have taken seconds
        if again is None or not again.removes:
            outcome = _stale(again)
        elif current_policy().dry_run:
            self._rehearsed[ref] = removal.decision.idle_since
            outcome = Outcome(Result.DRY_RUN, "dry_run is on: it would have been removed.")
        else:
            outcome = await self._end(resource, removal)
        await self._history.finish_line(attempt, outcome)
        if removal.frees is not None and outcome.result is Result.REMOVED:
            await self._savings.add(removal.frees)
        self._note_outcome(removal, outcome)
        now = self._ledger_time()
        if outcome.result is Result.STALE:
            fresh = await self._world.look_again(ref)
            situation.ledger = advance_part(situation.ledger, fresh, now)
        situation.ledger = record(situation.ledger, ref, outcome, now)
        return outcome

    async def _end(self, resource: Resource, removal: Removal) -> Outcome:
        """Remove the resource, and see that it is gone. Never raises: the other removals go on."""
        # Skip the removal if the resource became active since the decision. A removal that a user
        # requested always proceeds.
        only_unmoved = removal.decision.reason is not Reason.REQUESTED
        resource, entry = await self._recorder.record(resource, removal)
        outcome = await self._end_recorded(resource, removal, only_unmoved)
        if entry and not outcome.ended:
            with contextlib.suppress(OSError):
                await self._recorder.forget(entry)
        return outcome

    async def _end_recorded(
        self, resource: Resource, removal: Removal, only_unmoved: bool
    ) -> Outcome:
        self._situation.removals_under_way[resource.ref] = removal.now
        try:
            outcome = await self._world.remove(resource, only_unmoved)
            if outcome.ended and not await self._world.is_gone(resource):
                return _still_there(resource)
            return outcome
        except Exception as error:
            self._log.error("auto_shutdown: removing failed", exc_info=error)
            name = type(error).__name__
            return Outcome(Result.TEMPORARY, f"Removing it failed: {name}.", name)

    def _note_outcome(self, removal: Removal, outcome: Outcome) -> None:
        """Show ``outcome`` in the report and in the server's log."""
        reported = removal.reported(outcome)
        self.outcomes.append(reported)
        self.outcomes_so_far += 1
        self._announcer.removal(reported)
        if not outcome.failed:  # a failure is a fault, and logged as one
            self._log.info("auto_shutdown: %s", printable(removal.log_line(outcome)))


async def _the_same(decision: Decision) -> Decision:
    return decision


def _late_message(ref: Ref, since: datetime, now: datetime) -> str:
    seconds = (now - since).total_seconds()
    return f"The {ref} has been shutting down for {seconds:.0f} s and is not gone yet."


def _stale(again: Decision | None) -> Outcome:
    changed = "" if again is None else f" {again.detail}"
    return Outcome(Result.STALE, f"It moved at the last moment.{changed}")


def _still_there(resource: Resource) -> Outcome:
    if resource.ref.kind is Kind.TERMINAL:
        remedy = "Leave the programs that run in it (exit, Ctrl-D), or end them with kill."
        detail = "The server closed the terminal, but its manager still lists it."
    else:
        remedy = (
            "See what the kernel manager writes to the server's log; restart the server if need be."
        )
        detail = "The kernel was shut down, and its manager still lists it."
    return Outcome(Result.STILL_THERE, detail, "StillThere", remedy)


def being_removed(ref: Ref) -> RefusedError:
    """The refusal of a request for a resource that is being removed."""
    return RefusedError(409, f"The {ref} is being shut down already.", "id", ref.id)


def _decided_with(decision: Decision, snapshot: Snapshot) -> Ref:
    """What to look at again for ``decision``. What is removed with its app is decided by the app,
    so the app is looked at."""
    if decision.reason is not Reason.APP_REMOVED:
        return decision.ref
    resource = snapshot.find(decision.ref)
    if resource is None or isinstance(resource, App) or resource.app is None:
        return decision.ref
    return Ref(Kind.APP, resource.app)


def _refuse_app(app: App, snapshot: Snapshot) -> None:
    if Snapshot.APPS in snapshot.unread:
        raise RefusedError(503, snapshot.unread[Snapshot.APPS].message, "id", app.id)
    if app.type != KERNEL_GATEWAY and not app.own:
        message = f"Apps of type {app.type} are never removed by this extension."
        raise RefusedError(409, message, "id", app.id)
    if app.status != IN_SERVICE:
        raise RefusedError(409, f"The app is {app.status}.", "id", app.id)

"""Acting: the second look, the audit line, the removal; each resource alone."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from ..core.ledger import Ledger, glimpse, record
from ..core.model import IN_SERVICE, KERNEL_GATEWAY, App, Kind, Ref, Resource, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..core.savings import Freed
from ..core.verdict import Action, Decision, Fault, Outcome, Plan, Reason, Result
from ..core.words import iso, printable
from ..state.history import Attempt, History
from ..state.savings import Account
from ..world.world import World

#: How many outcomes the report carries; the history has them all.
OUTCOMES = 50

#: What a person who asked for a removal reads as its reason.
ASKED_FOR = "Somebody asked for it."

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


class RefusedError(Exception):
    """A request that cannot be fulfilled: HTTP ``status``, a sentence, field and value."""

    def __init__(self, status: int, message: str, field: str, value: Any) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.value = value


class Remover:
    """Removes what was decided, if a second look still says so."""

    def __init__(
        self, world: World, history: History, account: Account, log: logging.Logger
    ) -> None:
        self._world = world
        self._history = history
        self._account = account
        self._log = log
        self._rehearsed: dict[Ref, datetime | None] = {}
        self.outcomes: deque[dict[str, Any]] = deque(maxlen=OUTCOMES)

    def faults(self, now: datetime) -> list[Fault]:
        """That the audit log cannot be written. Removals go on: their lines are owed, and the
        server's log has them."""
        error = self._history.error
        if error is None:
            return []
        message = f"The audit log cannot be written: {error}. Its lines are kept until it can."
        remedy = "Make the state directory writable and not full, or set AutoShutdown.state_dir."
        return [Fault("history", type(error).__name__, message, remedy, now)]

    def to_do(self, plan: Plan, policy: Policy) -> list[Decision]:
        """The removals of ``plan`` in the order to act. Under ``dry_run`` one that has been
        rehearsed for the same idleness has been said, and is not said again."""
        return [
            decision
            for decision in plan.removals
            if not policy.dry_run
            or self._rehearsed.get(decision.ref, _NEVER) != decision.idle_since
        ]

    async def carry_out(
        self,
        decision: Decision,
        snapshot: Snapshot,
        ledger: Ledger,
        policy: Policy,
        now: datetime,
        amended: Callable[[Ledger], Ledger],
    ) -> tuple[Ledger, bool]:
        """Carry out one removal of a plan. Returns the ledger after it, and whether the resource
        is gone. ``amended`` adds what people have said since the plan was made. Never raises for
        that one's failure."""
        ref = decision.ref
        fresh = await self._world.look_again(_decided_with(decision, snapshot))
        ledger = amended(glimpse(ledger, fresh, now))
        resource = fresh.find(ref)
        if resource is None:
            outcome = Outcome(Result.GONE, "It was gone before it could be removed.")
            self._tell(decision, snapshot.find(ref), outcome, policy, now)
            return record(ledger, ref, outcome, now), True
        again = decide(fresh, ledger, policy, now).of(ref)
        if again is None or not again.removes:
            moved = "" if again is None else f" {again.detail}"
            outcome = Outcome(Result.STALE, f"It moved at the last moment.{moved}")
            self._tell(decision, resource, outcome, policy, now)
            return ledger, False
        frees = self._account.would_free(resource, snapshot, ledger, now)
        outcome = await self._act(again, resource, policy, now, frees)
        if outcome.result is Result.STALE:
            ledger = glimpse(ledger, await self._world.look_again(ref), now)
        return record(ledger, ref, outcome, now), outcome.ended

    async def on_request(
        self, ref: Ref, snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime
    ) -> tuple[Ledger, Mapping[str, Any]]:
        """Remove ``ref``, with what runs in it, because somebody asked. Raises RefusedError."""
        resource = snapshot.find(ref)
        if resource is None:
            raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)
        inside: list[Resource] = []
        if isinstance(resource, App):
            _refuse_app(resource, snapshot)
            inside += [kernel for kernel in snapshot.kernels if kernel.app == ref.id]
            inside += [terminal for terminal in snapshot.terminals if terminal.app == ref.id]
        for each in (*inside, resource):
            asked = Decision(each.ref, Action.REMOVE, Reason.REQUESTED, ASKED_FOR)
            frees = self._account.would_free(each, snapshot, ledger, now)
            outcome = await self._act(asked, each, policy, now, frees)
            ledger = record(ledger, each.ref, outcome, now)
        return ledger, self.outcomes[-1]

    async def _act(
        self,
        decision: Decision,
        resource: Resource,
        policy: Policy,
        now: datetime,
        frees: Freed | None,
    ) -> Outcome:
        """Audit line, removal, end of the audit line. ``dry_run`` leaves out the middle."""
        attempt = await self._begin(decision, resource, policy, now, frees)
        if policy.dry_run:
            self._rehearsed[resource.ref] = decision.idle_since
            outcome = Outcome(Result.DRY_RUN, "dry_run is on: it would have been removed.")
        else:
            try:
                # What is to go because it is idle stays if it moves; what somebody asked for, goes.
                only_unmoved = decision.reason is not Reason.REQUESTED
                outcome = await self._world.remove(resource, only_unmoved)
            except Exception as error:  # one thing's failure stays that one's
                self._log.error("auto_shutdown: removing failed", exc_info=error)
                name = type(error).__name__
                outcome = Outcome(Result.TEMPORARY, f"Removing it failed: {name}.", name)
        await asyncio.to_thread(attempt.finish, outcome)
        if frees is not None and outcome.result is Result.REMOVED:
            await self._account.add(frees)
        self._tell(decision, resource, outcome, policy, now)
        return outcome

    async def _begin(
        self,
        decision: Decision,
        resource: Resource,
        policy: Policy,
        now: datetime,
        frees: Freed | None,
    ) -> Attempt:
        return await asyncio.to_thread(
            self._history.begin,
            {
                "at": iso(now),
                "kind": resource.ref.kind.value,
                "resource": resource.ref.id,
                "ends_server": isinstance(resource, App) and resource.own,
                "instance_type": resource.instance_type,
                "reason": decision.reason.value,
                "detail": decision.detail,
                "signal": decision.signal,
                "saved": None if frees is None else {"usd_per_hour": frees.usd_per_hour},
                **_story(decision, resource, policy),
            },
        )

    def _tell(
        self,
        decision: Decision,
        resource: Resource | None,
        outcome: Outcome,
        policy: Policy,
        now: datetime,
    ) -> None:
        kind = decision.ref.kind.value
        story = _story(decision, resource, policy)
        self.outcomes.append(
            {
                "at": iso(now),
                "kind": kind,
                "id": decision.ref.id,
                "outcome": outcome.result.value,
                "reason": decision.reason.value,
                "detail": outcome.detail if outcome.failed else decision.detail,
                **story,
            }
        )
        if not outcome.failed:  # a failure is a fault, and logged as one
            text = f"{kind} {story['name']}: {outcome.result.value} ({decision.reason.value}: "
            self._log.info("auto_shutdown: %s", printable(f"{text}{decision.detail})"))


def _story(decision: Decision, resource: Resource | None, policy: Policy) -> dict[str, Any]:
    """What was removed, as people know it, and by which rule: for the audit log and the report."""
    rule = "request" if decision.reason is Reason.REQUESTED else None
    if rule is None and resource is not None:
        rule = policy.limit_of(resource)[1]
    return {
        "name": decision.ref.id if resource is None else resource.name,
        "paths": list(getattr(resource, "paths", ())),
        "app": None if resource is None or isinstance(resource, App) else resource.app,
        "rule": rule,
        "idle_since": iso(decision.idle_since),
    }


def _decided_with(decision: Decision, snapshot: Snapshot) -> Ref:
    """What has to be looked at again for ``decision``: what goes with its app is decided by it."""
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

"""Act: look at a resource again, write the audit line, remove the resource. Each one alone."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..core.due import refs
from ..core.ledger import glimpse, record
from ..core.model import IN_SERVICE, KERNEL_GATEWAY, App, Kind, Ref, Resource, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..core.savings import Freed
from ..core.verdict import Action, Decision, Fault, Outcome, Reason, Result
from ..core.words import iso, printable
from ..state.history import History
from ..state.savings import Account
from ..world.world import World
from .situation import Situation

#: How many outcomes the report carries; the history has them all.
OUTCOMES = 50

#: What a person who asked for a removal reads as its reason.
REQUESTED = "Somebody asked for it."

_NEVER = datetime.min.replace(tzinfo=timezone.utc)


class RefusedError(Exception):
    """A request that is refused: HTTP ``status``, a sentence, the field and its value."""

    def __init__(self, status: int, message: str, field: str, value: Any) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.value = value


@dataclass(frozen=True)
class _Removal:
    """One removal: why, of what, under which policy. ``frees`` is the instance that it frees.
    ``resource`` is None where it has gone by itself."""

    decision: Decision
    resource: Resource | None
    policy: Policy
    now: datetime
    frees: Freed | None = None

    def description(self) -> dict[str, Any]:
        """The names and paths of the resource, and the rule that removes it: for the audit log
        and the report."""
        resource, requested = self.resource, self.decision.reason is Reason.REQUESTED
        rule = "request" if requested else None
        if rule is None and resource is not None:
            rule = self.policy.limit_of(resource)[1]
        return {
            "name": self.decision.ref.id if resource is None else resource.name,
            "paths": list(getattr(resource, "paths", ())),
            "app": None if resource is None or isinstance(resource, App) else resource.app,
            "rule": rule,
            "idle_since": iso(self.decision.idle_since),
        }

    def audit_line(self) -> dict[str, Any]:
        """The entry of the audit log, without its outcome."""
        resource, decision = self.resource, self.decision
        saved = None if self.frees is None else {"usd_per_hour": self.frees.usd_per_hour}
        return {
            "at": iso(self.now),
            "kind": decision.ref.kind.value,
            "resource": decision.ref.id,
            "ends_server": isinstance(resource, App) and resource.own,
            "instance_type": resource.instance_type if resource is not None else None,
            "reason": decision.reason.value,
            "detail": decision.detail,
            "signal": decision.signal,
            "saved": saved,
            **self.description(),
        }


class Remover:
    """Removes what was decided, if a second look still says so."""

    def __init__(
        self,
        world: World,
        history: History,
        savings: Account,
        situation: Situation,
        log: logging.Logger,
    ) -> None:
        self._world = world
        self._history = history
        self._savings = savings
        self._situation = situation
        self._log = log
        self._rehearsed: dict[Ref, datetime | None] = {}
        self._removing: set[Ref] = set()
        self.outcomes: deque[dict[str, Any]] = deque(maxlen=OUTCOMES)

    def faults(self, now: datetime) -> list[Fault]:
        """Whether the audit log cannot be written. Removals go on: the history keeps their lines
        until it can, and the server's log has them."""
        problem = self._history.problem
        if problem is None:
            return []
        message = f"The audit log: {problem} Its lines are kept in memory until then."
        return [Fault("history", "StateFile", message, problem.remedy, now)]

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
        """Whether a removal of ``ref`` has begun and not ended yet."""
        return ref in self._removing

    async def carry_out(
        self, decision: Decision, current_policy: Callable[[], Policy], now: datetime
    ) -> bool:
        """Look again, decide again, and carry out one removal of the plan. Returns whether the
        resource is gone. Never raises for the failure of one resource."""
        ref, situation = decision.ref, self._situation
        if self.is_removing(ref):
            return False
        before = situation.snapshot
        fresh = await self._world.look_again(_decided_with(decision, before))
        situation.ledger = glimpse(situation.ledger, fresh, now)
        policy, resource = current_policy(), fresh.find(ref)
        if resource is None:
            outcome = Outcome(Result.GONE, "It was gone before it could be removed.")
            self._note_outcome(_Removal(decision, before.find(ref), policy, now), outcome)
            situation.ledger = record(situation.ledger, ref, outcome, now)
            return True
        again = decide(fresh, situation.ledger, policy, now).of(ref)
        if again is None or not again.removes:
            changed = "" if again is None else f" {again.detail}"
            outcome = Outcome(Result.STALE, f"It moved at the last moment.{changed}")
            self._note_outcome(_Removal(decision, resource, policy, now), outcome)
            return False
        frees = self._savings.would_free(resource, before, situation.ledger, now)
        outcome = await self._remove(resource, _Removal(again, resource, policy, now, frees))
        if outcome.result is Result.STALE:
            fresh = await self._world.look_again(ref)
            situation.ledger = glimpse(situation.ledger, fresh, now)
        situation.ledger = record(situation.ledger, ref, outcome, now)
        return outcome.ended

    async def remove_on_request(self, ref: Ref, policy: Policy, now: datetime) -> Mapping[str, Any]:
        """Remove ``ref``, with what runs in it, because a user requested it. Returns the outcome.
        Raises RefusedError."""
        situation = self._situation
        snapshot = situation.snapshot
        resource = snapshot.find(ref)
        if resource is None:
            raise RefusedError(404, f"There is no {ref} here.", "id", ref.id)
        if self.is_removing(ref):
            raise being_removed(ref)
        inside: list[Resource] = []
        if isinstance(resource, App):
            _refuse_app(resource, snapshot)
            inside += [kernel for kernel in snapshot.kernels if kernel.app == ref.id]
            inside += [terminal for terminal in snapshot.terminals if terminal.app == ref.id]
        for each in (*inside, resource):
            if self.is_removing(each.ref):
                continue
            detail = REQUESTED + self._note_of(each, now)
            requested = Decision(each.ref, Action.REMOVE, Reason.REQUESTED, detail)
            frees = self._savings.would_free(each, snapshot, situation.ledger, now)
            outcome = await self._remove(each, _Removal(requested, each, policy, now, frees))
            situation.ledger = record(situation.ledger, each.ref, outcome, now)
        return self.outcomes[-1]

    def _note_of(self, resource: Resource, now: datetime) -> str:
        """The user's note on the keep-alive that the removal overrides, as a sentence."""
        covers = refs(resource.ref, None if isinstance(resource, App) else resource.app)
        hold = self._situation.ledger.hold_on(covers, now)
        return f" It was kept alive: {hold.note}." if hold is not None and hold.note else ""

    async def _remove(self, resource: Resource, removal: _Removal) -> Outcome:
        """Begin the audit line, remove the resource, finish the line. ``dry_run`` removes
        nothing."""
        ref = resource.ref
        self._removing.add(ref)
        try:
            attempt = await self._history.begin_line(removal.audit_line())
            if removal.policy.dry_run:
                self._rehearsed[ref] = removal.decision.idle_since
                outcome = Outcome(Result.DRY_RUN, "dry_run is on: it would have been removed.")
            else:
                outcome = await self._end(resource, removal.decision)
            await self._history.finish_line(attempt, outcome)
        finally:
            self._removing.discard(ref)
        if removal.frees is not None and outcome.result is Result.REMOVED:
            await self._savings.add(removal.frees)
        self._note_outcome(removal, outcome)
        return outcome

    async def _end(self, resource: Resource, decision: Decision) -> Outcome:
        """Remove the resource. Never raises: the other removals go on."""
        # Skip the removal if the resource became active since the decision. A removal that a user
        # requested always proceeds.
        only_unmoved = decision.reason is not Reason.REQUESTED
        try:
            return await self._world.remove(resource, only_unmoved)
        except Exception as error:
            self._log.error("auto_shutdown: removing failed", exc_info=error)
            name = type(error).__name__
            return Outcome(Result.TEMPORARY, f"Removing it failed: {name}.", name)

    def _note_outcome(self, removal: _Removal, outcome: Outcome) -> None:
        """Show ``outcome`` in the report and in the server's log."""
        decision, description = removal.decision, removal.description()
        kind = decision.ref.kind.value
        self.outcomes.append(
            {
                "at": iso(removal.now),
                "kind": kind,
                "id": decision.ref.id,
                "outcome": outcome.result.value,
                "reason": decision.reason.value,
                "detail": outcome.detail if outcome.failed else decision.detail,
                **description,
            }
        )
        if not outcome.failed:  # a failure is a fault, and logged as one
            text = f"{kind} {description['name']}: {outcome.result.value} "
            text += f"({decision.reason.value}: {decision.detail})"
            self._log.info("auto_shutdown: %s", printable(text))


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

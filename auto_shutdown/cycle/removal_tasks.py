"""Carry out one removal in a task of its own: begin its audit line, decide once more, end the
resource, complete the line.

Nothing cancels such a task. A kernel manager whose shutdown is cancelled half way can never shut
that kernel down again, so a removal that takes long goes on beside the passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from ..core.advance import advance_part
from ..core.ledger import record, rehearse
from ..core.model import Ref, Resource
from ..core.policy import Policy
from ..core.texts import sentence
from ..core.verdict import Decision, Outcome, Reason, Result
from ..state.history import History
from ..state.savings import Account
from ..world.world import World
from .audit import Removal
from .outcomes import Outcomes, stale, still_there
from .session_recorder import SessionRecorder
from .situation import Situation

DecideAgain = Callable[[], Awaitable["Decision | None"]]


class RemovalTasks:
    """The removals in progress on one server, at most one for each resource. ``ledger_time``
    returns the current instant by the clock of the ledger."""

    def __init__(
        self,
        world: World,
        history: History,
        savings: Account,
        situation: Situation,
        ledger_time: Callable[[], datetime],
        outcomes: Outcomes,
        recorder: SessionRecorder,
        log: logging.Logger,
    ) -> None:
        self._world = world
        self._history = history
        self._savings = savings
        self._situation = situation
        self._ledger_time = ledger_time
        self._outcomes = outcomes
        self._recorder = recorder
        self._log = log
        self._tasks: dict[Ref, asyncio.Task[Outcome]] = {}
        self._begun_at: dict[Ref, datetime] = {}

    def has(self, ref: Ref) -> bool:
        """Whether a removal of ``ref`` is in progress. The resource may still be kept, because the
        removal decides once more."""
        return ref in self._tasks

    def begun_at(self, ref: Ref) -> datetime | None:
        """The instant of the pass that began the removal of ``ref`` (None: none is in progress)."""
        return self._begun_at.get(ref)

    def begin(
        self,
        resource: Resource,
        removal: Removal,
        current_policy: Callable[[], Policy],
        decide_again: DecideAgain,
    ) -> asyncio.Task[Outcome]:
        """Begin the removal of ``resource``. ``decide_again`` returns the decision that counts,
        after the audit line has been written. The task never raises."""
        ref = resource.ref
        task = asyncio.ensure_future(self._remove(resource, removal, current_policy, decide_again))
        self._tasks[ref] = task
        self._begun_at[ref] = removal.now

        def ended(_task: asyncio.Task[Outcome]) -> None:
            del self._tasks[ref], self._begun_at[ref]
            self._situation.removals_under_way.pop(ref, None)

        task.add_done_callback(ended)
        return task

    async def _remove(
        self,
        resource: Resource,
        removal: Removal,
        current_policy: Callable[[], Policy],
        decide_again: DecideAgain,
    ) -> Outcome:
        ref, situation = resource.ref, self._situation
        audit_line = await self._history.begin_line(removal.audit_line())
        decision = await decide_again()  # writing the line may have taken seconds
        if decision is None or not decision.removes:
            outcome = stale(decision)
        elif current_policy().dry_run:
            situation.ledger = rehearse(situation.ledger, ref, removal.decision.idle_since)
            outcome = Outcome(Result.DRY_RUN, "dry_run is on: it would have been removed.")
        else:
            outcome = await self._end(resource, removal)
        await self._history.finish_line(audit_line, outcome)
        if removal.frees is not None and outcome.result is Result.REMOVED:
            await self._savings.add(removal.frees)
        self._outcomes.add(removal, outcome)
        now = self._ledger_time()
        if outcome.result is Result.STALE:
            fresh = await self._world.look_again(ref)
            situation.ledger = advance_part(situation.ledger, fresh, now)
        situation.ledger = record(situation.ledger, ref, outcome, now)
        return outcome

    async def _end(self, resource: Resource, removal: Removal) -> Outcome:
        """Record the session of the resource, and end the resource. The record is deleted where
        the resource has not ended. Never raises."""
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
                return still_there(resource)
            return outcome
        except Exception as error:
            # The other removals of the pass go on.
            self._log.error("auto_shutdown: removing failed", exc_info=error)
            name = type(error).__name__
            detail = sentence("Removing it failed: %1.", name)
            return Outcome(Result.TEMPORARY, detail, name)

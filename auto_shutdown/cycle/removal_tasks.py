"""Carry out one removal in a task of its own: begin its audit line, record its session, decide for
the last time, end the resource, complete the line.

Nothing cancels such a task. If a kernel manager's shutdown of a kernel is cancelled half way, the
manager can never shut that kernel down again. So a slow removal continues while passes run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

from ..core.advance import advance_part
from ..core.decision import Decision, Reason
from ..core.ledger import record, rehearse, without_mark
from ..core.model import App, Ref, Resource
from ..core.outcome import Outcome, Result
from ..core.policy import Policy
from ..core.savings import Freed
from ..state.history import History
from ..state.savings import SavedSavings
from ..world.world import World
from .outcomes import Outcomes, stale, still_there
from .removal_record import Removal
from .session_recorder import SessionRecorder
from .situation import Situation


class LastDecision(Protocol):
    """The last observation before a removal, and the last decision."""

    async def observe(self) -> None:
        """Read again what may have changed. This may take seconds."""

    def decide(self) -> Decision | None:
        """The decision at this moment (None: the resource is no longer listed). It never waits, so
        nothing can change between this decision and the removal."""

    def policy(self) -> Policy:
        """The policy at this moment."""

    def is_recent(self) -> bool:
        """Whether the last look is recent enough to delete an app on its evidence."""


class RemovalTasks:
    """The removals in progress on one server, at most one for each resource. ``ledger_time``
    returns the current instant by the clock of the ledger."""

    def __init__(
        self,
        world: World,
        history: History,
        savings: SavedSavings,
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
        #: The resources whose removal has ended since the full pass in progress began.
        self._ended_in_pass: set[Ref] = set()
        #: For each resource, the number of users' requests in progress that remove it.
        self._requested: Counter[Ref] = Counter()

    def has(self, ref: Ref) -> bool:
        """Whether a removal of ``ref`` is in progress, or is part of a user's request in progress.
        The resource may still be kept, because the removal decides once more."""
        return ref in self._tasks or self._requested[ref] > 0

    def pass_begins(self) -> None:
        """Note that a full pass begins."""
        self._ended_in_pass.clear()

    def ended_in_pass(self, ref: Ref) -> bool:
        """Whether a removal of ``ref`` has ended since the last full pass began. Then what that
        pass knows of ``ref`` may be older than this end."""
        return ref in self._ended_in_pass

    def running(self, ref: Ref) -> asyncio.Task[Outcome] | None:
        """The removal of ``ref`` in progress."""
        return self._tasks.get(ref)

    async def wait_for_all(self, seconds: float) -> None:
        """Wait for the removals in progress, for at most ``seconds``."""
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=seconds)

    @property
    def in_progress(self) -> Mapping[Ref, datetime]:
        """The removals in progress: for each resource, the instant of the pass or request that
        began its removal."""
        return self._begun_at

    def is_requested(self, ref: Ref) -> bool:
        """Whether a user's request in progress removes ``ref``, at this moment or later."""
        return self._requested[ref] > 0

    @contextlib.contextmanager
    def requested(self, refs: Collection[Ref]) -> Iterator[None]:
        """Mark all of ``refs`` as requested while the body removes them one after another. A ref
        whose removal goes on after the body stays marked until that removal ends."""
        self._requested.update(refs)
        try:
            yield
        finally:
            for ref in refs:
                task = self._tasks.get(ref)
                if task is None:
                    self._request_ended(ref)
                else:
                    task.add_done_callback(partial(self._request_ended, ref))

    def _request_ended(self, ref: Ref, _task: asyncio.Task[Outcome] | None = None) -> None:
        self._requested -= Counter([ref])  # drops a count of zero, too

    def begin(
        self, resource: Resource, removal: Removal, last: LastDecision
    ) -> asyncio.Task[Outcome]:
        """Begin the removal of ``resource``, or return its removal in progress. The task never
        raises."""
        ref = resource.ref
        running = self._tasks.get(ref)
        if running is not None and not running.done():
            return running
        task = asyncio.ensure_future(self._remove(resource, removal, last))
        self._tasks[ref] = task
        self._begun_at[ref] = removal.now
        task.add_done_callback(partial(self._ended, ref))
        return task

    def _ended(self, ref: Ref, task: asyncio.Task[Outcome]) -> None:
        if self._tasks.get(ref) is task:
            del self._tasks[ref], self._begun_at[ref]
            self._ended_in_pass.add(ref)
            self._situation.removals_under_way.pop(ref, None)

    async def _remove(self, resource: Resource, removal: Removal, last: LastDecision) -> Outcome:
        ref, situation = resource.ref, self._situation
        audit_line = await self._history.begin_line(removal.audit_line())
        try:
            outcome = await self._decide_and_end(resource, removal, last)
        except Exception as error:
            outcome = self._outcomes.failure(error)  # the other removals of the pass go on
        freed = self._instance_freed(resource) if outcome.result is Result.REMOVED else None
        await self._history.finish_line(audit_line, outcome, freed)
        if freed is not None:
            await self._savings.add(freed)
        self._outcomes.add(removal, outcome)
        now = self._ledger_time()
        if outcome.result is Result.STALE:
            await self._note_activity(ref)
            now = self._ledger_time()
        situation.ledger = record(situation.ledger, ref, outcome, now)
        return outcome

    def _instance_freed(self, resource: Resource) -> Freed | None:
        """The instance that the removal of ``resource`` frees, which has just ended (None: it frees
        none). If ``resource`` is an app, its mark is deleted.

        Two removals of apps on one instance may end side by side. The first one still finds the
        mark of the other app, and frees nothing. The second one frees the instance. Nothing is
        awaited here, so no removal comes between the check and the deletion.
        """
        situation = self._situation
        freed = self._savings.freed_by(
            resource, situation.snapshot, situation.ledger, self._ledger_time()
        )
        if isinstance(resource, App):
            situation.change_ledger(lambda ledger: without_mark(ledger, resource.ref))
        return freed

    async def _note_activity(self, ref: Ref) -> None:
        """Observe ``ref``, which changed before its removal, so that the report shows its new
        state."""
        try:
            fresh = await self._world.look_again(ref)
        except Exception as error:
            # The next pass observes it.
            self._log.error("auto_shutdown: looking again failed", exc_info=error)
            return
        now = self._ledger_time()
        self._situation.ledger = advance_part(self._situation.ledger, fresh, now)

    async def _decide_and_end(
        self, resource: Resource, removal: Removal, last: LastDecision
    ) -> Outcome:
        """Record the session of the resource and end the resource, unless a new decision is to keep
        it. If the resource has not ended, delete the record."""
        # Writing the audit line may have taken seconds.
        objection = self._objection(removal, last)
        if objection is not None:
            return objection
        resource, entry = await self._recorder.record(resource, removal)
        try:
            outcome = await self._end_unless_kept(resource, removal, last)
        except Exception:
            await self._forget(entry)
            raise
        if not outcome.ended:
            await self._forget(entry)
        return outcome

    async def _forget(self, entry: str) -> None:
        """Delete the recorded session with the id ``entry`` (empty: there is none)."""
        if entry:
            with contextlib.suppress(OSError):
                await self._recorder.forget(entry)

    async def _end_unless_kept(
        self, resource: Resource, removal: Removal, last: LastDecision
    ) -> Outcome:
        """End the resource if the last decision is still to remove it."""
        await last.observe()
        # The instant of the request or pass is too old: it may have removed other resources first.
        now = self._ledger_time()
        objection = self._objection(removal, last)
        if objection is not None:
            return objection
        # There is no await between the decision and the next line. So a user's request either came
        # before the decision, which respects it, or is refused because the removal is under way.
        self._situation.removals_under_way[resource.ref] = now
        # Skip the removal if the resource became active since the decision. A removal that a user
        # requested always proceeds.
        only_unmoved = removal.decision.reason is not Reason.REQUESTED
        # Until the manager or SageMaker is called, a user's request may still stop the removal, for
        # example a keep-alive on the app of this kernel.
        still_removable = partial(_is_still_to_be_removed, last)
        outcome = await self._world.remove(resource, only_unmoved, still_removable)
        if outcome.ended and not await self._world.is_gone(resource):
            return still_there(resource)
        return outcome

    def _objection(self, removal: Removal, last: LastDecision) -> Outcome | None:
        """The outcome if the resource must not be removed at this moment; None otherwise."""
        decision, situation = last.decide(), self._situation
        if decision is None or not decision.removes:
            return stale(decision)
        if last.policy().dry_run:
            first = removal.decision
            situation.ledger = rehearse(situation.ledger, first.ref, first.idle_since)
            return Outcome(Result.DRY_RUN, "dry_run is on: it would have been removed.")
        return None


def _is_still_to_be_removed(last: LastDecision) -> bool:
    """Whether the decision is still to remove the resource, this is no dry run, and the last look
    is recent enough."""
    decision = last.decide()
    to_remove = decision is not None and decision.removes and not last.policy().dry_run
    return to_remove and last.is_recent()

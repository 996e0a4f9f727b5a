"""One run of ``domain tidy``: read the account, plan, send notices, delete apps.

A run protects people's work in these ways:

- It takes the state before everything else, so that no other run works at the same time.
- It writes a notice to the state after the notice was sent. It deletes an app only if the state
  held a notice for that app when the run began (:mod:`.deletion`). So each owner gets a notice.
- If its time is over, it stops, and the next run does the rest.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..core.formatting import iso
from .actions import Step, TidyDecision, TidyPlan, plan, still_valid
from .deletion import Attempt, Deletions, audit_entry
from .errors import CallError, OutOfTimeError
from .facts import Facts
from .memory import Memory, Notice
from .notices import Notifier
from .pace import Aws
from .policy import DomainPolicy
from .reader import Reader
from .resources import Item, ItemKey
from .stores import AuditLog, HeldState, StateStore

#: The number of notices in a batch. The run writes the state after each batch. So after a crash,
#: the next run sends at most one batch again.
NOTICES_A_BATCH = 200


@dataclass
class Run:
    """What one run did.

    - ``noticed``: the decisions for which it sent a notice.
    - ``withdrawn``: the apps whose notice is no longer valid, because they are in use again or the
      policy excepts them now.
    - ``left``: the number of due deletions that it did not try; ``ended`` says why (empty: it did
      all that it planned).
    - ``notices_failed``: some or all of the notices were not sent.
    """

    facts: Facts
    plan: TidyPlan
    dry_run: bool
    noticed: tuple[TidyDecision, ...] = ()
    withdrawn: frozenset[Item] = frozenset()
    attempts: list[Attempt] = field(default_factory=list)
    left: int = 0
    ended: str = ""
    notices_failed: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.ended) or any(attempt.failed for attempt in self.attempts)


class Tidy:
    """Does a run of ``domain tidy``. ``aws`` returns the API of a region, ``now`` the time in aware
    UTC."""

    def __init__(
        self,
        reader: Reader,
        policy: DomainPolicy,
        store: StateStore,
        audit: AuditLog,
        notifier: Notifier,
        aws: Callable[[str], Aws],
        now: Callable[[], datetime],
    ) -> None:
        self._reader, self._policy = reader, policy
        self._store, self._audit, self._notifier, self._now = store, audit, notifier, now
        self._run_id = uuid.uuid4().hex[:12]
        self._deletions = Deletions(reader, policy, audit, aws, now, self._run_id)

    def run(self, dry_run: bool) -> Run:
        """Do one run. If ``dry_run`` or the policy's own ``dry_run`` is true, it only plans. Raises
        DomainError if the state or the audit log does not work; then nothing more is deleted."""
        if dry_run or self._policy.dry_run:
            memory, _ = self._store.load()
            return self._read_and_plan(memory, dry_run=True)[0]
        state = HeldState(self._store, self._run_id, self._now)
        try:
            run, memory = self._read_and_plan(state.memory, dry_run=False)
            # If another run has taken the state meanwhile, this raises before a notice is sent.
            state.write(memory)
            for batch in _batches(run.plan.of_step(Step.NOTICE)):
                notices = self._send_notices(batch, run)
                if not notices:
                    break
                state.write(state.memory.with_notices(notices))
            self._delete_due_apps(run, state)
        finally:
            state.release()
        return run

    def _read_and_plan(self, memory: Memory, dry_run: bool) -> tuple[Run, Memory]:
        facts = self._reader.read()
        valid = still_valid(memory, facts, self._policy)
        gone = memory.notices.keys() - valid.notices.keys()
        withdrawn = frozenset(item for item in facts.items if item.key in gone)
        planned = plan(facts, self._policy, valid)
        return Run(facts, planned, dry_run, withdrawn=withdrawn), valid

    def _send_notices(self, decisions: Sequence[TidyDecision], run: Run) -> dict[ItemKey, Notice]:
        """Send notices, and return those to remember: none if sending fails."""
        try:
            self._notifier.send(decisions, run.facts, self._policy)
        except (CallError, OutOfTimeError) as error:
            run.ended, run.notices_failed = f"Notices were not sent: {error}", True
            return {}
        given_at = self._now()
        due_at = given_at + self._policy.notice
        entries = [audit_entry("notice", self._run_id, d) for d in decisions]
        self._audit.write(*({**entry, "at": iso(given_at)} for entry in entries))
        run.noticed = (*run.noticed, *decisions)
        return {d.item.key: Notice(d.rule, given_at, d.item.created_at, due_at) for d in decisions}

    def _delete_due_apps(self, run: Run, state: HeldState) -> None:
        due = run.plan.of_step(Step.DELETE)
        for number, decision in enumerate(due):
            run.left = len(due) - number
            if number >= self._policy.max_deletions:
                return
            if not state.is_held():
                late = "The run took so long that another run may begin; this one ends."
                run.ended = run.ended or late
                return
            try:
                run.attempts.append(self._deletions.delete(decision, run.facts, state))
            except OutOfTimeError as error:
                run.ended = run.ended or str(error)
                return
        run.left = 0


def _batches(decisions: Sequence[TidyDecision]) -> Iterator[Sequence[TidyDecision]]:
    for first in range(0, len(decisions), NOTICES_A_BATCH):
        yield decisions[first : first + NOTICES_A_BATCH]

"""One run of ``domain tidy``: read, plan, give notices, look again, delete.

The order protects people: a notice is sent and then written to the state; only a notice that an
earlier run wrote leads to a deletion; the state is taken (and so another run excluded) before the
first deletion; each deletion has its audit line on disk before the call; and each app is looked at
once more at the last moment. What is not done in time is left to the next run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..core.verdict import Result
from ..core.words import iso
from ..world.aws_errors import classify
from . import facts as f
from .actions import CLOUDTRAIL_DELAY, Decision, Plan, Step, decide, plan, still_valid
from .entries import app_request
from .errors import CallError, ConflictError, OutOfTimeError
from .evidence import read_canvas, read_creations, read_newest_report, read_tags
from .facts import Facts, Item, ItemKey
from .memory import Memory, Notice
from .notices import Notifier
from .pace import Aws
from .policy import DomainPolicy
from .reader import Reader
from .stores import AuditLog, StateStore

#: So many notices are sent before the state is written. A run that ends in between has sent so many
#: at most that the next run sends again.
NOTICES_A_BATCH = 200

#: A run is over by then, whatever happened to it. The scheduled function has 15 minutes.
LEASE = timedelta(minutes=20)


@dataclass(frozen=True)
class Attempt:
    """What came of one planned deletion. ``code`` is AWS's, for a failure."""

    decision: Decision
    result: Result
    detail: str
    code: str = ""

    @property
    def failed(self) -> bool:
        return self.result in (Result.TEMPORARY, Result.PERMANENT)


@dataclass
class Run:
    """What one run did. ``withdrawn`` are apps whose notice no longer holds, for they are in use or
    excepted; ``left`` deletions are due and were not tried; ``ended`` says why.
    ``notices_failed``: some or all of the notices were not sent."""

    facts: Facts
    plan: Plan
    dry_run: bool
    noticed: tuple[Decision, ...] = ()
    withdrawn: frozenset[Item] = frozenset()
    attempts: list[Attempt] = field(default_factory=list)
    left: int = 0
    ended: str = ""
    notices_failed: bool = False

    @property
    def failed(self) -> bool:
        return bool(self.ended) or any(attempt.failed for attempt in self.attempts)


class Tidy:
    """``aws`` gives the API of a region, ``now`` the time in aware UTC."""

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
        self._store, self._audit, self._notifier = store, audit, notifier
        self._aws, self._now = aws, now
        self._run_id = uuid.uuid4().hex[:12]

    def run(self, dry_run: bool) -> Run:
        """One run. ``dry_run``, or that of the policy: only the plan. Raises DomainError where the
        state or the audit log does not work: nothing is deleted then."""
        dry_run = dry_run or self._policy.dry_run
        memory, version = self._store.load()
        if dry_run:
            return self._read_and_plan(memory, dry_run)[0]
        if memory.is_taken(self._now()):
            raise ConflictError(f"Another run ({memory.run}) is at work; this one gives way.")
        memory = memory.taken(self._run_id, self._now() + LEASE)
        version = self._store.save(memory, version)
        try:
            done, memory = self._read_and_plan(memory, dry_run)
            # A conflict here says that another run took the state: no notice is sent then.
            version = self._store.save(memory, version)
            for batch in _batches(done.plan.of_step(Step.NOTICE)):
                given = self._give_notices(batch, done)
                if not given:
                    break
                memory = memory.with_notices(given)
                version = self._store.save(memory, version)
            memory = self._delete(done, memory)
        finally:
            self._store.save(memory.released(), version)
        return done

    def _read_and_plan(self, memory: Memory, dry_run: bool) -> tuple[Run, Memory]:
        facts = self._reader.read()
        valid = still_valid(memory, facts, self._policy)
        gone = memory.notices.keys() - valid.notices.keys()
        withdrawn = frozenset(item for item in facts.items if item.key in gone)
        planned = plan(facts, self._policy, valid)
        return Run(facts, planned, dry_run, withdrawn=withdrawn), valid

    # -- notices -----------------------------------------------------------------------------

    def _give_notices(self, decisions: Sequence[Decision], done: Run) -> dict[ItemKey, Notice]:
        """Send notices; those to remember. Where sending fails, none is remembered."""
        try:
            self._notifier.send(decisions, done.facts, self._policy)
        except (CallError, OutOfTimeError) as error:
            done.ended, done.notices_failed = f"Notices were not given: {error}", True
            return {}
        given_at = self._now()
        entries = [{**self._entry("notice", d), "at": iso(given_at)} for d in decisions]
        self._audit.write(*entries)
        done.noticed = (*done.noticed, *decisions)
        return {d.item.key: Notice(d.rule, given_at, d.item.created_at) for d in decisions}

    # -- deletions ---------------------------------------------------------------------------

    def _delete(self, done: Run, memory: Memory) -> Memory:
        due = done.plan.of_step(Step.DELETE)
        for number, decision in enumerate(due):
            if number >= self._policy.max_deletions:
                done.left = len(due) - number
                break
            if not memory.is_taken(self._now()):
                done.left = len(due) - number
                late = "The run took so long that another run may begin; this one ends."
                done.ended = done.ended or late
                break
            try:
                attempt = self._delete_one(decision, done.facts, memory)
            except OutOfTimeError as error:
                done.left, done.ended = len(due) - number, done.ended or str(error)
                break
            done.attempts.append(attempt)
            if attempt.result in (Result.REMOVED, Result.GONE, Result.STALE):
                memory = memory.without(decision.item.key)
        return memory

    def _delete_one(self, decision: Decision, facts: Facts, memory: Memory) -> Attempt:
        """Try one deletion. Another app is not concerned by what goes wrong here."""
        item = decision.item
        try:
            again = self._decide_again(decision, facts, memory)
        except CallError as error:
            # Nothing was tried, but the administrator should know.
            return self._audited(decision, "", Result.TEMPORARY, str(error), error.code)
        if again is None:
            return self._audited(decision, "", Result.GONE, "The app was already gone.")
        if again.step is not Step.DELETE or again.rule != decision.rule:
            return self._audited(decision, "", Result.STALE, again.detail)
        number = uuid.uuid4().hex[:12]
        self._audit.write({**self._entry("delete", again, number), "at": iso(self._now())})
        try:
            self._aws(item.region).call("sagemaker", "delete_app", **app_request(item))
        except CallError as error:
            result = classify(error.code, error.text)
            if result is Result.GONE:
                return self._audited(again, number, result, "The app was already gone.", error.code)
            text = f"{error.message} {error.remedy}"
            return self._audited(again, number, result, text, error.code)
        except OutOfTimeError:
            self._audited(again, number, Result.STALE, "Not tried: the time of the run was over.")
            raise
        return self._audited(again, number, Result.REMOVED, "SageMaker is deleting the app.")

    def _decide_again(self, decision: Decision, facts: Facts, memory: Memory) -> Decision | None:
        """The decision by what is known at this moment; None when the app is gone."""
        item = self._reader.look_again(decision.item)
        if item is None:
            return None
        aws, now, scope = self._aws(item.region), self._now(), self._reader.scope
        fresh: dict[str, Any] = {"at": now, "items": (item,)}
        # From when the reading began: the first sources were read then.
        since = facts.began_at or facts.at
        created, _ = read_creations(aws, since - CLOUDTRAIL_DELAY)
        fresh["creations"] = {**facts.creations, **created}
        fresh["tags"] = self._tags_now(aws, facts, item)
        if item.type == f.CANVAS:
            points = read_canvas(aws, [item], now - scope.points_within, now)
            fresh["canvas"] = {item.key: points.get(item.key, ())}
        if decision.rule == "without_extension":
            # A line may be found in the log only minutes after it was written.
            begin = since - scope.report_interval
            report = read_newest_report(aws, scope.log_group, item, begin, now)
            fresh["reports"] = (*facts.reports, *(() if report is None else (report,)))
        if decision.rule == "orphans" and self._reader.owner_exists(item):
            return replace(decision, step=Step.KEEP, detail="Its owner exists.")
        notice = memory.notices.get(item.key)
        again = decide(item, replace(facts, **fresh), self._policy, notice)
        uncovered = replace(decision, step=Step.KEEP, detail="No rule covers the app any more.")
        return again or uncovered

    def _tags_now(self, aws: Aws, facts: Facts, item: Item) -> dict[str, Mapping[str, str]]:
        """``facts.tags`` with the tags that decide, as they are at this moment: those of the app's
        domain, one of which stops everything, and those that the policy excepts, on any resource.
        Raises CallError where they cannot be read."""
        domain = facts.domains.get(item.domain_key)
        arn = (domain.settings or {}).get("DomainArn") if domain is not None else None
        if arn is None:
            message = f"The domain {item.domain_id} could not be described."
            raise CallError("NoDomain", message, "Allow sagemaker:DescribeDomain.")
        found = dict(facts.tags)
        for name in self._policy.exceptions.tags:
            for path, tags in read_tags(aws, name).items():
                found[path] = {**found.get(path, {}), **tags}
        tags = aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        found[f"domain/{item.domain_id}".lower()] = {tag["Key"]: tag["Value"] for tag in tags}
        return found

    # -- audit -------------------------------------------------------------------------------

    def _audited(
        self, decision: Decision, number: str, result: Result, text: str, code: str = ""
    ) -> Attempt:
        entry = self._entry("outcome", decision, number)
        outcome = {"outcome": result.value, "outcome_detail": text, "code": code}
        self._audit.write({**entry, **outcome, "at": iso(self._now())})
        return Attempt(decision, result, text, code)

    def _entry(self, event: str, decision: Decision, number: str = "") -> dict[str, Any]:
        item = decision.item
        return {
            "event": event,
            "run": self._run_id,
            "attempt": number,
            **item.key._asdict(),
            "owner": item.owner,
            "created_at": iso(item.created_at),
            "rule": decision.rule,
            "detail": decision.detail,
        }


def _batches(decisions: Sequence[Decision]) -> Iterator[Sequence[Decision]]:
    for first in range(0, len(decisions), NOTICES_A_BATCH):
        yield decisions[first : first + NOTICES_A_BATCH]


def interrupted(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The deletions of an audit log that were begun and have no outcome: a run ended there."""
    ended = {e["attempt"] for e in entries if e["event"] == "outcome"}
    return [e for e in entries if e["event"] == "delete" and e["attempt"] not in ended]

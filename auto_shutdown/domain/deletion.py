"""The deletion of one app that has its notice: a last look, the audit line, the call.

Each notice leads to one call of DeleteApp at most. The notice is removed from the state before the
call, so a crash, a lost answer or a second run can never lead to a second call for an app that was
created again under the same name. If AWS refuses the call, the notice is put back. If the outcome
is unknown, the next run sends a new notice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ..core.formatting import duration, iso
from ..core.outcome import Result
from ..world.aws_errors import CREDENTIALS, DENIED, HOPELESS, THROTTLED, classify
from .actions import CLOUDTRAIL_DELAY, Step, TidyDecision, decide
from .entries import app_request
from .errors import CallError, DomainError
from .facts import Facts
from .memory import Notice
from .pace import BACK_OFF, Aws
from .policy import DomainPolicy
from .read_observations import read_canvas, read_creations, read_newest_report, read_tags
from .reader import Reader
from .resources import CANVAS, Item
from .stores import AuditLog, HeldState

#: The delete call must begin within this time after the last look at the app began. After a longer
#: time (the machine may have slept in between), somebody may use the app again.
LAST_LOOK_IS_VALID = timedelta(minutes=2)

#: Errors that say that SageMaker did not delete the app. After any other error it may have done so.
REFUSED = THROTTLED | DENIED | HOPELESS | CREDENTIALS | {"ResourceInUse"}

GONE = "The app was already gone."


@dataclass(frozen=True)
class Attempt:
    """The result of one planned deletion. ``code`` is AWS's, if it failed. ``number`` identifies
    the call in the audit log; it is empty if no call was planned."""

    decision: TidyDecision
    result: Result
    detail: str
    code: str = ""
    number: str = ""

    @property
    def failed(self) -> bool:
        return self.result in (Result.TEMPORARY, Result.PERMANENT)

    @property
    def is_throttled(self) -> bool:
        """Whether SageMaker refused the deletion only because of too many calls."""
        return bool(self.number) and self.code in THROTTLED


class Deletions:
    """The deletions of one run. ``aws`` returns the API of a region, ``now`` the time in aware
    UTC."""

    def __init__(
        self,
        reader: Reader,
        policy: DomainPolicy,
        audit: AuditLog,
        aws: Callable[[str], Aws],
        now: Callable[[], datetime],
        run_id: str,
    ) -> None:
        self._reader, self._policy, self._audit = reader, policy, audit
        self._aws, self._now, self._run_id = aws, now, run_id

    def delete(self, decision: TidyDecision, facts: Facts, state: HeldState) -> Attempt:
        """Delete one app, if the last look at it still permits that.

        A failure of this deletion is part of the result, so that the run goes on with other apps.
        If SageMaker throttles the call, the app is looked at again before the next attempt. Raises
        DomainError if the state or the audit log does not work, OutOfTimeError if the time of the
        run is over.
        """
        pace, throttled = self._aws(decision.item.region).pace, 0
        while True:
            # Wait before the last look and not after it.
            pace.wait("sagemaker", "delete_app", again=throttled > 0)
            attempt = self._look_and_delete(decision, facts, state)
            if not attempt.is_throttled or throttled == len(BACK_OFF):
                return attempt
            throttled += 1
            pace.back_off("sagemaker", "delete_app", throttled)

    def _look_and_delete(self, decision: TidyDecision, facts: Facts, state: HeldState) -> Attempt:
        key = decision.item.key
        notice = state.memory.notices.get(key)
        try:
            item = self._reader.look_again(decision.item)
            looked_at = self._now()
            if item is None:
                state.memory = state.memory.without(key)
                return self._audited(decision, Result.GONE, GONE)
            latest = self._decide_again(item, looked_at, decision, facts, notice)
        except CallError as error:
            # No call was made, but the administrator should know.
            return self._audited(decision, Result.TEMPORARY, str(error), error.code)
        if notice is None or latest.step is not Step.DELETE or latest.rule != decision.rule:
            state.memory = state.memory.without(key)
            return self._audited(decision, Result.STALE, latest.detail)
        number = uuid.uuid4().hex[:12]
        entry = audit_entry("delete", self._run_id, latest, number)
        self._audit.write({**entry, "at": iso(self._now())})
        try:
            state.write(state.memory.without(key))
        except DomainError as error:
            self._audited(latest, Result.STALE, f"Not tried: {error}", number=number)
            raise
        attempt = self._call(latest, number, looked_at)
        refused = attempt.failed and attempt.code in REFUSED
        if refused or attempt.result is Result.STALE:
            state.memory = state.memory.with_notices({key: notice})
        return attempt

    def _call(self, decision: TidyDecision, number: str, looked_at: datetime) -> Attempt:
        item = decision.item
        age = self._now() - looked_at
        if age > LAST_LOOK_IS_VALID:
            late = f"Not tried: the last look at the app was {duration(age)} ago."
            return self._audited(decision, Result.STALE, late, number=number)
        try:
            self._aws(item.region).send("sagemaker", "delete_app", **app_request(item))
        except CallError as error:
            result = classify(error.code, error.text)
            text = f"{error.message} {error.remedy}"
            if result is Result.GONE:
                text = GONE
            return self._audited(decision, result, text, error.code, number)
        text = "SageMaker is deleting the app."
        return self._audited(decision, Result.REMOVED, text, number=number)

    # -- the last look -----------------------------------------------------------------------

    def _decide_again(
        self, item: Item, now: datetime, decision: TidyDecision, facts: Facts, notice: Notice | None
    ) -> TidyDecision:
        """The decision on the current facts. Raises CallError if one of the facts that it depends
        on cannot be read."""
        aws, scope = self._aws(item.region), self._reader.scope
        fresh: dict[str, Any] = {"at": now, "items": (item,)}
        # The first sources were read when the reading began.
        since = facts.began_at or facts.at
        created, _ = read_creations(aws, since - CLOUDTRAIL_DELAY)
        fresh["creations"] = {**facts.creations, **created}
        fresh["tags"] = self._read_tags(aws, facts, item)
        if item.type == CANVAS:
            points = read_canvas(aws, [item], now - scope.points_within, now)
            fresh["canvas"] = {item.key: points.get(item.key, ())}
        if decision.rule == "without_extension":
            # CloudWatch may find a line only minutes after it was written.
            begin = since - scope.report_interval
            report = read_newest_report(aws, scope.log_group, item, begin, now)
            fresh["reports"] = (*facts.reports, *(() if report is None else (report,)))
        if decision.rule == "orphans" and self._reader.owner_exists(item):
            return replace(decision, step=Step.KEEP, detail="Its owner exists.")
        latest = decide(item, replace(facts, **fresh), self._policy, notice)
        uncovered = replace(decision, step=Step.KEEP, detail="No rule covers the app any more.")
        return latest or uncovered

    def _read_tags(self, aws: Aws, facts: Facts, item: Item) -> dict[str, Mapping[str, str]]:
        """``facts.tags``, updated with the current values of the tags on which the decision
        depends: those of the app's domain (one of them stops all removals), and those that except a
        resource in the policy. Raises CallError if they cannot be read."""
        domain = facts.domains.get(item.domain_key)
        arn = (domain.settings or {}).get("DomainArn") if domain is not None else None
        if arn is None:
            message = f"The domain {item.domain_id} could not be described."
            raise CallError("NoDomain", message, "Allow sagemaker:DescribeDomain.")
        tags = dict(facts.tags)
        for name in self._policy.exceptions.tags:
            for path, newer in read_tags(aws, name).items():
                tags[path] = {**tags.get(path, {}), **newer}
        of_domain = aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        tags[f"domain/{item.domain_id}".lower()] = {tag["Key"]: tag["Value"] for tag in of_domain}
        return tags

    # -- audit -------------------------------------------------------------------------------

    def _audited(
        self, decision: TidyDecision, result: Result, text: str, code: str = "", number: str = ""
    ) -> Attempt:
        entry = audit_entry("outcome", self._run_id, decision, number)
        outcome = {"outcome": result.value, "outcome_detail": text, "code": code}
        self._audit.write({**entry, **outcome, "at": iso(self._now())})
        return Attempt(decision, result, text, code, number)


def audit_entry(
    event: str, run_id: str, decision: TidyDecision, number: str = ""
) -> dict[str, Any]:
    """A line of the audit log, without its time. ``number`` is the same in the lines ``delete`` and
    ``outcome`` of one call."""
    item = decision.item
    return {
        "event": event,
        "run": run_id,
        "attempt": number,
        **item.key._asdict(),
        "owner": item.owner,
        "created_at": iso(item.created_at),
        "rule": decision.rule,
        "detail": decision.detail,
    }


def interrupted(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines ``delete`` of an audit log without an outcome: a run ended there."""
    ended = {e["attempt"] for e in entries if e["event"] == "outcome"}
    return [e for e in entries if e["event"] == "delete" and e["attempt"] not in ended]

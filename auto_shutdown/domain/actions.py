"""Decides for ``domain tidy`` which apps get a notice and which are deleted. Pure.

These decisions are about the apps of a whole AWS account, from what AWS reports. A server decides
about its own kernels, terminals and apps in ``core/planner.py``, from what runs in them.

An app is deleted only if all of these conditions hold. If one of them is unknown, it is kept.

1. A rule of the policy covers the app, the rule's switch is on, and the app is in service.
2. The app has reached the rule's limit. For Canvas, a fresh point of its metric shows for how long
   it has been idle. For other apps, CreationTime and CloudTrail show how long it has run.
3. No exception of the policy covers the app, and the exceptions could be checked.
4. A notice was sent for this app and this rule, and the time that it announced has come.
5. Since the notice, the app was not used, not created again, and sent no report line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from .facts import APPS, STOP_TAG, Facts
from .memory import CLOCK_TOLERANCE, Memory, Notice
from .policy import DomainPolicy
from .policy_exceptions import exception_of
from .resources import (
    APP,
    IN_SERVICE,
    USER_PROFILE,
    DomainKey,
    Item,
    ItemKey,
)
from .rules import Kept, below_limit, rule_of, why_due, without_cloudtrail

#: CloudTrail shows an event after 15 minutes at most (CloudTrail user guide). So it may not show a
#: creation of the last 15 minutes yet.
CLOUDTRAIL_DELAY = timedelta(minutes=15)

#: If nothing happens for so long after the announced time, the notice is sent again.
NOTICE_LIFE = timedelta(hours=24)


class Step(str, Enum):
    """What to do with an app now."""

    KEEP = "keep"
    #: The app has reached the limit, but the switch of the rule is off: only list it.
    OFF = "off"
    NOTICE = "notice"
    WAIT = "wait"
    DELETE = "delete"


@dataclass(frozen=True)
class TidyDecision:
    """The decision on one app that a rule covers. ``rule`` is the rule's name in the policy file,
    ``detail`` a sentence for people. ``due_at``: when the app will be deleted if nothing changes.
    ``unknown``: the app is kept only because something could not be read."""

    item: Item
    rule: str
    step: Step
    detail: str
    due_at: datetime | None = None
    unknown: bool = False


@dataclass(frozen=True)
class TidyPlan:
    """One decision for every app in service that a rule covers."""

    decisions: tuple[TidyDecision, ...] = ()

    def of_step(self, *steps: Step) -> tuple[TidyDecision, ...]:
        return tuple(d for d in self.decisions if d.step in steps)


def plan(facts: Facts, policy: DomainPolicy, memory: Memory) -> TidyPlan:
    """What to do with each app at ``facts.at``."""
    decisions = (
        decide(item, facts, policy, memory.notices.get(item.key))
        for item in facts.items
        # SageMaker lists a deleted app for another day.
        if item.status == IN_SERVICE
    )
    return TidyPlan(tuple(d for d in decisions if d is not None))


def still_valid(memory: Memory, facts: Facts, policy: DomainPolicy) -> Memory:
    """``memory`` with only the notices that are still valid.

    A notice is dropped if its app is gone, was created again or is in use, or if the policy no
    longer covers the app. It is kept if something could not be read; this run deletes nothing on
    unknown facts. The notices of domains that this run did not read are kept until they expire, for
    the runs that read those domains.
    """
    kept = {}
    for key, notice in memory.notices.items():
        item = facts.by_key.get(key)
        if item is None:
            if not _was_listed(key, facts) and not _is_expired(notice, facts, policy):
                kept[key] = notice
            continue
        decision = decide(item, facts, policy, notice)
        if decision is None or _is_refuted(item, facts, notice):
            continue
        if decision.unknown or decision.step in (Step.WAIT, Step.DELETE):
            kept[key] = notice
    return replace(memory, notices=kept)


def decide(
    item: Item, facts: Facts, policy: DomainPolicy, notice: Notice | None
) -> TidyDecision | None:
    """The decision on one app; None where no rule covers it."""
    if item.kind != APP or (policy.domains and item.domain_id not in policy.domains):
        return None
    name = rule_of(item, facts)
    if name is None:
        return None
    rule = policy.rules[name]
    kept = _kept(item, facts, policy)
    if kept is None:
        kept = below_limit(item, facts, policy, name)
    if kept is not None:
        return TidyDecision(item, name, Step.KEEP, kept.why, unknown=kept.unknown)
    why = why_due(item, facts, policy, name)
    if not rule.delete:
        return TidyDecision(item, name, Step.OFF, why)
    if notice is None or not _covers(notice, item, facts, name, policy):
        return TidyDecision(item, name, Step.NOTICE, why, facts.at + policy.notice)
    due_at = notice.is_due_at(policy.notice)
    if facts.at < due_at:
        return TidyDecision(item, name, Step.WAIT, why, due_at)
    since = facts.creations_since.get(item.region)
    if since is None or since > notice.given_at - CLOUDTRAIL_DELAY:
        return TidyDecision(item, name, Step.KEEP, without_cloudtrail(facts, item), unknown=True)
    return TidyDecision(item, name, Step.DELETE, why, due_at)


def _covers(notice: Notice, item: Item, facts: Facts, rule: str, policy: DomainPolicy) -> bool:
    """Whether ``notice`` announced this deletion by this rule."""
    expired = _is_expired(notice, facts, policy)
    return notice.rule == rule and not expired and not _is_refuted(item, facts, notice)


def _is_expired(notice: Notice, facts: Facts, policy: DomainPolicy) -> bool:
    """Whether ``notice`` is too old to be acted on, or was written by a wrong clock."""
    too_old = facts.at > notice.is_due_at(policy.notice) + NOTICE_LIFE
    return too_old or notice.given_at > facts.at + CLOCK_TOLERANCE


def _was_listed(key: ItemKey, facts: Facts) -> bool:
    """Whether this run listed all apps of the app's domain."""
    known = DomainKey(key.region, key.domain_id) in facts.domains
    return known and facts.was_read(APPS, key.region)


def _kept(item: Item, facts: Facts, policy: DomainPolicy) -> Kept | None:
    """Why the app is kept regardless of the limit; None if it is not."""
    if item.status != IN_SERVICE:
        return Kept(f"The app is {item.status}.")
    if not facts.was_read(APPS, item.region):
        return Kept("The list of apps is incomplete.", unknown=True)
    reason = facts.tags.get(f"domain/{item.domain_id}".lower(), {}).get(STOP_TAG)
    if reason is not None:
        return Kept(f"All removals are stopped by the tag {STOP_TAG} of the domain: {reason}")
    return exception_of(item, facts, policy)


def _is_refuted(item: Item, facts: Facts, notice: Notice) -> bool:
    """Whether the notice no longer holds, because the app was created again or used since."""
    if item.status != IN_SERVICE or item.created_at != notice.created_at:
        return True
    created = facts.creations.get(item.key)
    # When the notice was sent, CloudTrail did not show the creations of the last minutes yet.
    if created is not None and created > notice.given_at - CLOUDTRAIL_DELAY:
        return True
    return any(
        point.at > notice.given_at and point.last_active > notice.given_at
        for point in facts.canvas.get(item.key, ())
    )


def owners_of(
    decisions: Iterable[TidyDecision], facts: Facts
) -> Iterator[tuple[str, TidyDecision]]:
    """Each decision with the owner of its app."""
    for decision in decisions:
        item = decision.item
        person = facts.person(item)
        fallback = item.owner if item.owner_kind == USER_PROFILE else f"space {item.owner}"
        yield person or fallback, decision

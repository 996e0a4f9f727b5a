"""From facts to actions: which apps get a notice, which are deleted. Pure.

An app is deleted only when all of this holds; everything that is unknown keeps it.

1. A rule of the policy covers it, its switch is on, and the app is in service.
2. Canvas: a fresh point of its metric shows that it is idle. All others: it is certainly as old as
   the limit (CreationTime and CloudTrail).
3. No exception covers it, and exceptions could be read.
4. A notice was given, for this very app, and the notice time is over.
5. Since the notice it has not been used, created again, or seen with the extension.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from ..core.words import duration
from .facts import (
    APP,
    APPS,
    CANVAS,
    CANVAS_METRIC,
    CREATIONS,
    DOMAIN_SHARED,
    IN_SERVICE,
    PROFILES,
    R_SESSION,
    REPORTS,
    SPACE,
    SPACES,
    STOP_TAG,
    TAGS,
    TENSORBOARD,
    USER_PROFILE,
    WATCHED_TYPES,
    DomainKey,
    Facts,
    Item,
    ItemKey,
    Point,
)
from .memory import CLOCK_TOLERANCE, Memory, Notice
from .policy import DomainPolicy

#: CloudTrail shows an event after 15 minutes at most, by its documentation. Until then a creation
#: is unknown, so a notice younger than that cannot prove anything.
CLOUDTRAIL_DELAY = timedelta(minutes=15)

#: A notice that was not acted on for so long after its time is given again.
NOTICE_LIFE = timedelta(hours=24)


class Step(str, Enum):
    """What is done with an app now."""

    KEEP = "keep"
    #: The switch of the rule is off: only listed.
    OFF = "off"
    NOTICE = "notice"
    WAIT = "wait"
    DELETE = "delete"


@dataclass(frozen=True)
class Decision:
    """For one app that a rule covers. ``rule`` is the rule's name in the policy file; ``detail``
    one sentence for a person; ``due_at`` when it will be deleted if nothing changes."""

    item: Item
    rule: str
    step: Step
    detail: str
    due_at: datetime | None = None
    #: It is kept only because something could not be read.
    unknown: bool = False


@dataclass(frozen=True)
class Plan:
    """One decision for every app in service that a rule covers."""

    decisions: tuple[Decision, ...] = ()

    def of_step(self, *steps: Step) -> tuple[Decision, ...]:
        return tuple(d for d in self.decisions if d.step in steps)


def plan(facts: Facts, policy: DomainPolicy, memory: Memory) -> Plan:
    """What is to be done at ``facts.at``."""
    decisions = (
        decide(item, facts, policy, memory.notices.get(item.key))
        for item in facts.items
        # SageMaker lists a deleted app for another day.
        if item.status == IN_SERVICE
    )
    return Plan(tuple(d for d in decisions if d is not None))


def still_valid(memory: Memory, facts: Facts, policy: DomainPolicy) -> Memory:
    """The notices that still hold. A notice is forgotten if its app is gone, was created again or
    is in use, or if the policy no longer covers the app. A notice is kept if something could not
    be read: it cannot lead to a deletion in this run. Notices of domains that this run did not read
    are kept for the runs that do, until they expire."""
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
) -> Decision | None:
    """The decision on one app; None where no rule covers it."""
    if item.kind != APP or (policy.domains and item.domain_id not in policy.domains):
        return None
    name = _rule_of(item, facts)
    if name is None:
        return None
    rule = policy.rules[name]
    kept = _kept(item, facts, policy)
    if kept is None:
        kept = _is_unripe(item, facts, policy, name)
    if kept is not None:
        return Decision(item, name, Step.KEEP, kept.why, unknown=kept.unknown)
    why = _why(item, facts, policy, name)
    if not rule.delete:
        return Decision(item, name, Step.OFF, why)
    if notice is None or not _covers(notice, item, facts, name, policy):
        return Decision(item, name, Step.NOTICE, why, facts.at + policy.notice)
    due_at = notice.is_due_at(policy.notice)
    if facts.at < due_at:
        return Decision(item, name, Step.WAIT, why, due_at)
    since = facts.creations_since.get(item.region)
    if since is None or since > notice.given_at - CLOUDTRAIL_DELAY:
        return Decision(item, name, Step.KEEP, _no_cloudtrail(facts, item), unknown=True)
    return Decision(item, name, Step.DELETE, why, due_at)


@dataclass(frozen=True)
class _Kept:
    why: str
    unknown: bool = False


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


def _kept(item: Item, facts: Facts, policy: DomainPolicy) -> _Kept | None:
    """Why the app is kept whatever its age; None: nothing speaks for it."""
    if item.status != IN_SERVICE:
        return _Kept(f"The app is {item.status}.")
    if not facts.was_read(APPS, item.region):
        return _Kept("The list of apps is incomplete.", unknown=True)
    reason = facts.tags.get(f"domain/{item.domain_id}".lower(), {}).get(STOP_TAG)
    if reason is not None:
        return _Kept(f"All removals are stopped by the tag {STOP_TAG} of the domain: {reason}")
    return _exception(item, facts, policy)


def _rule_of(item: Item, facts: Facts) -> str | None:
    """The rule that covers ``item``, the strongest first."""
    if is_orphan(item, facts):
        return "orphans"
    if item.type == CANVAS:
        return "canvas"
    if item.type == R_SESSION:
        return "rstudio_sessions"
    if item.type == TENSORBOARD:
        return "tensorboard"
    if item.type in WATCHED_TYPES and is_without_extension(item, facts):
        return "without_extension"
    return None


def is_orphan(item: Item, facts: Facts) -> bool | None:
    """Whether the user profile or space of an app no longer exists; None: unknown."""
    if item.kind != APP or item.owner.lower() == DOMAIN_SHARED:
        return False
    source, known = (
        (SPACES, facts.spaces) if item.owner_kind == SPACE else (PROFILES, facts.profiles)
    )
    if item.owner_key in known:
        return False
    return True if facts.was_read(source, item.region, item.domain_id) else None


def is_without_extension(item: Item, facts: Facts) -> bool | None:
    """Whether an app was in service for two report intervals and no report line was seen of it.
    None: unknown, because the lines could not be read, none arrives from this domain at all, or
    the app is too young."""
    if item.type not in WATCHED_TYPES:
        return None
    if facts.server_report(item) is not None:
        return False
    if not facts.was_read(REPORTS, item.region, item.domain_id):
        return None
    if item.domain_key not in facts.reporting_domains:
        return None
    return facts.certain_age(item, 2 * facts.report_interval) or None


def _is_unripe(item: Item, facts: Facts, policy: DomainPolicy, name: str) -> _Kept | None:
    """Why the limit of the rule is not reached; None: it is."""
    limit = policy.rules[name].limit
    if name == "canvas":
        idle = _canvas_idle(item, facts, policy.point_age)
        if idle is None:
            return _Kept(
                "Its activity is unknown: CloudWatch has no point of TimeSinceLastActive from the "
                f"last {duration(policy.point_age)}.",
                unknown=True,
            )
        if idle >= limit:
            return None
        return _Kept(f"Idle for {duration(idle)}; the limit is {duration(limit)}.")
    start = facts.started_at(item)
    if start is None:
        return _Kept("It is not known since when it runs.", unknown=True)
    old = facts.certain_age(item, limit)
    if old is None:
        return _Kept(_no_cloudtrail(facts, item), unknown=True)
    if old:
        return None
    return _Kept(f"It has run for {duration(facts.at - start)}; the limit is {duration(limit)}.")


def _why(item: Item, facts: Facts, policy: DomainPolicy, name: str) -> str:
    """Why the app is to go, in one sentence. It has reached the limit."""
    limit = f"(limit {duration(policy.rules[name].limit)})"
    if name == "canvas":
        idle = _canvas_idle(item, facts, policy.point_age) or timedelta(0)
        return f"Idle for {duration(idle)} by Canvas's own metric {limit}."
    age = duration(facts.at - (facts.started_at(item) or facts.at))
    if name == "orphans":
        owner = "space" if item.owner_kind == SPACE else "user profile"
        return f"Its {owner} no longer exists, and it has run for {age} {limit}."
    if name == "without_extension":
        return f"No report line of the extension was seen, and it has run for {age} {limit}."
    return f"It has run for {age} {limit}."


def canvas_idle_since(item: Item, facts: Facts, point_age: timedelta) -> datetime | None:
    """Since when a Canvas app is idle by its metric. None: unknown, for there is no point that is
    newer than the app and fresh."""
    start = facts.started_at(item)
    fresh = _fresh_point(item, facts, point_age)
    return None if fresh is None or start is None else max(fresh.last_active, start)


def _fresh_point(item: Item, facts: Facts, point_age: timedelta) -> Point | None:
    start = facts.started_at(item)
    points = facts.canvas.get(item.key, ())
    if start is None or not points or not facts.was_read(CANVAS_METRIC, item.region):
        return None
    newest = max(points, key=lambda point: point.at)
    early = newest.at <= start
    stale = facts.at - newest.at > point_age or newest.at > facts.at
    return None if early or stale or newest.idle < timedelta(0) else newest


def _canvas_idle(item: Item, facts: Facts, point_age: timedelta) -> timedelta | None:
    """For how long a Canvas app is known to be idle: up to the newest point and not up to now,
    for nothing is known about the time after it."""
    since = canvas_idle_since(item, facts, point_age)
    fresh = _fresh_point(item, facts, point_age)
    return None if since is None or fresh is None else fresh.at - since


def _is_refuted(item: Item, facts: Facts, notice: Notice) -> bool:
    """Whether something after the notice makes it void: the app is another one, or was used."""
    if item.status != IN_SERVICE or item.created_at != notice.created_at:
        return True
    created = facts.creations.get(item.key)
    # A creation that CloudTrail did not show yet when the notice was given counts as later.
    if created is not None and created > notice.given_at - CLOUDTRAIL_DELAY:
        return True
    return any(
        point.at > notice.given_at and point.last_active > notice.given_at
        for point in facts.canvas.get(item.key, ())
    )


def _no_cloudtrail(facts: Facts, item: Item) -> str:
    failed = next(
        (u for u in facts.unread if u.source == CREATIONS and u.region == item.region), None
    )
    why = f" ({failed.code})" if failed is not None else ""
    return (
        f"CloudTrail could not be read far enough back{why}, so it is unknown whether this app was "
        "created again: AWS keeps the CreationTime of the earlier one."
    )


def _exception(item: Item, facts: Facts, policy: DomainPolicy) -> _Kept | None:
    """The exception that covers ``item``, or that may."""
    exceptions = policy.exceptions
    person = facts.person(item)
    if person is None and (exceptions.owners or exceptions.tags):
        # A tag of the owner counts, too.
        if not facts.was_read(SPACES, item.region, item.domain_id):
            return _Kept("Its owner is unknown, and the policy has exceptions.", unknown=True)
    elif person is not None and _named(item.domain_id, person, exceptions.owners):
        return _Kept(f"The policy excepts the owner {person}.")
    if item.owner_kind == SPACE and _named(item.domain_id, item.owner, exceptions.spaces):
        return _Kept(f"The policy excepts the space {item.owner}.")
    if exceptions.tags and not facts.was_read(TAGS, item.region):
        why = "Tags could not be read, and the policy has exceptions by tag."
        return _Kept(why, unknown=True)
    for name, wanted in exceptions.tags.items():
        values = facts.tag_values(item, name)
        if wanted in values or (wanted == "*" and values):
            return _Kept(f"The policy excepts what has the tag {name}={wanted}.")
    return None


def _named(domain_id: str, name: str, names: frozenset[str]) -> bool:
    return bool({name.lower(), f"{domain_id}/{name}".lower()} & names)


def owners_of(decisions: Iterable[Decision], facts: Facts) -> Iterator[tuple[str, Decision]]:
    """Each decision with the user profile that it concerns."""
    for decision in decisions:
        item = decision.item
        person = facts.person(item)
        fallback = item.owner if item.owner_kind == USER_PROFILE else f"space {item.owner}"
        yield person or fallback, decision

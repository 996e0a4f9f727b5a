"""Which rule of the policy covers an app, and whether the app has reached the limit of that rule.
Pure.

Every function here treats an unknown fact as unknown: then the app is not covered, or it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..core.formatting import duration
from .facts import CANVAS_METRIC, CREATIONS, PROFILES, REPORTS, SPACES, Facts
from .observations import Point
from .policy import DomainPolicy
from .resources import (
    APP,
    CANVAS,
    DOMAIN_SHARED,
    R_SESSION,
    SPACE,
    TENSORBOARD,
    WATCHED_TYPES,
    Item,
)


@dataclass(frozen=True)
class Kept:
    """An app is kept, and ``why``. ``unknown``: it is kept only because something could not be
    read."""

    why: str
    unknown: bool = False


def rule_of(item: Item, facts: Facts) -> str | None:
    """The name of the rule that covers an app; None if no rule covers it. If several rules do, the
    first of them in the order of this function counts."""
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
    """Whether the user profile or space of an app no longer exists; None if unknown."""
    if item.kind != APP or item.owner.lower() == DOMAIN_SHARED:
        return False
    source, known = (
        (SPACES, facts.spaces) if item.owner_kind == SPACE else (PROFILES, facts.profiles)
    )
    if item.owner_key in known:
        return False
    return True if facts.was_read(source, item.region, item.domain_id) else None


def is_without_extension(item: Item, facts: Facts) -> bool | None:
    """Whether an app was in service for two report intervals, and its server sent no report line.

    None if that is unknown: the report lines could not be read, no server of the domain sends any,
    or the app is younger than two report intervals.
    """
    if item.type not in WATCHED_TYPES:
        return None
    if facts.server_report(item) is not None:
        return False
    if not facts.was_read(REPORTS, item.region, item.domain_id):
        return None
    if item.domain_key not in facts.reporting_domains:
        return None
    return facts.certain_age(item, 2 * facts.report_interval) or None


def below_limit(item: Item, facts: Facts, policy: DomainPolicy, name: str) -> Kept | None:
    """Why the app has not reached the limit of the rule ``name``; None if it has reached it."""
    limit = policy.rules[name].limit
    if name == "canvas":
        idle = _canvas_idle(item, facts, policy.point_age)
        if idle is None:
            return Kept(
                "Its activity is unknown: CloudWatch has no point of TimeSinceLastActive from the "
                f"last {duration(policy.point_age)}.",
                unknown=True,
            )
        if idle >= limit:
            return None
        return Kept(f"Idle for {duration(idle)}; the limit is {duration(limit)}.")
    start = facts.started_at(item)
    if start is None:
        return Kept("Its start time is unknown.", unknown=True)
    old = facts.certain_age(item, limit)
    if old is None:
        return Kept(without_cloudtrail(facts, item), unknown=True)
    if old:
        return None
    return Kept(f"It has run for {duration(facts.at - start)}; the limit is {duration(limit)}.")


def why_due(item: Item, facts: Facts, policy: DomainPolicy, name: str) -> str:
    """Why an app that has reached the limit is due, in one sentence."""
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
    """Since when a Canvas app has been idle by its metric. None if that is unknown: no point of the
    metric is newer than the app and at most ``point_age`` old."""
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
    """How long a Canvas app had been idle at the newest point of its metric; None if unknown.

    The time after that point does not count, because nothing shows whether the app was used.
    """
    since = canvas_idle_since(item, facts, point_age)
    fresh = _fresh_point(item, facts, point_age)
    return None if since is None or fresh is None else fresh.at - since


def without_cloudtrail(facts: Facts, item: Item) -> str:
    """Why an app is kept although it seems old enough: CloudTrail was not read far enough back."""
    failed = next(
        (u for u in facts.unread if u.source == CREATIONS and u.region == item.region), None
    )
    why = f" ({failed.code})" if failed is not None else ""
    return (
        f"CloudTrail could not be read far enough back{why}, so it is unknown whether this app was "
        "created again: AWS keeps the CreationTime of the earlier one."
    )

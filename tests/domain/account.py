"""Facts for the tests: a small account, in which everything was read."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from auto_shutdown.domain.actions import TidyDecision, plan
from auto_shutdown.domain.facts import Facts, Unread
from auto_shutdown.domain.memory import Memory, Notice
from auto_shutdown.domain.observations import Point, ServerReport
from auto_shutdown.domain.policy import DomainPolicy, parse
from auto_shutdown.domain.resources import (
    APP,
    IN_SERVICE,
    USER_PROFILE,
    Domain,
    Item,
    ItemKey,
    Profile,
    Space,
)
from auto_shutdown.domain.scope import LISTS, OBSERVATIONS

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
REGION = "us-west-2"
DOMAIN = "d-one"


def app(type_: str, owner: str = "ada", hours: float = 100, **more: Any) -> Item:
    """An app in service for so many hours."""
    given = {
        "name": "default",
        "status": IN_SERVICE,
        "domain_id": DOMAIN,
        "owner_kind": USER_PROFILE,
        "instance_type": "ml.t3.medium",
        "created_at": NOW - hours * HOUR,
        **more,
    }
    return Item(APP, REGION, type_, owner=owner, **given)


def account(*items: Item, **more: Any) -> Facts:
    """An account with domain d-one, user profiles ada and bob, and ada's space lab."""
    profiles = [Profile(REGION, DOMAIN, name) for name in ("ada", "bob")]
    space = Space(REGION, DOMAIN, "lab", owner="ada", sharing="Private")
    domain = Domain(REGION, DOMAIN, "one", "InService", {})
    found = Facts(
        at=NOW,
        regions=(REGION,),
        domains={domain.key: domain},
        profiles={p.key: p for p in profiles},
        spaces={space.key: space},
        items=items,
        creations_since={REGION: NOW - 1000 * HOUR},
        asked=LISTS | OBSERVATIONS,
    )
    return replace(found, **more)


def points(item: Item, idle: timedelta, at: datetime = NOW) -> dict[ItemKey, tuple[Point, ...]]:
    """One point of the Canvas metric, a minute before ``at``."""
    start = at - MINUTE
    return {item.key: (Point(start, idle),)}


def line_of(owner: str = "bob", app_type: str = "JupyterLab", **more: Any) -> ServerReport:
    """A report line of a server, a minute old."""
    given = {"app_name": "default", "at": NOW - MINUTE, "version": "1.0", **more}
    return ServerReport(REGION, DOMAIN, owner, app_type, **given)


def policy(**sections: Any) -> DomainPolicy:
    """A policy that acts; ``canvas={...}`` and so on are its sections."""
    content = {
        "version": 1,
        "dry_run": False,
        "notify": {"event_bus": "default"},
        **sections,
    }
    return parse(content)


def all_on(**sections: Any) -> DomainPolicy:
    """A policy with every switch on."""
    rules = ("canvas", "rstudio_sessions", "tensorboard", "without_extension", "orphans")
    return policy(**{**{name: {"delete": True} for name in rules}, **sections})


def decision(
    item: Item, facts: Facts, memory: Memory | None = None, rules: DomainPolicy | None = None
) -> TidyDecision:
    """The decision on ``item``. Fails if no rule covers it."""
    found = plan(facts, rules or all_on(), memory or Memory())
    (one,) = [d for d in found.decisions if d.item == item]
    return one


def unread(source: str) -> Unread:
    return Unread(source, REGION, "AccessDenied", "It cannot be read.", "Allow it.")


def aged(memory: Memory, ago: timedelta = 2 * HOUR) -> Memory:
    """``memory`` as if its notices had been sent by so much earlier."""
    older = {
        key: replace(n, given_at=n.given_at - ago, due_at=n.due_at and n.due_at - ago)
        for key, n in memory.notices.items()
    }
    return memory.with_notices(older)


def noticed(item: Item, rule: str, ago: timedelta = 2 * HOUR) -> Memory:
    """The memory of a notice given so long ago."""
    return Memory({item.key: Notice(rule, NOW - ago, item.created_at)})

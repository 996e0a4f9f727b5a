"""Findings on apps, spaces and notebook instances. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ..core.finding import Finding, Level
from ..core.formatting import duration
from . import facts as f
from .costs import Cost, costs
from .facts import Facts
from .finding_texts import named, summary
from .policy import DomainPolicy
from .resources import (
    APP,
    CANVAS,
    IN_SERVICE,
    JUPYTER_SERVER,
    KERNEL_GATEWAY,
    NOTEBOOK_INSTANCE,
    SPACE,
    USER_PROFILE,
    WATCHED_TYPES,
    Item,
    OwnerKey,
)
from .rules import canvas_idle_since, is_orphan, is_without_extension


def _most_expensive_first(facts: Facts, policy: DomainPolicy) -> list[tuple[Item, Cost]]:
    found = costs(facts, policy.prices).items()
    return sorted(found, key=lambda pair: (-(pair[1].usd_per_hour or 0), pair[0].key))


def long_running(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.long_running
    found = []
    for item, cost in _most_expensive_first(facts, policy):
        if item.kind == SPACE or cost.hours is None or timedelta(hours=cost.hours) < limit:
            continue
        rate = f", ${cost.usd_per_hour:.2f}/h" if cost.usd_per_hour else ""
        found.append(f"{named(item, facts)} ({duration(timedelta(hours=cost.hours))}{rate})")
    yield from summary(
        "long-running",
        Level.WARNING,
        found,
        f"Running for more than {duration(limit)}",
        "Ask their owners, or add a rule for `domain tidy`. An old app may run a training job.",
        f"Nothing runs for more than {duration(limit)}.",
    )


def idle_since(item: Item, facts: Facts, point_age: timedelta) -> tuple[Any, str]:
    """Since when an app has been idle, and the source of this fact: ``canvas-metric``,
    ``report-line``, or empty if it is unknown. (None, "report-line"): its server says that it is in
    use."""
    if item.type == CANVAS:
        since = canvas_idle_since(item, facts, point_age)
        return (since, "canvas-metric") if since is not None else (None, "")
    report = facts.server_report(item)
    if report is None or facts.at - report.at > 2 * facts.report_interval:
        return None, ""
    own = next(
        (a for a in report.apps if (a.type, a.name) == (item.type, item.name)),
        None,
    )
    return (None, "") if own is None else (own.idle_since, "report-line")


def idle(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.idle
    found = []
    for item, _ in _most_expensive_first(facts, policy):
        since, _ = idle_since(item, facts, policy.point_age)
        if since is not None and facts.at - since >= limit:
            found.append(f"{named(item, facts)} ({duration(facts.at - since)})")
    yield from summary(
        "idle",
        Level.FAILURE,
        found,
        f"Billed, and idle for more than {duration(limit)}",
        "In that server, `jupyter auto-shutdown status` says why: a dry run, a keep-alive, or a "
        "longer limit. For Canvas use `domain tidy`.",
        f"Nothing that is known to be idle is billed for more than {duration(limit)}.",
    )


def without_extension(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    check = "extension"
    for key, domain in sorted(facts.domains.items()):
        watched = [
            i
            for i in facts.items
            if i.domain_key == key and i.type in WATCHED_TYPES and i.status == IN_SERVICE
        ]
        if not watched:
            continue
        if not facts.was_read(f.REPORTS, key.region, key.domain_id):
            message = f"{domain.id}: the report lines were not read, and it is unknown who uses it."
            yield Finding(check, Level.WARNING, message, "See the finding `unread`.", len(watched))
        elif key not in facts.reporting_domains:
            message = f"{domain.id}: no server reported, {len(watched)} apps are in service."
            advice = (
                "Set AutoShutdown.report_to_log, and see that the apps can reach CloudWatch Logs."
            )
            yield Finding(check, Level.WARNING, message, advice, len(watched))
        else:
            names = [named(i, facts) for i in watched if is_without_extension(i, facts)]
            yield from summary(
                check,
                Level.FAILURE,
                sorted(names),
                f"Apps in {domain.id} without a report line",
                "Attach the lifecycle configuration (docs/administrators.md); restart the apps.",
                f"{domain.id}: every app in service reported, or started too recently.",
            )


#: Amazon Linux 1 and 2 instances cannot be started again.
ENDED_PLATFORM = re.compile(r"notebook-al[12]-")


def irreversible(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    classic = [
        named(i, facts)
        for i in facts.items
        if i.type in (JUPYTER_SERVER, KERNEL_GATEWAY) and i.status == IN_SERVICE
    ]
    yield from summary(
        "irreversible",
        Level.WARNING,
        sorted(classic),
        "Studio Classic apps, which AWS may not let anybody create again once they are deleted",
        "Move their owners to JupyterLab spaces before anything stops these apps.",
        "No Studio Classic app is in service.",
    )
    instances = [
        f"{i.name} ({i.platform})"
        for i in facts.items
        if i.kind == NOTEBOOK_INSTANCE
        and i.status == IN_SERVICE
        and ENDED_PLATFORM.match(i.platform or "")
    ]
    yield from summary(
        "irreversible",
        Level.FAILURE,
        sorted(instances),
        "Notebook instances in service that cannot be started again once they are stopped",
        "After a stop, set PlatformIdentifier=notebook-al2023-v1 before you start them again.",
        "No notebook instance in service has a platform that AWS has ended.",
    )


def orphans(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    apps = [
        named(i, facts)
        for i in facts.items
        if i.kind == APP and i.status == IN_SERVICE and is_orphan(i, facts)
    ]
    yield from summary(
        "orphans",
        Level.FAILURE,
        sorted(apps),
        "Apps whose user profile or space no longer exists",
        "Delete them: the rule `orphans` of `domain tidy`.",
        "No app is known to have lost its owner.",
    )
    spaces = [
        f"{s.domain_id}/{s.name} ({s.storage_gb or '?'} GB, was {s.owner}'s)"
        for s in facts.spaces.values()
        if s.owner
        and OwnerKey(s.region, s.domain_id, USER_PROFILE, s.owner.lower()) not in facts.profiles
        and facts.was_read(f.PROFILES, s.region, s.domain_id)
    ]
    yield from summary(
        "orphaned-spaces",
        Level.WARNING,
        sorted(spaces),
        "Spaces that keep storage for a user profile that no longer exists",
        "Copy their files before you delete them: a deleted space loses its files.",
        "Every space has its owner.",
    )


def stopped_instances(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.stopped_instance
    found = [
        f"{i.name} ({duration(facts.at - i.changed_at)}, {i.storage_gb or '?'} GB)"
        for i in facts.items
        if i.kind == NOTEBOOK_INSTANCE
        and i.status == "Stopped"
        and i.changed_at is not None
        and facts.at - i.changed_at >= limit
    ]
    yield from summary(
        "stopped-instances",
        Level.WARNING,
        sorted(found),
        f"Notebook instances stopped for more than {duration(limit)}, whose volumes are billed",
        "Copy their files, then delete them. auto_shutdown never deletes notebook instances.",
        f"No notebook instance is stopped for more than {duration(limit)}.",
    )

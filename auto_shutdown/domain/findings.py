"""From facts to findings: what an administrator should know, each with a level and a remedy. Pure.

A finding names at most a few resources and counts the rest: 500 users must not make a mail of 500
lines. ``domain report`` has each of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from ..core.finding import Finding, Level
from ..core.words import duration
from . import facts as f
from .actions import canvas_idle_since, is_orphan, is_without_extension
from .costs import Cost, costs
from .facts import Facts, Item
from .policy import DomainPolicy

#: So many names stand in a finding; the rest is counted.
NAMES = 5


def examine(facts: Facts, policy: DomainPolicy) -> tuple[Finding, ...]:
    """All findings, one at least for each check."""
    checks = (
        _unread,
        _long_running,
        _idle,
        _without_extension,
        _overriding_profiles,
        _other_scripts,
        _irreversible,
        _orphans,
        _stopped_instances,
        _quotas,
        _budget,
    )
    return tuple(finding for check in checks for finding in check(facts, policy))


def _one(
    check: str, level: Level, items: list[str], what: str, remedy: str, fine: str
) -> Iterator[Finding]:
    """One finding on all ``items``, the most important first, or that there is none (``fine``)."""
    if not items:
        yield Finding(check, Level.OK, fine)
        return
    names = ", ".join(items[:NAMES])
    more = f" and {len(items) - NAMES} more" if len(items) > NAMES else ""
    yield Finding(check, level, f"{what}: {len(items)} ({names}{more}).", remedy, len(items))


def _most_expensive_first(facts: Facts, policy: DomainPolicy) -> list[tuple[Item, Cost]]:
    found = costs(facts, policy.prices).items()
    return sorted(found, key=lambda pair: (-(pair[1].usd_per_hour or 0), pair[0].key))


def named(item: Item, facts: Facts) -> str:
    """The item as a person looks for it in the console."""
    if not item.domain_id:
        return f"{item.name} ({item.region})"
    person = facts.person(item)
    whose = f"{item.domain_id}/{item.owner}"
    of_person = f" of {person}" if person and item.owner_kind == f.SPACE else ""
    name = "" if item.name in ("default", item.owner) else f"/{item.name}"
    return f"{whose}/{item.type}{name}{of_person}"


def _unread(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    for unread in facts.unread:
        check = "unread"
        yield Finding(check, Level.FAILURE, f"{unread.source}: {unread.message}", unread.remedy, 1)
    if not facts.unread:
        yield Finding("unread", Level.OK, "Everything that was asked for could be read.")


def _long_running(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.long_running
    found = []
    for item, cost in _most_expensive_first(facts, policy):
        if item.kind == f.SPACE or cost.hours is None or timedelta(hours=cost.hours) < limit:
            continue
        rate = f", ${cost.usd_per_hour:.2f}/h" if cost.usd_per_hour else ""
        found.append(f"{named(item, facts)} ({duration(timedelta(hours=cost.hours))}{rate})")
    yield from _one(
        "long-running",
        Level.WARNING,
        found,
        f"Running for more than {duration(limit)}",
        "Ask their owners, or give `domain tidy` a rule. Age is not idleness: a training may run.",
        f"Nothing runs for more than {duration(limit)}.",
    )


def idle_since(item: Item, facts: Facts, point_age: timedelta) -> tuple[Any, str]:
    """Since when an app is idle, and how that is known: ``canvas-metric``, ``report-line``, or
    empty where it is unknown. (None, "report-line"): its server says that it is in use."""
    if item.type == f.CANVAS:
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


def _idle(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.idle
    found = []
    for item, _ in _most_expensive_first(facts, policy):
        since, _ = idle_since(item, facts, policy.point_age)
        if since is not None and facts.at - since >= limit:
            found.append(f"{named(item, facts)} ({duration(facts.at - since)})")
    yield from _one(
        "idle",
        Level.FAILURE,
        found,
        f"Billed, and idle for more than {duration(limit)}",
        "In that server, `jupyter auto-shutdown status` says why: a dry run, a keep-alive, or a "
        "longer limit. For Canvas use `domain tidy`.",
        f"Nothing that is known to be idle is billed for more than {duration(limit)}.",
    )


def _without_extension(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    check = "extension"
    for key, domain in sorted(facts.domains.items()):
        watched = [
            i
            for i in facts.items
            if i.domain_key == key and i.type in f.WATCHED_TYPES and i.status == f.IN_SERVICE
        ]
        if not watched:
            continue
        if not facts.was_read(f.REPORTS, key.region, key.domain_id):
            message = f"{domain.id}: the report lines were not read, so it is unknown who runs it."
            yield Finding(check, Level.WARNING, message, "See the finding `unread`.", len(watched))
        elif key not in facts.reporting_domains:
            message = f"{domain.id}: no server reported, {len(watched)} apps are in service."
            advice = (
                "Set AutoShutdown.report_to_log, and see that the apps can reach CloudWatch Logs."
            )
            yield Finding(check, Level.WARNING, message, advice, len(watched))
        else:
            names = [named(i, facts) for i in watched if is_without_extension(i, facts)]
            yield from _one(
                check,
                Level.FAILURE,
                sorted(names),
                f"Apps in {domain.id} without a report line",
                "Attach the lifecycle configuration (docs/administrators.md); restart the apps.",
                f"{domain.id}: every app in service reported, or is too young to tell.",
            )


def _overriding_profiles(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.PROFILE_SETTINGS not in facts.asked:
        return
    found = []
    for profile in facts.profiles.values():
        if profile.settings is None:
            continue
        blocks = [b for b in _APP_SETTINGS if _overrides(profile.settings.get(b) or {})]
        if blocks:
            found.append(f"{profile.domain_id}/{profile.name} ({', '.join(blocks)})")
    yield from _one(
        "overriding-profiles",
        Level.WARNING,
        sorted(found),
        "User profiles with a lifecycle configuration or idle settings of their own, which come "
        "before the domain's",
        "Attach to these profiles, too (--attach user-profile), or clear their own settings.",
        "No user profile that was read overrides the domain.",
    )


_APP_SETTINGS = ("JupyterServerAppSettings", "JupyterLabAppSettings", "CodeEditorAppSettings")


def _overrides(block: Mapping[str, Any]) -> bool:
    spec = block.get("DefaultResourceSpec") or {}
    own = (
        block.get("LifecycleConfigArns"),
        block.get("BuiltInLifecycleConfigArn"),
        spec.get("LifecycleConfigArn"),
        (block.get("AppLifecycleManagement") or {}).get("IdleSettings"),
    )
    return any(own)


#: Scripts of other tools, by what stands in them.
OTHER_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "auto_stop_idle.py": re.compile(r"auto[_-]stop[_-]idle"),
    "autostop.py": re.compile(r"\bautostop\b"),
    "sagemaker-studio-auto-shutdown-extension": re.compile(
        r"sagemaker[_-]studio[_-]auto[_-]?shutdown"
    ),
}


def _other_scripts(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.LIFECYCLE_CONFIGS not in facts.asked:
        return
    found = [
        f"{config.name} ({tool})"
        for config in facts.lifecycle_configs
        for tool, pattern in OTHER_SCRIPTS.items()
        if config.script is not None and pattern.search(config.script)
    ]
    yield from _one(
        "other-auto-stop",
        Level.WARNING,
        sorted(found),
        "Lifecycle configurations with another tool, which stops apps by its own rules",
        "Two tools stop by two rules. Detach the other (docs/administrators.md, --replace).",
        "No lifecycle configuration carries another tool that stops apps.",
    )


#: Amazon Linux 1 and 2 instances cannot be started again.
ENDED_PLATFORM = re.compile(r"notebook-al[12]-")


def _irreversible(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    classic = [
        named(i, facts)
        for i in facts.items
        if i.type in (f.JUPYTER_SERVER, f.KERNEL_GATEWAY) and i.status == f.IN_SERVICE
    ]
    yield from _one(
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
        if i.kind == f.NOTEBOOK_INSTANCE
        and i.status == f.IN_SERVICE
        and ENDED_PLATFORM.match(i.platform or "")
    ]
    yield from _one(
        "irreversible",
        Level.FAILURE,
        sorted(instances),
        "Notebook instances in service that cannot be started again once they are stopped",
        "Stop them only to set PlatformIdentifier=notebook-al2023-v1, and start them on that.",
        "No notebook instance in service has a platform that ended.",
    )


def _orphans(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    apps = [
        named(i, facts)
        for i in facts.items
        if i.kind == f.APP and i.status == f.IN_SERVICE and is_orphan(i, facts)
    ]
    yield from _one(
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
        and f.OwnerKey(s.region, s.domain_id, f.USER_PROFILE, s.owner.lower()) not in facts.profiles
        and facts.was_read(f.PROFILES, s.region, s.domain_id)
    ]
    yield from _one(
        "orphaned-spaces",
        Level.WARNING,
        sorted(spaces),
        "Spaces that keep storage for a user profile that no longer exists",
        "Save what is in them; deleting a space deletes its files.",
        "Every space has its owner.",
    )


def _stopped_instances(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    limit = policy.checks.stopped_instance
    found = [
        f"{i.name} ({duration(facts.at - i.changed_at)}, {i.storage_gb or '?'} GB)"
        for i in facts.items
        if i.kind == f.NOTEBOOK_INSTANCE
        and i.status == "Stopped"
        and i.changed_at is not None
        and facts.at - i.changed_at >= limit
    ]
    yield from _one(
        "stopped-instances",
        Level.WARNING,
        sorted(found),
        f"Notebook instances stopped for more than {duration(limit)}, whose volumes are billed",
        "Save what is in them and delete them; nothing here does that.",
        f"No notebook instance is stopped for more than {duration(limit)}.",
    )


#: As Service Quotas names the limits on apps (seen in error texts).
_QUOTA = re.compile(
    r"(?:Studio )?(?P<type>\w+) Apps running on (?P<instance>ml\.[\w.-]+) instances?", re.IGNORECASE
)


def _quotas(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.QUOTAS not in facts.asked:
        return
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for item in facts.items:
        if item.kind == f.APP and item.status in (f.IN_SERVICE, "Pending"):
            counts[(item.region, item.type.lower(), item.instance_type or "")] += 1
    found = []
    for (region, name), limit in facts.quotas.items():
        match = _QUOTA.fullmatch(name)
        used = counts[(region, match["type"].lower(), match["instance"])] if match else 0
        if used and used >= limit * policy.checks.quota_percent / 100:
            found.append(f"{name} in {region}: {used} of {limit:g}")
    yield from _one(
        "quotas",
        Level.WARNING,
        sorted(found),
        f"Quotas that are used to {policy.checks.quota_percent:g} % or more",
        "Ask for more in Service Quotas before somebody's app does not start.",
        "No quota on apps is near.",
    )


def _budget(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.BUDGETS not in facts.asked or facts.budgets is None:
        return
    if facts.budgets:
        yield Finding("budget", Level.OK, f"{facts.budgets} AWS budgets exist.")
        return
    advice = "Make one (docs/domain.md): it warns whatever else fails."
    yield Finding("budget", Level.WARNING, "The account has no AWS budget.", advice, 1)

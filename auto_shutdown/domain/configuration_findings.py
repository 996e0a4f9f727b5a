"""Findings on the reading itself, on settings, quotas and budgets. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.finding import Finding, Level
from ..core.formatting import printable
from . import facts as f
from .facts import Facts
from .finding_texts import summary
from .policy import DomainPolicy
from .resources import (
    APP,
    IN_SERVICE,
    NOTEBOOK_INSTANCE,
)


def unread(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    for source in facts.unread:
        message = f"{source.source}: {source.message}"
        yield Finding("unread", Level.FAILURE, message, source.remedy, 1)
    if not facts.unread:
        yield Finding("unread", Level.OK, "Everything that was asked for could be read.")


def stopped_removals(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    """The domains and notebook instances with the tag that stops all removals. Somebody may have
    forgotten it there, and then everything idle stays billed."""
    if f.TAGS not in facts.asked:
        return
    names = {f"domain/{key.domain_id}": key.domain_id for key in facts.domains}
    names.update({i.paths[0]: i.name for i in facts.items if i.kind == NOTEBOOK_INSTANCE})
    found = []
    for path, name in names.items():
        reason = facts.tags.get(path.lower(), {}).get(f.STOP_TAG)
        if reason is not None:
            found.append(f"{name}: {printable(reason)}" if reason else name)
    yield from summary(
        "stopped-removals",
        Level.WARNING,
        sorted(found),
        f"The tag {f.STOP_TAG} stops all removals in these domains and notebook instances",
        "Delete the tag when removals may go on (docs/emergency-stop.md).",
        f"No domain or notebook instance has the tag {f.STOP_TAG}.",
    )


def overriding_profiles(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.PROFILE_SETTINGS not in facts.asked:
        return
    found = []
    for profile in facts.profiles.values():
        if profile.settings is None:
            continue
        blocks = [b for b in _APP_SETTINGS if _overrides(profile.settings.get(b) or {})]
        if blocks:
            found.append(f"{profile.domain_id}/{profile.name} ({', '.join(blocks)})")
    yield from summary(
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


#: Scripts of other tools, and a pattern that their text matches.
OTHER_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "auto_stop_idle.py": re.compile(r"auto[_-]stop[_-]idle"),
    "autostop.py": re.compile(r"\bautostop\b"),
    "sagemaker-studio-auto-shutdown-extension": re.compile(
        r"sagemaker[_-]studio[_-]auto[_-]?shutdown"
    ),
}


def other_scripts(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.LIFECYCLE_CONFIGS not in facts.asked:
        return
    found = [
        f"{config.name} ({tool})"
        for config in facts.lifecycle_configs
        for tool, pattern in OTHER_SCRIPTS.items()
        if config.script is not None and pattern.search(config.script)
    ]
    yield from summary(
        "other-auto-stop",
        Level.WARNING,
        sorted(found),
        "Lifecycle configurations with another tool, which stops apps by its own rules",
        "Two tools would stop apps by different rules. Detach the other tool "
        "(docs/administrators.md, --replace).",
        "No lifecycle configuration starts another tool that stops apps.",
    )


#: As Service Quotas names the limits on apps (seen in error texts).
_QUOTA = re.compile(
    r"(?:Studio )?(?P<type>\w+) Apps running on (?P<instance>ml\.[\w.-]+) instances?", re.IGNORECASE
)


def quotas(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.QUOTAS not in facts.asked:
        return
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for item in facts.items:
        if item.kind == APP and item.status in (IN_SERVICE, "Pending"):
            counts[(item.region, item.type.lower(), item.instance_type or "")] += 1
    found = []
    for (region, name), limit in facts.quotas.items():
        match = _QUOTA.fullmatch(name)
        used = counts[(region, match["type"].lower(), match["instance"])] if match else 0
        if used and used >= limit * policy.checks.quota_percent / 100:
            found.append(f"{name} in {region}: {used} of {limit:g}")
    yield from summary(
        "quotas",
        Level.WARNING,
        sorted(found),
        f"Quotas that are used to {policy.checks.quota_percent:g} % or more",
        "Ask for more in Service Quotas before somebody's app does not start.",
        "No quota on apps is nearly used up.",
    )


def budget(facts: Facts, policy: DomainPolicy) -> Iterator[Finding]:
    if f.BUDGETS not in facts.asked or facts.budgets is None:
        return
    if facts.budgets:
        yield Finding("budget", Level.OK, f"{facts.budgets} AWS budgets exist.")
        return
    advice = "Create one (docs/domain.md). It warns you even if everything else fails."
    yield Finding("budget", Level.WARNING, "The account has no AWS budget.", advice, 1)

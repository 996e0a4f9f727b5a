"""From facts to findings: problems that an administrator should know, each with a level and a
remedy. Pure."""

from __future__ import annotations

from ..core.finding import Finding
from . import configuration_findings as configuration
from . import resource_findings as resources
from .facts import Facts
from .policy import DomainPolicy

CHECKS = (
    configuration.unread,
    configuration.stopped_removals,
    resources.long_running,
    resources.idle,
    resources.without_extension,
    configuration.overriding_profiles,
    configuration.other_scripts,
    resources.irreversible,
    resources.orphans,
    resources.stopped_instances,
    configuration.quotas,
    configuration.budget,
)


def examine(facts: Facts, policy: DomainPolicy) -> tuple[Finding, ...]:
    """All findings. A check that finds nothing has a finding of the level OK."""
    return tuple(finding for check in CHECKS for finding in check(facts, policy))

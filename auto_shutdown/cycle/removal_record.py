"""Describe one removal: the content of its line in the audit log, of its entry in the report, and
of its line in the server's log.

This module writes nothing. state/history.py writes the line of the audit log to disk, and adds the
outcome to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..core.apps import Tenant
from ..core.decision import Decision, Reason
from ..core.formatting import iso
from ..core.model import App, Resource, apps_of
from ..core.outcome import Outcome
from ..core.policy import Policy
from ..core.translatable import parts_of


@dataclass(frozen=True)
class Removal:
    """One removal: the decision, the resource, and the policy in force at ``now``.

    ``resource`` is None if the resource ended by itself before the removal. ``ends_server``: this
    server's own app or instance is removed in the same pass. ``tenants``: if ``resource`` is an
    app, the kernels and terminals that are or may be in it. They end with the app and get no audit
    line of their own.
    """

    decision: Decision
    resource: Resource | None
    policy: Policy
    now: datetime
    ends_server: bool = False
    tenants: Sequence[Tenant] = ()

    def description(self) -> dict[str, Any]:
        """The names and paths of the resource, and the rule that removes it: for the audit log
        and the report."""
        resource, requested = self.resource, self.decision.reason is Reason.REQUESTED
        rule = "request" if requested else None
        if rule is None and resource is not None:
            rule = self.policy.limit_of(resource)[1]
        return {
            "name": self.decision.ref.id if resource is None else resource.name,
            "paths": list(getattr(resource, "paths", ())),
            "app": None if resource is None or isinstance(resource, App) else resource.app,
            "rule": rule,
            "idle_since": iso(self.decision.idle_since),
        }

    def audit_line(self) -> dict[str, Any]:
        """The entry of the audit log, without its outcome."""
        resource, decision = self.resource, self.decision
        return {
            "at": iso(self.now),
            "kind": decision.ref.kind.value,
            "resource": decision.ref.id,
            "ends_server": isinstance(resource, App) and resource.own,
            "instance_type": resource.instance_type if resource is not None else None,
            "reason": decision.reason.value,
            "detail": decision.detail,
            "signal": decision.signal,
            **({"tenants": [_tenant(each) for each in self.tenants]} if self.tenants else {}),
            **self.description(),
        }

    def reported(self, outcome: Outcome) -> dict[str, Any]:
        """The entry of the report's ``outcomes``."""
        decision = self.decision
        return {
            "at": iso(self.now),
            "kind": decision.ref.kind.value,
            "id": decision.ref.id,
            "outcome": outcome.result.value,
            "reason": decision.reason.value,
            "detail": outcome.detail if outcome.failed else decision.detail,
            **({"detail_parts": parts_of(outcome.detail)} if outcome.failed else {}),
            **self.description(),
        }

    def log_line(self, outcome: Outcome) -> str:
        """One sentence for the server's log."""
        decision, name = self.decision, self.description()["name"]
        kind, result = decision.ref.kind.value, outcome.result.value
        line = f"{kind} {name}: {result} ({decision.reason.value}: {decision.detail})"
        if not self.tenants:
            return line
        return f"{line} In it: {', '.join(str(tenant.ref) for tenant in self.tenants)}."


def _tenant(tenant: Tenant) -> dict[str, Any]:
    """The entry of a kernel or terminal in the audit line of its app. ``certain``: no other app is
    known in which it may run instead."""
    return {
        "kind": tenant.ref.kind.value,
        "resource": tenant.ref.id,
        "name": tenant.name,
        "paths": list(getattr(tenant, "paths", ())),
        "certain": len(apps_of(tenant)) == 1,
    }

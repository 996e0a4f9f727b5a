"""Replace the decisions on resources whose removal is in progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from .model import Ref
from .verdict import Action, Decision, Plan, Reason
from .words import iso


def with_removals_under_way(plan: Plan, since: Mapping[Ref, datetime]) -> Plan:
    """``plan`` without the resources in ``since``, which holds the time when each removal began."""
    if not since:
        return plan
    return Plan(
        tuple(
            _shutting_down(decision, since[decision.ref]) if decision.ref in since else decision
            for decision in plan.decisions
        )
    )


def _shutting_down(decision: Decision, since: datetime) -> Decision:
    # Keep its times: the notice that was given remains valid if the removal fails.
    return replace(
        decision,
        action=Action.KEEP,
        reason=Reason.SHUTTING_DOWN,
        detail=f"Shutting down since {since:%H:%M:%S} UTC.",
        parameters={"since": str(iso(since))},
    )

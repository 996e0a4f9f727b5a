"""The decisions on resources that are being removed at this moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from .model import Ref
from .verdict import Action, Decision, Plan, Reason
from .words import iso


def with_removals_under_way(plan: Plan, since: Mapping[Ref, datetime]) -> Plan:
    """``plan``, with nothing further to do about the resources whose removal began at ``since``."""
    if not since:
        return plan
    return Plan(
        tuple(
            _shutting_down(decision, since[decision.ref]) if decision.ref in since else decision
            for decision in plan.decisions
        )
    )


def _shutting_down(decision: Decision, since: datetime) -> Decision:
    # Its instants stay: the notice that was given stands in case the removal fails.
    return replace(
        decision,
        action=Action.KEEP,
        reason=Reason.SHUTTING_DOWN,
        detail=f"Shutting down since {since:%H:%M:%S} UTC.",
        parameters={"since": str(iso(since))},
    )

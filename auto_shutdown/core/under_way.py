"""Show the removals that are in progress as such, with the reason ``shutting-down``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from .decision import Action, Decision, Plan, Reason
from .formatting import iso
from .model import Ref


def with_removals_under_way(plan: Plan, since: Mapping[Ref, datetime]) -> Plan:
    """``plan`` with the decision to keep, for the reason ``shutting-down``, on each resource in
    ``since``. ``since`` holds the time when each removal began.

    The decision is not to remove, so that no pass begins a second removal.
    """
    if not since:
        return plan
    return Plan(
        tuple(
            _shutting_down(decision, since[decision.ref]) if decision.ref in since else decision
            for decision in plan.decisions
        )
    )


def _shutting_down(decision: Decision, since: datetime) -> Decision:
    # The decision keeps its times, so that the notice remains valid if the removal fails.
    return replace(
        decision,
        action=Action.KEEP,
        reason=Reason.SHUTTING_DOWN,
        detail=f"Shutting down since {since:%H:%M:%S} UTC.",
        parameters={"since": str(iso(since))},
    )

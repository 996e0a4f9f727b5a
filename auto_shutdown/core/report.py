"""Build the report, which the API, the panel and the command line show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .decision import Decision, Plan
from .faults import Fault, health_state, stop_all_removals
from .formatting import iso
from .ledger import Ledger
from .model import PENDING, App, Kernel, Program, Resource, Snapshot, is_app_known
from .policy import Policy
from .programs import ProgramState, describe_all
from .translatable import Text, parts_of

#: The version of the report's format. It increases when a field changes its meaning.
VERSION = 1


@dataclass(frozen=True)
class Passes:
    """The times of the last passes and of the next pass.

    - ``armed``: the loop runs (False: it has ended).
    - ``unsignalled_changes``: the number of changes that only a full pass has found, because no
      change signal came for them.
    """

    armed: bool
    last_pass: datetime | None = None
    last_ok_pass: datetime | None = None
    next_pass: datetime | None = None
    unsignalled_changes: int = 0


def build(
    *,
    now: datetime,
    platform: Mapping[str, Any],
    passes: Passes,
    faults: Iterable[Fault],
    policy: Policy,
    bounds: Mapping[str, Any],
    snapshot: Snapshot,
    ledger: Ledger,
    plan: Plan,
    outcomes: Iterable[Mapping[str, Any]],
    savings: Mapping[str, Any],
) -> dict[str, Any]:
    """The report as JSON (its schema: api/rest-api.yml). ``bounds`` is ``{"locked", "limits"}``."""
    current = list(faults)
    decisions = {decision.ref: decision for decision in plan.decisions}
    return {
        "version": VERSION,
        "now": iso(now),
        "platform": dict(platform),
        "health": {
            "state": health_state(current, policy.enabled),
            "armed": (
                passes.armed
                and policy.enabled
                and not policy.dry_run
                and not stop_all_removals(current)
            ),
            "last_pass": iso(passes.last_pass),
            "last_ok_pass": iso(passes.last_ok_pass),
            "next_pass": iso(passes.next_pass),
            "unsignalled_changes": passes.unsignalled_changes,
            "faults": [_fault(fault) for fault in current],
        },
        "policy": {**policy.settings, **bounds},
        "unread": _unread_lists(snapshot, passes),
        "resources": [
            _resource(resource, decisions[resource.ref], ledger, policy)
            for resource in snapshot.resources
            if resource.ref in decisions
        ],
        "programs": [
            _program(program, state)
            for program, state in describe_all(snapshot, ledger, policy, now)
        ],
        "keep_alive": keep_alives(ledger, now),
        "outcomes": list(outcomes),
        "savings": dict(savings),
    }


def _unread_lists(snapshot: Snapshot, passes: Passes) -> dict[str, str]:
    """The lists that are not current, each with a code. Before the first pass that is every list.

    A source may be unread for another reason than its list, such as unreadable heartbeat files."""
    if passes.last_pass is None:
        return dict.fromkeys((Snapshot.KERNELS, Snapshot.TERMINALS, Snapshot.APPS), PENDING)
    return {
        source: failure.code
        for source, failure in snapshot.unread.items()
        if failure.source == source
    }


def keep_alives(ledger: Ledger, now: datetime) -> list[dict[str, Any]]:
    """The keep-alives in force, each with the note of the user who set it."""
    return [
        {"kind": ref.kind.value, "id": ref.id, "kept_until": iso(held.until), "note": held.note}
        for ref, held in ledger.holds.items()
        if held.until > now
    ]


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "source": fault.source,
        "code": fault.code,
        "message": fault.message,
        "message_parts": parts_of(fault.message),
        "remedy": fault.remedy,
        "remedy_parts": parts_of(fault.remedy),
        "since": iso(fault.since),
    }


def _program(program: Program, state: ProgramState) -> dict[str, Any]:
    return {
        "kind": program.kind,
        "id": program.id,
        "name": program.name,
        "started_by": program.started_by,
        "state": program.state,
        "started_at": iso(program.started_at),
        "quiet_since": iso(state.quiet_since),
        "keeps_app": state.holds,
        "reason": state.reason.value,
        "detail": state.detail,
        "detail_parts": parts_of(state.detail),
    }


def _resource(
    resource: Resource, decision: Decision, ledger: Ledger, policy: Policy
) -> dict[str, Any]:
    mark = ledger.marks.get(resource.ref)
    limit, rule = policy.limit_of(resource)
    return {
        "kind": resource.ref.kind.value,
        "id": resource.ref.id,
        "name": resource.name,
        "app": None if isinstance(resource, App) else resource.app,
        "app_known": isinstance(resource, App) or is_app_known(resource),
        "paths": list(resource.paths) if isinstance(resource, Kernel) else [],
        "state": resource.status if isinstance(resource, App) else (mark.state if mark else ""),
        "state_since": iso(mark.state_since) if mark else None,
        "instance_type": resource.instance_type,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "detail": decision.detail,
        "parameters": dict(decision.parameters),
        "parameter_parts": {
            name: parts_of(text)
            for name, text in decision.parameters.items()
            if isinstance(text, Text)
        },
        "signal": decision.signal,
        "limit_minutes": limit.total_seconds() / 60,
        "rule": rule,
        "idle_since": iso(decision.idle_since),
        "warn_at": iso(decision.warn_at),
        "due_at": iso(decision.due_at),
        "kept_until": iso(decision.kept_until),
        "billing": isinstance(resource, App) and resource.billing,
    }

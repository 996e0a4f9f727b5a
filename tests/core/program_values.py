"""Values of the tests of programs: short limits, a pager, a notebook, and decisions on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scene import NOW, ago, mark

from auto_shutdown.core.decision import Decision
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.marks import Work
from auto_shutdown.core.model import App, Kernel, Program, Snapshot, Terminal
from auto_shutdown.core.planner import decide
from auto_shutdown.core.policy import Policy

HOUR = timedelta(hours=1)
SUSPECT = Policy(warn=timedelta(0), suspect_after=8 * HOUR)
LIMITED = replace(SUSPECT, max_busy=10 * HOUR)
NINE_HOURS_AGO = ago(hours=9)
PAGER = Program("pts/3", "terminal", "less", quiet_since=ago(hours=9))
NOTEBOOK = Program("k9", "kernel", "python3", "papermill", "busy", quiet_since=ago(hours=9))


def decision_on(
    resource: Kernel | Terminal | App,
    policy: Policy = SUSPECT,
    programs: tuple[Program, ...] = (PAGER,),
    idle_since: datetime = NINE_HOURS_AGO,
    held_by: tuple[str, ...] | None = None,
    asked_at: datetime = NOW,
) -> Decision:
    """The decision on a resource whose background work is ``held_by`` (None: ``programs``)."""
    ids = tuple(p.id for p in programs) if held_by is None else held_by
    work = Work(asked_at, asked_at, "working", "less runs", ids)
    snapshot, ledger = alone(resource, programs, idle_since, work)
    (decision,) = decide(snapshot, ledger, policy, NOW).decisions
    return decision


def alone(
    resource: Kernel | Terminal | App,
    programs: tuple[Program, ...],
    idle_since: datetime,
    work: Work,
) -> tuple[Snapshot, Ledger]:
    """A world with one resource."""
    state = {App: "InService", Kernel: "idle", Terminal: "prompt"}[type(resource)]
    known = {resource.ref: mark(idle_since, state, stamps={}, work=work)}
    kind = {App: "apps", Kernel: "kernels", Terminal: "terminals"}[type(resource)]
    fields: dict[str, Any] = {kind: (resource,)}
    return Snapshot(programs=programs, **fields), Ledger(ago(days=1), known)

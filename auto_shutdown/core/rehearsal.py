"""Count what the setting ``dry_run`` would have removed and saved since the server started.

A resource that stays due counts as one removal. The hours of an instance count as saved from the
moment when all of its apps are due until one of them is in use again, but for at most a day. The
same limit applies to real savings (:mod:`.savings`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from .decision import Plan
from .model import Ref, Snapshot
from .savings import HOUR, LONGEST


@dataclass(frozen=True)
class Rehearsal:
    """The sums of a dry run.

    ``counts`` are the removals by kind of resource. ``due`` are the resources that would be removed
    now. ``freed`` holds the time since when each instance type would not be billed.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0
    due: frozenset[Ref] = frozenset()
    freed: Mapping[str, datetime] = field(default_factory=dict)

    def add(self, since: datetime, now: datetime, rate: float | None) -> Rehearsal:
        """With the time from ``since`` to ``now`` of one instance, at ``rate`` US dollars an hour
        (None: unknown)."""
        hours = min(max((now - since) / HOUR, 0.0), LONGEST / HOUR)
        return replace(
            self,
            hours=self.hours + hours,
            usd=self.usd + hours * (rate or 0.0),
            unpriced_hours=self.unpriced_hours + (hours if rate is None else 0.0),
        )


def advance(
    rehearsal: Rehearsal,
    snapshot: Snapshot,
    plan: Plan,
    dry_run: bool,
    now: datetime,
    rates: Mapping[str, float | None],
) -> Rehearsal:
    """The rehearsal after one pass. ``rates`` are US dollars an hour by instance type."""
    due = frozenset(decision.ref for decision in plan.removals) if dry_run else frozenset()
    counts = Counter(rehearsal.counts)
    counts.update(ref.kind.value for ref in due - rehearsal.due)
    idle = _idle_instances(snapshot, due)
    freed = {name: rehearsal.freed.get(name, now) for name in idle}
    for name, since in rehearsal.freed.items():
        if name not in idle:
            rehearsal = rehearsal.add(since, now, rates.get(name))
    return replace(rehearsal, counts=dict(counts), due=due, freed=freed)


def _idle_instances(snapshot: Snapshot, due: frozenset[Ref]) -> set[str]:
    """The billed instance types whose apps would all be removed. An owner has one instance of each
    type."""
    billed = [app for app in snapshot.apps if app.billing]
    kept = {app.instance_type for app in billed if app.ref not in due}
    freed = {app.instance_type for app in billed if app.ref in due}
    return {name for name in freed - kept if name is not None}


def totals(rehearsal: Rehearsal, now: datetime, rates: Mapping[str, float | None]) -> Rehearsal:
    """The sums as if every saving ended now."""
    for name, since in rehearsal.freed.items():
        rehearsal = rehearsal.add(since, now, rates.get(name))
    return rehearsal

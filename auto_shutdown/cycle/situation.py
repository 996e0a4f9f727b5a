"""What this server knows at the moment: the ledger, the last snapshot and the plan made of it.

A pass and the requests of users change it by turns on one event loop. Whoever changes the ledger
reads and replaces it without an ``await`` in between, so that no change is ever lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ..core.ledger import Ledger
from ..core.model import EVERYTHING, App, Ref, Snapshot
from ..core.planner import decide
from ..core.policy import Policy
from ..core.under_way import with_removals_under_way
from ..core.verdict import Plan


@dataclass
class Situation:
    """Belongs to the event loop of one server."""

    ledger: Ledger
    snapshot: Snapshot = field(default_factory=Snapshot)
    plan: Plan = field(default_factory=Plan)
    #: What is being removed at this moment, and since when.
    removals_under_way: dict[Ref, datetime] = field(default_factory=dict)

    def change_ledger(self, change: Callable[[Ledger], Ledger]) -> None:
        """Replace the ledger by what ``change`` (pure) makes of it."""
        self.ledger = change(self.ledger)

    def decide(self, policy: Policy, now: datetime) -> None:
        """Make the plan for the last snapshot anew."""
        plan = decide(self.snapshot, self.ledger, policy, now)
        self.plan = with_removals_under_way(plan, self.removals_under_way)

    def knows(self, ref: Ref) -> bool:
        """Whether ``ref`` was there in the last snapshot."""
        return ref == EVERYTHING or self.snapshot.find(ref) is not None

    def covered_by(self, ref: Ref) -> list[Ref]:
        """``ref`` and, where it is an app, what runs in it; all resources for ``EVERYTHING``."""
        return [
            resource.ref
            for resource in self.snapshot.resources
            if ref in (EVERYTHING, resource.ref)
            or (not isinstance(resource, App) and resource.app and resource.app == ref.id)
        ]

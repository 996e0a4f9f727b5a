"""The current knowledge of this server: the ledger, the last snapshot and the plan for it.

A pass and the requests of users change it in turn on one event loop. Code that changes the ledger
reads and replaces it without an ``await`` in between, so that no change is ever lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ..core.decision import Plan
from ..core.ledger import Ledger
from ..core.model import EVERYTHING, App, Ref, Snapshot, apps_of
from ..core.planner import decide
from ..core.policy import Policy
from ..core.under_way import with_removals_under_way


@dataclass
class Situation:
    """The situation of one server. Only its event loop may change it."""

    ledger: Ledger
    snapshot: Snapshot = field(default_factory=Snapshot)
    plan: Plan = field(default_factory=Plan)
    #: The removals in progress: for each resource, the time when its removal began.
    removals_under_way: dict[Ref, datetime] = field(default_factory=dict)

    def change_ledger(self, change: Callable[[Ledger], Ledger]) -> None:
        """Replace the ledger by the result of ``change``, a pure function."""
        self.ledger = change(self.ledger)

    def decide(self, policy: Policy, now: datetime) -> None:
        """Decide again on the last snapshot."""
        plan = decide(self.snapshot, self.ledger, policy, now)
        self.plan = with_removals_under_way(plan, self.removals_under_way)

    def knows(self, ref: Ref) -> bool:
        """Whether the last snapshot has ``ref``. ``EVERYTHING`` always exists."""
        return ref == EVERYTHING or self.snapshot.find(ref) is not None

    def covered_by(self, ref: Ref) -> list[Ref]:
        """The refs that a keep-alive on ``ref`` covers: ``ref`` itself and, for an app, its kernels
        and terminals; all resources for ``EVERYTHING``."""
        return [
            resource.ref
            for resource in self.snapshot.resources
            if ref in (EVERYTHING, resource.ref)
            or (not isinstance(resource, App) and ref.id in apps_of(resource))
        ]

"""The decision on a resource, and the plan: the decisions on all resources.

This module decides nothing. planner.py makes the decisions. All values are frozen, as in
:mod:`~auto_shutdown.core.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .model import Kind, Ref


class Action(str, Enum):
    KEEP = "keep"
    REMOVE = "remove"


class Reason(str, Enum):
    """Why a resource is kept or removed. docs/reference/reasons.md explains each."""

    DISABLED = "disabled"
    UNKNOWN = "unknown"
    NOT_COVERED = "not-covered"
    NOT_IN_SERVICE = "not-in-service"
    GRACE = "grace"
    BUSY = "busy"
    SUSPECT_BUSY = "suspect-busy"
    CONNECTED = "connected"
    RUNNING_JOB = "running-job"
    BACKGROUND_WORK = "background-work"
    RECENT_ACTIVITY = "recent-activity"
    PRESENCE = "presence"
    OUTPUT = "output"
    KEPT_ALIVE = "kept-alive"
    VETOED = "vetoed"
    TERMINAL_OPEN = "terminal-open"
    IN_USE = "in-use"
    BACKING_OFF = "backing-off"
    SAVES_NOTHING = "saves-nothing"
    SHUTTING_DOWN = "shutting-down"
    IDLE = "idle"
    APP_REMOVED = "app-removed"
    MAX_BUSY = "max-busy"
    REQUESTED = "requested"


#: The reasons for a removal; every other reason keeps its resource.
REMOVING = frozenset({Reason.IDLE, Reason.APP_REMOVED, Reason.MAX_BUSY, Reason.REQUESTED})


@dataclass(frozen=True, init=False)
class Decision:
    """The decision on one resource.

    - ``detail``: one sentence for people.
    - ``signal``: the evidence of the last activity.
    - ``idle_since``: the time of the last activity; None while the resource is active.
    - ``due_at``: when the resource will be removed without further activity (None: no such time).
    - ``warn_at``: when people get the notice of that removal.
    - ``kept_until``: when the keep-alive on the resource ends.
    - ``parameters``: the facts in ``detail`` that no other field holds, for a client that builds
      the sentence in another language (docs/reason-parameters.md).
    """

    ref: Ref
    action: Action
    reason: Reason
    detail: str
    signal: str | None = None
    idle_since: datetime | None = None
    warn_at: datetime | None = None
    due_at: datetime | None = None
    kept_until: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __init__(
        self,
        ref: Ref,
        action: Action,
        reason: Reason,
        detail: str,
        signal: str | None = None,
        idle_since: datetime | None = None,
        warn_at: datetime | None = None,
        due_at: datetime | None = None,
        kept_until: datetime | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        # A pass makes one Decision for each resource. The constructor of a frozen dataclass calls
        # object.__setattr__ for each field, which took a fifth of the time of a decision.
        self.__dict__.update(
            ref=ref,
            action=action,
            reason=reason,
            detail=detail,
            signal=signal,
            idle_since=idle_since,
            warn_at=warn_at,
            due_at=due_at,
            kept_until=kept_until,
            parameters={} if parameters is None else parameters,
        )

    @property
    def removes(self) -> bool:
        return self.action is Action.REMOVE


@dataclass(frozen=True)
class Plan:
    """One decision for every resource of the snapshot, in its order."""

    decisions: tuple[Decision, ...] = ()

    @property
    def removals(self) -> tuple[Decision, ...]:
        """The removals in the order to execute them: kernels and terminals before their app."""
        order = {Kind.KERNEL: 0, Kind.TERMINAL: 1, Kind.APP: 2}
        return tuple(
            sorted((d for d in self.decisions if d.removes), key=lambda d: order[d.ref.kind])
        )

    def of(self, ref: Ref) -> Decision | None:
        return next((d for d in self.decisions if d.ref == ref), None)

    def next_moment(self, now: datetime) -> datetime | None:
        """The earliest notice or removal after ``now``; None if there is none."""
        moments = [
            moment
            for decision in self.decisions
            for moment in (decision.warn_at, decision.due_at)
            if moment is not None and moment > now
        ]
        return min(moments, default=None)

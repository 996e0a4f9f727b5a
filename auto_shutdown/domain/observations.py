"""What other services than SageMaker know about apps: the points of the Canvas metric and the
servers' report lines. Plain frozen values.

Instants are aware UTC. ``None`` always means unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: The period of the Canvas metric's points. A point has the time at which its period begins.
RESOLUTION = timedelta(seconds=60)


@dataclass(frozen=True)
class Point:
    """One point of the Canvas metric. ``idle`` is how long the user had been idle: the lowest value
    of the minute that begins at ``at``."""

    at: datetime
    idle: timedelta

    @property
    def last_active(self) -> datetime:
        """The latest instant at which the user can have been active."""
        return self.at + RESOLUTION - self.idle


@dataclass(frozen=True)
class ReportedApp:
    """One app in a server's report line. ``idle_since`` is None if the app is in use or if its
    server does not know. ``would_remove``: a dry run would have removed the app by now."""

    type: str
    name: str
    action: str = ""
    reason: str = ""
    idle_since: datetime | None = None
    would_remove: bool = False


@dataclass(frozen=True)
class Sums:
    """Instance hours and US dollars. ``unpriced_hours`` is the part of ``hours`` without a known
    price."""

    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.hours + other.hours,
            self.usd + other.usd,
            self.unpriced_hours + other.unpriced_hours,
        )

    def since(self, earlier: Sums) -> Sums:
        """The growth of these counters since ``earlier``. If a counter was reset, its whole value
        counts."""
        if self.hours < earlier.hours:
            return self
        return Sums(
            self.hours - earlier.hours,
            max(0.0, self.usd - earlier.usd),
            max(0.0, self.unpriced_hours - earlier.unpriced_hours),
        )


@dataclass(frozen=True)
class ServerReport:
    """The newest report line of one server. Its identity (region, domain, owner, app type, app
    name) comes from the log stream and never from the line. ``saved`` and ``would_save`` are of the
    period that was read."""

    region: str
    domain_id: str
    owner: str
    app_type: str
    app_name: str
    at: datetime
    version: str = ""
    health: str = ""
    enabled: bool | None = None
    dry_run: bool | None = None
    apps: tuple[ReportedApp, ...] = ()
    saved: Sums = Sums()
    would_save: Sums = Sums()
    would_remove: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The identity in lower case: the log streams of one space were seen in two casings."""
        place = (self.region, self.domain_id, self.owner, self.app_type, self.app_name)
        return tuple(part.lower() for part in place)  # type: ignore[return-value]

"""What other services than SageMaker know about apps: the points of the Canvas metric and the
servers' report lines. Plain frozen values.

Instants are aware UTC. ``None`` always means unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

#: The period of the Canvas metric that is asked for; a point carries its beginning.
RESOLUTION = timedelta(seconds=60)


@dataclass(frozen=True)
class Point:
    """One point of the Canvas metric: in the minute from ``at`` the user had been idle for
    ``idle``, the least value of that minute."""

    at: datetime
    idle: timedelta

    @property
    def last_active(self) -> datetime:
        """The latest instant at which the user can have been active."""
        return self.at + RESOLUTION - self.idle


@dataclass(frozen=True)
class ReportedApp:
    """What a server's report line says of one app. ``idle_since`` None: it is in use, or its
    server does not know; ``would_remove``: a dry run would have removed it by now."""

    type: str
    name: str
    action: str = ""
    reason: str = ""
    idle_since: datetime | None = None
    would_remove: bool = False


@dataclass(frozen=True)
class Sums:
    """Instance hours and US dollars. ``unpriced_hours`` are those of ``hours`` without a price."""

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
        """The growth of a counter. A counter that began anew counts from its beginning."""
        if self.hours < earlier.hours:
            return self
        return Sums(
            self.hours - earlier.hours,
            max(0.0, self.usd - earlier.usd),
            max(0.0, self.unpriced_hours - earlier.unpriced_hours),
        )


@dataclass(frozen=True)
class ServerReport:
    """The newest report line of one server. The identity (region, domain, owner, app type, app
    name) is the log stream's, never what the line itself claims. ``saved`` and ``would_save`` are
    for the period that was read."""

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
        """All in lower case: the log streams of one space were seen in two casings."""
        place = (self.region, self.domain_id, self.owner, self.app_type, self.app_name)
        return tuple(part.lower() for part in place)  # type: ignore[return-value]

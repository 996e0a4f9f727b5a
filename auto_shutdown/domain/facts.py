"""The facts: everything that one reading of an AWS account found. Plain frozen values, no I/O, no
clock.

Instants are aware UTC. ``None`` always means unknown: a value that was not read or that AWS does
not show. An app is never deleted because of an unknown value (:mod:`.actions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from .observations import Point, ServerReport
from .resources import (
    JUPYTER_SERVER,
    KERNEL_GATEWAY,
    NOTEBOOK_INSTANCE,
    TRACKING_SERVER,
    USER_PROFILE,
    Domain,
    DomainKey,
    Item,
    ItemKey,
    LifecycleConfig,
    OwnerKey,
    Profile,
    Space,
)

#: This tag on a domain stops every removal in it, here as in each server (docs/emergency-stop.md).
#: The same as ``config.traits.STOP_TAG``; this module imports nothing of a server.
STOP_TAG = "auto-shutdown:stop"

#: The sources of facts. Each is read for a region, and can fail.
DOMAINS = "domains"
APPS = "apps"
PROFILES = "user-profiles"
SPACES = "spaces"
INSTANCES = "notebook-instances"
TRACKING_SERVERS = "mlflow-tracking-servers"
CANVAS_METRIC = "canvas-metric"
REPORTS = "server-reports"
TAGS = "tags"
LIFECYCLE_CONFIGS = "lifecycle-configurations"
QUOTAS = "service-quotas"
BUDGETS = "budgets"
PROFILE_SETTINGS = "user-profile-settings"
BILL = "cost-explorer"
CREATIONS = "cloudtrail"


@dataclass(frozen=True)
class Unread:
    """A source that could not be read completely. ``domain_id``: empty for the whole region."""

    source: str
    region: str
    code: str
    message: str
    remedy: str
    domain_id: str = ""


@dataclass(frozen=True)
class Facts:
    """What was read from ``began_at`` (None: unknown) until ``at``.

    - ``tags``: by the last part of the ARN in lower case (``user-profile/d-x/ada``).
    - ``creations``: when CloudTrail last saw each app being created. ``creations_since``: how far
      back it was read, by region.
    - ``billed``: US dollars by day, from Cost Explorer. ``quotas``: by region and quota name.
      ``budgets``: the number of the account's AWS budgets (None: not read).
    - ``asked``: the sources that were to be read. Other sources are neither read nor unread.
    """

    at: datetime
    began_at: datetime | None = None
    account: str = ""
    regions: tuple[str, ...] = ()
    domains: Mapping[DomainKey, Domain] = field(default_factory=dict)
    profiles: Mapping[OwnerKey, Profile] = field(default_factory=dict)
    spaces: Mapping[OwnerKey, Space] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    canvas: Mapping[ItemKey, tuple[Point, ...]] = field(default_factory=dict)
    creations: Mapping[ItemKey, datetime] = field(default_factory=dict)
    creations_since: Mapping[str, datetime] = field(default_factory=dict)
    reports: tuple[ServerReport, ...] = ()
    report_interval: timedelta = timedelta(minutes=15)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lifecycle_configs: tuple[LifecycleConfig, ...] = ()
    quotas: Mapping[tuple[str, str], float] = field(default_factory=dict)
    budgets: int | None = None
    billed: Mapping[str, float] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()
    asked: frozenset[str] = frozenset()

    def was_read(self, source: str, region: str, domain_id: str = "") -> bool:
        """Whether ``source`` was read completely for ``region`` (and for this domain)."""
        return source in self.asked and not any(
            u.source == source and u.region in (region, "") and u.domain_id in (domain_id, "")
            for u in self.unread
        )

    def started_at(self, item: Item) -> datetime | None:
        """Since when ``item`` has run at the earliest; None if unknown. For an app this is its
        CreationTime or a later creation in CloudTrail; for notebook instances and tracking servers
        their last change of state."""
        if item.kind in (NOTEBOOK_INSTANCE, TRACKING_SERVER):
            return item.changed_at
        known = (item.created_at, self.creations.get(item.key))
        return max((at for at in known if at is not None), default=None)

    def certain_age(self, item: Item, at_least: timedelta) -> bool | None:
        """Whether an app has run for ``at_least``. None if unknown: it has no CreationTime, or
        CloudTrail was not read that far back. The CreationTime alone proves nothing, because AWS
        keeps it if the app is created again within 24 hours."""
        start = self.started_at(item)
        if item.created_at is None or start is None:
            return None
        if self.at - start < at_least:
            return False
        since = self.creations_since.get(item.region)
        return True if since is not None and since <= self.at - at_least else None

    @cached_property
    def by_key(self) -> Mapping[ItemKey, Item]:
        return {item.key: item for item in self.items}

    @cached_property
    def report_of(self) -> Mapping[tuple[str, str, str, str, str], ServerReport]:
        """The newest line of each server."""
        found: dict[tuple[str, str, str, str, str], ServerReport] = {}
        for report in self.reports:
            known = found.get(report.key)
            if known is None or report.at > known.at:
                found[report.key] = report
        return found

    @cached_property
    def reporting_domains(self) -> frozenset[DomainKey]:
        """The domains from which at least one report line arrived."""
        return frozenset(DomainKey(r.region, r.domain_id) for r in self.reports)

    @cached_property
    def classic_report_of(self) -> Mapping[tuple[str, str, str], ServerReport]:
        """The newest line of each owner's JupyterServer app, by (region, domain, owner)."""
        found: dict[tuple[str, str, str], ServerReport] = {}
        for report in self.report_of.values():
            if report.app_type.lower() != JUPYTER_SERVER.lower():
                continue
            key = (report.region.lower(), report.domain_id.lower(), report.owner.lower())
            if key not in found or report.at > found[key].at:
                found[key] = report
        return found

    def server_report(self, item: Item) -> ServerReport | None:
        """The report line of the server that watches ``item``: that of the app itself or, for a
        KernelGateway app, of its owner's JupyterServer app. None if no line was seen."""
        place = (item.region.lower(), item.domain_id.lower(), item.owner.lower())
        if item.type == KERNEL_GATEWAY:
            return self.classic_report_of.get(place)
        return self.report_of.get((*place, item.type.lower(), item.name.lower()))

    def person(self, item: Item) -> str | None:
        """The user profile that ``item`` belongs to; None where it is unknown."""
        if item.owner_kind == USER_PROFILE:
            return item.owner
        space = self.spaces.get(item.owner_key)
        return space.owner if space is not None else None

    def tag_values(self, item: Item, name: str) -> tuple[str, ...]:
        """The values of the tag ``name``, the nearest first: the item's own, its space's or user
        profile's, those of the user profile that owns the space, the domain's."""
        paths = list(item.paths)
        person = self.person(item)
        if person and item.domain_id:
            paths.insert(-1, f"user-profile/{item.domain_id}/{person}".lower())
        found = (self.tags.get(path, {}).get(name) for path in dict.fromkeys(paths))
        return tuple(value for value in found if value is not None)

    def tag(self, item: Item, name: str) -> str | None:
        """The nearest value of the tag ``name``."""
        return next(iter(self.tag_values(item, name)), None)

"""The facts: what one reading of an AWS account found. Plain frozen values, no I/O, no clock.

Instants are aware UTC. ``None`` always means unknown: a value that was not read, or that AWS does
not tell. Unknown is kept: no rule of :mod:`.actions` deletes because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

APP = "app"
SPACE = "space"
NOTEBOOK_INSTANCE = "notebook-instance"
TRACKING_SERVER = "mlflow-tracking-server"

USER_PROFILE = "user-profile"

#: App types (botocore's AppType). Others are possible: SageMaker adds new ones.
JUPYTER_SERVER = "JupyterServer"
KERNEL_GATEWAY = "KernelGateway"
JUPYTER_LAB = "JupyterLab"
CODE_EDITOR = "CodeEditor"
CANVAS = "Canvas"
R_SESSION = "RSessionGateway"
R_SERVER = "RStudioServerPro"
TENSORBOARD = "TensorBoard"

#: App types in which the extension can run, or whose owner's server watches them.
WATCHED_TYPES = frozenset({KERNEL_GATEWAY, JUPYTER_LAB, CODE_EDITOR})

#: The owner of the domain's one RStudioServerPro app is no real user profile.
DOMAIN_SHARED = "domain-shared"

IN_SERVICE = "InService"

#: This tag on a domain stops every removal in it, here as in each server (docs/emergency-stop.md).
#: The same as ``config.traits.STOP_TAG``; this module imports nothing of a server.
STOP_TAG = "auto-shutdown:stop"

#: Sources that can be unread; each is read for a region.
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


class ItemKey(NamedTuple):
    """The identity of one resource. ``owner`` is in lower case: user profile names are not case
    sensitive, and one space was seen in two casings."""

    region: str
    kind: str
    domain_id: str
    owner_kind: str
    owner: str
    type: str
    name: str


class OwnerKey(NamedTuple):
    """A user profile or a space; ``name`` in lower case."""

    region: str
    domain_id: str
    kind: str
    name: str


class DomainKey(NamedTuple):
    region: str
    domain_id: str


@dataclass(frozen=True)
class Item:
    """One resource that costs money, or that can. ``type`` is the AppType, or the kind's name.

    ``owner`` is the user profile or the space that it belongs to, as AWS spells it.
    ``created_at`` is AWS's CreationTime, which AWS keeps for an app that was created again within
    24 hours: it can be earlier than the instance that runs now. ``platform`` is a notebook
    instance's PlatformIdentifier. ``storage_gb`` is the size of the volume, in GB.
    """

    kind: str
    region: str
    type: str
    name: str
    status: str
    domain_id: str = ""
    owner_kind: str = ""
    owner: str = ""
    instance_type: str | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None
    storage_gb: int | None = None
    platform: str | None = None

    @cached_property
    def key(self) -> ItemKey:
        return ItemKey(
            self.region,
            self.kind,
            self.domain_id,
            self.owner_kind,
            self.owner.lower(),
            self.type,
            self.name,
        )

    @cached_property
    def owner_key(self) -> OwnerKey:
        return OwnerKey(self.region, self.domain_id, self.owner_kind, self.owner.lower())

    @property
    def domain_key(self) -> DomainKey:
        return DomainKey(self.region, self.domain_id)

    @property
    def paths(self) -> tuple[str, ...]:
        """The last parts of the ARNs whose tags count for it, the nearest first, in lower case."""
        if self.kind == NOTEBOOK_INSTANCE:
            return (f"notebook-instance/{self.name}".lower(),)
        if self.kind == TRACKING_SERVER:
            return (f"mlflow-tracking-server/{self.name}".lower(),)
        owner = f"{self.owner_kind}/{self.domain_id}/{self.owner}"
        domain = f"domain/{self.domain_id}"
        if self.kind == SPACE:
            return (f"space/{self.domain_id}/{self.name}".lower(), domain.lower())
        app = f"app/{self.domain_id}/{self.owner}/{self.type}/{self.name}"
        return (app.lower(), owner.lower(), domain.lower())


@dataclass(frozen=True)
class Domain:
    """``settings`` is DescribeDomain's answer, None where it could not be read."""

    region: str
    id: str
    name: str = ""
    status: str = ""
    settings: Mapping[str, Any] | None = field(default=None, hash=False, compare=False)

    @property
    def key(self) -> DomainKey:
        return DomainKey(self.region, self.id)


@dataclass(frozen=True)
class Profile:
    """A user profile. ``settings`` are its own (None: not read; empty: it overrides nothing)."""

    region: str
    domain_id: str
    name: str
    status: str = ""
    created_at: datetime | None = None
    settings: Mapping[str, Any] | None = field(default=None, hash=False, compare=False)

    @property
    def key(self) -> OwnerKey:
        return OwnerKey(self.region, self.domain_id, USER_PROFILE, self.name.lower())


@dataclass(frozen=True)
class Space:
    """A space. ``owner`` is the user profile that owns it, ``sharing`` Private or Shared."""

    region: str
    domain_id: str
    name: str
    status: str = ""
    owner: str | None = None
    sharing: str | None = None
    app_type: str | None = None
    storage_gb: int | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def key(self) -> OwnerKey:
        return OwnerKey(self.region, self.domain_id, SPACE, self.name.lower())


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


@dataclass(frozen=True)
class Unread:
    """A source that could not be read, or not completely; ``domain_id`` empty: of the region."""

    source: str
    region: str
    code: str
    message: str
    remedy: str
    domain_id: str = ""


@dataclass(frozen=True)
class LifecycleConfig:
    """A lifecycle configuration. ``script`` is its text, None where it could not be read."""

    region: str
    name: str
    arn: str
    app_type: str
    script: str | None = None


@dataclass(frozen=True)
class Facts:
    """What was read from ``began_at`` (None: not known) until ``at``.

    Mappings are by the keys of their values; ``tags`` by the last part of the ARN in lower case
    (``user-profile/d-x/ada``); ``billed`` are US dollars by day from Cost Explorer, ``quotas`` by
    region and quota name, ``budgets`` the number of budgets that cover SageMaker (None: not read).
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
    #: When CloudTrail last saw each app being created, and how far back it was read, by region.
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
    #: What was asked for; a source that nobody asked for is neither read nor unread.
    asked: frozenset[str] = frozenset()

    def was_read(self, source: str, region: str, domain_id: str = "") -> bool:
        """Whether ``source`` was read completely for ``region`` (and for this domain)."""
        return source in self.asked and not any(
            u.source == source and u.region in (region, "") and u.domain_id in (domain_id, "")
            for u in self.unread
        )

    def started_at(self, item: Item) -> datetime | None:
        """Since when ``item`` runs, as far as is known; it may be later. Apps: CreationTime, or a
        later creation that CloudTrail saw. Notebook instances and tracking servers: their last
        change of state."""
        if item.kind in (NOTEBOOK_INSTANCE, TRACKING_SERVER):
            return item.changed_at
        known = (item.created_at, self.creations.get(item.key))
        return max((at for at in known if at is not None), default=None)

    def certain_age(self, item: Item, at_least: timedelta) -> bool | None:
        """Whether an app has run for ``at_least``; None where that is unknown: without a
        CreationTime, or where CloudTrail was not read back that far. AWS keeps the CreationTime
        of an app that was created again within 24 hours, so it alone proves nothing."""
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

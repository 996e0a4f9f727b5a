"""The resources of an AWS account: domains, user profiles, spaces, apps, notebook instances,
tracking servers and lifecycle configurations. Plain frozen values.

Instants are aware UTC. ``None`` always means unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

APP = "app"
SPACE = "space"
NOTEBOOK_INSTANCE = "notebook-instance"
TRACKING_SERVER = "mlflow-tracking-server"

USER_PROFILE = "user-profile"

#: App types (botocore's AppType). SageMaker may add others.
JUPYTER_SERVER = "JupyterServer"
KERNEL_GATEWAY = "KernelGateway"
JUPYTER_LAB = "JupyterLab"
CODE_EDITOR = "CodeEditor"
CANVAS = "Canvas"
R_SESSION = "RSessionGateway"
R_SERVER = "RStudioServerPro"
TENSORBOARD = "TensorBoard"

#: App types that the extension can watch: from the app itself or from its owner's server.
WATCHED_TYPES = frozenset({KERNEL_GATEWAY, JUPYTER_LAB, CODE_EDITOR})

#: The owner of the domain's one RStudioServerPro app. It is not a real user profile.
DOMAIN_SHARED = "domain-shared"

IN_SERVICE = "InService"


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
    """One resource that can cost money. ``type`` is the AppType, or the kind's name.

    ``owner`` is the user profile or the space that it belongs to, as AWS spells it. ``created_at``
    is AWS's CreationTime. If an app is created again within 24 hours, AWS keeps the first
    CreationTime, so the current app can be younger. ``platform`` is a notebook instance's
    PlatformIdentifier. ``storage_gb`` is the size of the volume in GB.
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
        """The last parts of the ARNs whose tags apply to the resource, in lower case: its own, its
        owner's, its domain's."""
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
    """A domain. ``settings`` is DescribeDomain's answer; None if it was not read."""

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
    """A user profile. ``settings`` are its own; None if they were not read, empty if it overrides
    nothing."""

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
    """A space. ``owner`` is the user profile that owns it; ``sharing`` is Private or Shared."""

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


@dataclass(frozen=True)
class LifecycleConfig:
    """A lifecycle configuration. ``script`` is its text; None if it could not be read."""

    region: str
    name: str
    arn: str
    app_type: str
    script: str | None = None

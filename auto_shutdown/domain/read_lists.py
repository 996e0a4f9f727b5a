"""Reads SageMaker's lists of one region: domains, apps, user profiles, spaces, notebook instances
and tracking servers. Some entries need a Describe call as well."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .entries import app_of, living, profile_of, space_of, utc
from .errors import CallError
from .facts import Unread
from .pace import Aws
from .read_observations import Observations
from .resources import (
    NOTEBOOK_INSTANCE,
    SPACE,
    TRACKING_SERVER,
    Domain,
    DomainKey,
    Item,
    ItemKey,
    OwnerKey,
    Profile,
    Space,
)
from .scope import PAGE_SIZE, Scope


@dataclass(frozen=True)
class ItemList:
    """A list of resources that belong to no domain. ``method`` is boto3's name of the operation,
    ``member`` holds its entries, and the members of an entry begin with ``prefix``."""

    kind: str
    type: str
    method: str
    member: str
    prefix: str


INSTANCES = ItemList(
    NOTEBOOK_INSTANCE,
    "NotebookInstance",
    "list_notebook_instances",
    "NotebookInstances",
    "NotebookInstance",
)
TRACKING_SERVERS = ItemList(
    TRACKING_SERVER,
    "MLflowTrackingServer",
    "list_mlflow_tracking_servers",
    "TrackingServerSummaries",
    "TrackingServer",
)


@dataclass
class Draft:
    """The facts of one region, as far as they have been read."""

    domains: dict[DomainKey, Domain] = field(default_factory=dict)
    profiles: dict[OwnerKey, Profile] = field(default_factory=dict)
    spaces: dict[OwnerKey, Space] = field(default_factory=dict)
    items: dict[ItemKey, Item] = field(default_factory=dict)
    observations: Observations = field(default_factory=Observations)
    first_list_is_read: threading.Event = field(default_factory=threading.Event)
    lists_are_read: threading.Event = field(default_factory=threading.Event)
    unread: list[Unread] = field(default_factory=list)


class ListReader:
    """Reads the lists of one region into ``draft``. The methods raise CallError and
    OutOfTimeError."""

    def __init__(self, aws: Aws, scope: Scope, draft: Draft) -> None:
        self._aws, self._scope, self._draft = aws, scope, draft

    # -- SageMaker lists these for the whole region, or for one domain -------------------------

    def _by_domain(self, method: str, member: str) -> Iterator[Mapping[str, Any]]:
        filters: list[dict[str, str]] = [{"DomainIdEquals": d} for d in sorted(self._scope.domains)]
        for chosen in filters or [{}]:
            for entry in self._aws.pages(
                "sagemaker", method, member, MaxResults=PAGE_SIZE, **chosen
            ):
                if isinstance(entry, Mapping) and entry.get("DomainId"):
                    yield entry

    def read_domains(self) -> None:
        for entry in self._aws.pages("sagemaker", "list_domains", "Domains", MaxResults=PAGE_SIZE):
            domain_id = str(entry.get("DomainId"))
            if self._scope.domains and domain_id not in self._scope.domains:
                continue
            domain = Domain(
                self._aws.region,
                domain_id,
                str(entry.get("DomainName", "")),
                str(entry.get("Status")),
            )
            self._draft.domains[domain.key] = domain

    def describe_domains(self) -> None:
        for key, domain in list(self._draft.domains.items()):
            settings = self._aws.call("sagemaker", "describe_domain", DomainId=domain.id)
            self._draft.domains[key] = replace(domain, settings=settings)

    def read_apps(self) -> None:
        for entry in self._by_domain("list_apps", "Apps"):
            item = app_of(self._aws.region, entry)
            if item is not None:
                self._draft.items[item.key] = living(self._draft.items.get(item.key), item)

    def read_profiles(self) -> None:
        for entry in self._by_domain("list_user_profiles", "UserProfiles"):
            profile = profile_of(self._aws.region, entry)
            self._draft.profiles[profile.key] = profile

    def read_spaces(self) -> None:
        for entry in self._by_domain("list_spaces", "Spaces"):
            space = space_of(self._aws.region, entry)
            self._draft.spaces[space.key] = space
            item = Item(
                SPACE,
                self._aws.region,
                "SpaceStorage",
                space.name,
                space.status,
                domain_id=space.domain_id,
                owner_kind=SPACE,
                owner=space.name,
                created_at=space.created_at,
                storage_gb=space.storage_gb,
            )
            self._draft.items[item.key] = item

    def describe_instances(self) -> None:
        instances = [i for i in list(self._draft.items.values()) if i.kind == NOTEBOOK_INSTANCE]
        most = self._scope.describe_most
        for item in instances[:most]:
            description = self._aws.call(
                "sagemaker", "describe_notebook_instance", NotebookInstanceName=item.name
            )
            self._draft.items[item.key] = replace(
                item,
                storage_gb=description.get("VolumeSizeInGB"),
                platform=description.get("PlatformIdentifier"),
            )
        if len(instances) > most:
            number = len(instances)
            message = f"{number - most} notebook instances were not described one by one."
            raise CallError("TooMany", message, f"domain check --describe {number} does it.")

    def read_profile_settings(self) -> None:
        """Describe each user profile. Only ``domain check`` needs the settings."""
        profiles = list(self._draft.profiles.values())
        if len(profiles) > self._scope.describe_most:
            raise CallError(
                "TooMany",
                f"{len(profiles)} user profiles were not described one by one.",
                f"--describe {len(profiles)} does it; it takes {len(profiles) // 5 // 60 + 1} min.",
            )
        for profile in profiles:
            answer = self._aws.call(
                "sagemaker",
                "describe_user_profile",
                DomainId=profile.domain_id,
                UserProfileName=profile.name,
            )
            settings = answer.get("UserSettings") or {}
            self._draft.profiles[profile.key] = replace(profile, settings=settings)

    # -- SageMaker lists these for the whole region ---------------------------------------------

    def read_items(self, of: ItemList) -> None:
        for entry in self._aws.pages("sagemaker", of.method, of.member, MaxResults=PAGE_SIZE):
            item = Item(
                of.kind,
                self._aws.region,
                of.type,
                str(entry.get(f"{of.prefix}Name")),
                str(entry.get(f"{of.prefix}Status")),
                instance_type=entry.get("InstanceType"),
                created_at=utc(entry.get("CreationTime")),
                changed_at=utc(entry.get("LastModifiedTime")),
            )
            self._draft.items[item.key] = item

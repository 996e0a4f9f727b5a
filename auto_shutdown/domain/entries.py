"""Converts entries of SageMaker's answers to resources, and resources to the members of requests.
Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .errors import CallError
from .resources import APP, SPACE, USER_PROFILE, Item, Profile, Space


def app_of(region: str, entry: Mapping[str, Any]) -> Item | None:
    """An app of ListApps or DescribeApp; None if it has no name or no owner."""
    space, profile = entry.get("SpaceName"), entry.get("UserProfileName")
    if not entry.get("AppName") or not (space or profile):
        return None
    spec = entry.get("ResourceSpec") or {}
    return Item(
        APP,
        region,
        str(entry.get("AppType")),
        str(entry["AppName"]),
        str(entry.get("Status")),
        domain_id=str(entry.get("DomainId")),
        owner_kind=SPACE if space else USER_PROFILE,
        owner=str(space or profile),
        instance_type=spec.get("InstanceType"),
        created_at=utc(entry.get("CreationTime")),
    )


def profile_of(region: str, entry: Mapping[str, Any]) -> Profile:
    return Profile(
        region,
        str(entry["DomainId"]),
        str(entry.get("UserProfileName", "")),
        str(entry.get("Status", "")),
        utc(entry.get("CreationTime")),
    )


def space_of(region: str, entry: Mapping[str, Any]) -> Space:
    settings = entry.get("SpaceSettingsSummary") or {}
    storage = (settings.get("SpaceStorageSettings") or {}).get("EbsStorageSettings") or {}
    return Space(
        region,
        str(entry["DomainId"]),
        str(entry.get("SpaceName", "")),
        str(entry.get("Status", "")),
        (entry.get("OwnershipSettingsSummary") or {}).get("OwnerUserProfileName"),
        (entry.get("SpaceSharingSettingsSummary") or {}).get("SharingType"),
        settings.get("AppType"),
        storage.get("EbsVolumeSizeInGb"),
        utc(entry.get("CreationTime")),
        utc(entry.get("LastModifiedTime")),
    )


def owner_request(item: Item) -> dict[str, str]:
    """The member of a request that names the owner of an app: a space or a user profile."""
    return {"SpaceName" if item.owner_kind == SPACE else "UserProfileName": item.owner}


def app_request(item: Item) -> dict[str, str]:
    """The members that identify an app in DescribeApp and DeleteApp."""
    names = {"DomainId": item.domain_id, "AppType": item.type, "AppName": item.name}
    return {**names, **owner_request(item)}


def is_missing(error: CallError) -> bool:
    """Whether the error means that the resource does not exist. For an app, the real API answers
    with a ValidationException, although the service model declares another error."""
    if error.code in ("ResourceNotFound", "ResourceNotFoundException"):
        return True
    return error.code == "ValidationException" and "recordnotfound" in error.text.lower().replace(
        " ", ""
    )


def utc(instant: Any) -> datetime | None:
    """The instant in UTC. botocore returns local time, and the difference of two local times is
    wrong across a change of daylight saving time."""
    return instant.astimezone(timezone.utc) if isinstance(instant, datetime) else None


def living(known: Item | None, new: Item) -> Item:
    """Which of two records of the same name counts: the one that is not deleted, or the newer."""
    if known is None:
        return new
    oldest = datetime.min.replace(tzinfo=timezone.utc)

    def rank(item: Item) -> tuple[bool, datetime]:
        alive = item.status not in ("Deleted", "Failed", "Deleting")
        return alive, item.created_at or oldest

    return new if rank(new) > rank(known) else known

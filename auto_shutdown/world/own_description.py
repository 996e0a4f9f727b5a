"""SageMaker's description of the app or instance in which this server runs: the instance type, and
SageMaker's own idle shutdown (docs/decisions/008).

It is read at the start and then every few hours, for the report only. A missing permission is not a
fault, because no decision to remove depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from .own_app import Invoke
from .platform import NOTEBOOK_INSTANCE, Platform

#: The settings of one level (domain, user profile or space); None if they cannot be read.
Level = Optional[Mapping[str, Any]]


@dataclass(frozen=True)
class Description:
    """None means unknown; for ``native_idle_minutes`` it means unknown or switched off."""

    instance_type: str | None = None
    native_idle_minutes: float | None = None


def describe(invoke: Invoke, platform: Platform) -> Description:
    """SageMaker's description of the app or instance. Each call may fail on its own, because a
    policy may allow only some of them. Never raises."""

    def ask(operation: str, method: str, request: Mapping[str, Any]) -> Level:
        try:
            found: Mapping[str, Any] = invoke(operation, method, request)
        except Exception:  # only for the report; the error may quote secrets, so it is not logged
            return None
        return found

    if platform.kind == NOTEBOOK_INSTANCE:
        name = {"NotebookInstanceName": platform.app_name}
        found = ask("DescribeNotebookInstance", "describe_notebook_instance", name) or {}
        return Description(found.get("InstanceType"))
    domain = {"DomainId": platform.domain_id}
    space = {**domain, "SpaceName": platform.space_name}
    named = {"AppType": platform.app_type, "AppName": platform.app_name or "default"}
    app = ask("DescribeApp", "describe_app", {**space, **named}) or {}
    settings_of_space = ask("DescribeSpace", "describe_space", space)
    minutes = None
    if settings_of_space is not None:
        owner = _part(settings_of_space, "OwnershipSettings", "OwnerUserProfileName")
        profile: Level = {}
        if owner and not _is_shared(settings_of_space):
            request = {**domain, "UserProfileName": owner}
            profile = ask("DescribeUserProfile", "describe_user_profile", request)
        settings_of_domain = ask("DescribeDomain", "describe_domain", domain)
        minutes = idle_minutes(
            f"{platform.app_type}AppSettings", settings_of_domain, profile, settings_of_space
        )
    return Description(_part(app, "ResourceSpec", "InstanceType"), minutes)


def idle_minutes(app_settings: str, domain: Level, profile: Level, space: Level) -> float | None:
    """After how many idle minutes SageMaker itself deletes an app. None: it does not, or a needed
    setting cannot be read. A user profile overrides the domain, setting by setting, and a space
    chooses within the bounds of the two."""
    if space is None:
        return None
    levels: Sequence[Level]
    if _is_shared(space):
        levels = [_idle(domain, "DefaultSpaceSettings", app_settings)]
    else:
        levels = [
            _idle(profile, "UserSettings", app_settings),
            _idle(domain, "DefaultUserSettings", app_settings),
        ]
    if _first(levels, "LifecycleManagement") != "ENABLED":
        return None
    own = _idle(space, "SpaceSettings", app_settings)
    minutes = _first([own, *levels], "IdleTimeoutInMinutes")
    if minutes is None:
        return None
    low = _first(levels, "MinIdleTimeoutInMinutes")
    high = _first(levels, "MaxIdleTimeoutInMinutes")
    return float(min(max(minutes, low or minutes), high or minutes))


def _first(levels: Sequence[Level], key: str) -> Any:
    """The value of the first level that has one. None if a level before it cannot be read."""
    for level in levels:
        if level is None or level.get(key) is not None:
            return level[key] if level is not None else None
    return None


def _idle(level: Level, settings: str, app_settings: str) -> Level:
    if level is None:
        return None
    return _part(level, settings, app_settings, "AppLifecycleManagement", "IdleSettings") or {}


def _is_shared(space: Mapping[str, Any]) -> bool:
    return bool(_part(space, "SpaceSharingSettings", "SharingType") == "Shared")


def _part(found: Any, *path: str) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found

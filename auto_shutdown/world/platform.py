"""Who we are: the SageMaker platform that this server runs on, if any.

SageMaker leaves a metadata file in each of its containers (platform.md 2.1). Configuration wins
over the file, and suffices without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.model import App, Unread

STUDIO_CLASSIC = "studio-classic"
STUDIO_SPACE = "studio-space"
NOTEBOOK_INSTANCE = "notebook-instance"
LOCAL = "local"

#: The app types of the newer Studio, one local app in a space.
SPACE_APP_TYPES = ("JupyterLab", "CodeEditor")


@dataclass(frozen=True)
class Platform:
    """The identity of this server. ``problem`` says what is wrong with the metadata, if anything
    is: then nothing is known of SageMaker, and only kernels and terminals are looked after."""

    kind: str = LOCAL
    domain_id: str | None = None
    user_profile_name: str | None = None
    space_name: str | None = None
    region_name: str | None = None
    app_type: str | None = None
    app_name: str | None = None
    account_id: str | None = None
    partition: str = "aws"
    problem: Unread | None = None

    @property
    def owner(self) -> str | None:
        """Whose apps these are. A space wins: apps in a space have no user profile, and the API
        takes exactly one of the two."""
        return self.space_name or self.user_profile_name

    @property
    def owner_key(self) -> str:
        """The API's member for the owner: ``SpaceName`` or ``UserProfileName``."""
        return "SpaceName" if self.space_name else "UserProfileName"

    @property
    def has_apps(self) -> bool:
        """Whether SageMaker is asked for apps: on Studio Classic, when domain and owner are
        known. Without an owner ListApps would answer with everybody's."""
        return self.kind == STUDIO_CLASSIC and bool(self.domain_id) and bool(self.owner)

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What tells this server from others of the same home; empty of words off SageMaker."""
        if self.kind == LOCAL:
            return ()
        return (self.domain_id, self.owner_key, self.owner, self.app_type, self.app_name)

    def app_arn(self, app: App) -> str:
        """The ARN that a policy must allow, with ``*`` for what is not known here."""
        region, account = self.region_name or "*", self.account_id or "*"
        return (
            f"arn:{self.partition}:sagemaker:{region}:{account}:app/"
            f"{self.domain_id}/{self.owner}/{app.type}/{app.name}"
        )


def recognise(
    metadata_path: Path, overrides: Mapping[str, str], environ: Mapping[str, str]
) -> Platform:
    """The platform, from the metadata file, configuration (``overrides``: domain_id,
    user_profile_name, space_name, region_name) and environment. Never raises."""
    metadata, problem = _read(metadata_path)
    arn = _text(metadata, "ResourceArn") or ""
    parts = arn.split(":") if arn.count(":") >= 5 else [""] * 6
    app_type = _text(metadata, "AppType")
    owner = _owner(metadata, overrides)
    domain_id = overrides.get("domain_id") or _text(metadata, "DomainId")
    kind, incomplete = _kind(metadata, app_type, domain_id, owner)
    if incomplete and problem is None:
        problem = _problem(metadata_path, "Incomplete", incomplete)
    return Platform(
        kind=kind,
        domain_id=domain_id,
        user_profile_name=owner.get("user_profile_name"),
        space_name=owner.get("space_name"),
        region_name=overrides.get("region_name")
        or parts[3]
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or None,
        app_type=app_type,
        app_name=_text(metadata, "ResourceName"),
        account_id=parts[4] or None,
        partition=parts[1] or "aws",
        problem=problem,
    )


def _read(path: Path) -> tuple[Mapping[str, Any], Unread | None]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, None
    except (OSError, ValueError) as error:
        return {}, _problem(path, type(error).__name__, "it cannot be read as JSON")
    if not isinstance(found, dict):
        return {}, _problem(path, "Foreign", "it is not a JSON object")
    return found, None


def _problem(path: Path, code: str, what: str) -> Unread:
    return Unread(
        "platform",
        code,
        f"What {path} says of this host cannot be used: {what}. No app is looked after.",
        "Give AutoShutdown.domain_id and AutoShutdown.user_profile_name (or space_name).",
    )


def _text(metadata: Mapping[str, Any], key: str) -> str | None:
    """A value by truthiness: some files carry a key with an empty text (platform.md 2.1)."""
    value = metadata.get(key)
    return value if isinstance(value, str) and value else None


def _owner(metadata: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, str]:
    """Exactly one owner, or none. A configured one replaces the file's whatever its sort."""
    for key in ("space_name", "user_profile_name"):
        if overrides.get(key):
            return {key: overrides[key]}
    for key, member in (("space_name", "SpaceName"), ("user_profile_name", "UserProfileName")):
        value = _text(metadata, member)
        if value:
            return {key: value}
    return {}


def _kind(
    metadata: Mapping[str, Any],
    app_type: str | None,
    domain_id: str | None,
    owner: Mapping[str, str],
) -> tuple[str, str]:
    """The kind, and what is missing for it. What is not recognised is ``local``: there only
    kernels and terminals of this very server are removed. So is a server that somebody runs
    inside a KernelGateway app: the app belongs to the JupyterServer beside it."""
    if app_type in SPACE_APP_TYPES:
        return STUDIO_SPACE, ""
    if app_type == "JupyterServer" or (app_type is None and domain_id and owner):
        if domain_id and owner:
            return STUDIO_CLASSIC, ""
        return LOCAL, "DomainId, and UserProfileName or SpaceName, are not both there"
    if app_type is None and metadata.get("ResourceName"):
        return NOTEBOOK_INSTANCE, ""
    return LOCAL, ""

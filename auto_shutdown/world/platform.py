"""The SageMaker platform on which this server runs, if any, and the identity of this server there.

SageMaker writes a metadata file into each of its containers. Configuration overrides the identity
in the file, and replaces a missing file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.model import IN_SERVICE, App, Unread
from ..core.translatable import sentence

STUDIO_CLASSIC = "studio-classic"
STUDIO_SPACE = "studio-space"
NOTEBOOK_INSTANCE = "notebook-instance"
LOCAL = "local"

#: The ``App.type`` of a notebook instance, which is no app of SageMaker.
NOTEBOOK_INSTANCE_TYPE = "NotebookInstance"

#: The types of the apps in a space of the newer Studio. Each space has one app.
SPACE_APP_TYPES = ("JupyterLab", "CodeEditor")

#: A longer metadata file is not SageMaker's.
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Platform:
    """The identity of this server in SageMaker. ``problem`` says why the metadata file cannot be
    used (None: it can). With a problem this server removes only kernels and terminals."""

    kind: str = LOCAL
    domain_id: str | None = None
    user_profile_name: str | None = None
    space_name: str | None = None
    region_name: str | None = None
    app_type: str | None = None
    app_name: str | None = None
    account_id: str | None = None
    partition: str = "aws"
    #: Whether other users share this server's home.
    shared: bool = False
    problem: Unread | None = None
    #: The ARN in the metadata file, for display only. Decisions use the parts above.
    resource_arn: str | None = field(default=None, compare=False)

    @property
    def owner(self) -> str | None:
        """The owner of the apps: the space if there is one, else the user profile. Apps in a space
        have no user profile, and the API takes exactly one of the two."""
        return self.space_name or self.user_profile_name

    @property
    def owner_key(self) -> str:
        """The API's member for the owner: ``SpaceName`` or ``UserProfileName``."""
        return "SpaceName" if self.space_name else "UserProfileName"

    @property
    def owner_argument(self) -> dict[str, str]:
        """The owner as an argument of DeleteApp: one member, or none when the owner is unknown."""
        return {self.owner_key: self.owner} if self.owner else {}

    @property
    def owner_filter(self) -> dict[str, str]:
        """The owner as arguments of ListApps."""
        return {f"{key}Equals": value for key, value in self.owner_argument.items()}

    @property
    def has_apps(self) -> bool:
        """Whether SageMaker is asked for apps: on Studio Classic, when domain and owner are
        known. Without an owner ListApps would return the apps of all users."""
        return self.kind == STUDIO_CLASSIC and bool(self.domain_id) and bool(self.owner)

    @property
    def own_app(self) -> App | None:
        """The app or notebook instance in which this server runs, if the extension may remove it.
        None in Studio Classic, where this app is free and users need it to sign in."""
        if self.kind == NOTEBOOK_INSTANCE and self.app_name:
            return App(NOTEBOOK_INSTANCE_TYPE, self.app_name, IN_SERVICE, own=True)
        if self.kind == STUDIO_SPACE and self.app_type and self.domain_id and self.space_name:
            # In a Code Editor app this server sees only its own kernels and terminals. So the
            # report shows the app, and the extension never judges it.
            own = self.app_type == "JupyterLab"
            return App(self.app_type, self.app_name or "default", IN_SERVICE, own=own)
        return None

    @property
    def identity(self) -> tuple[str | None, ...]:
        """The words that identify this server among the servers with the same home, independently
        of the host name. Empty outside SageMaker.

        An app of a kind that this extension does not remove (``LOCAL``) has an identity, too: its
        container also has a new host name at each start.
        """
        if self.kind == LOCAL and not (self.app_type and self.owner):
            return ()
        return (self.domain_id, self.owner_key, self.owner, self.app_type, self.app_name)

    def app_arn(self, app: App) -> str:
        """The ARN that a policy must allow, with ``*`` for unknown parts."""
        region, account = self.region_name or "*", self.account_id or "*"
        return (
            f"arn:{self.partition}:sagemaker:{region}:{account}:app/"
            f"{self.domain_id or '*'}/{self.owner or '*'}/{app.type}/{app.name}"
        )


def state_directory(platform: Platform, home: Path, usual: str) -> str:
    """The default state directory: ``usual``, except on a notebook instance. There a stop keeps
    only the folder ``SageMaker`` of the home."""
    volume = home / "SageMaker"
    lasts = platform.kind != NOTEBOOK_INSTANCE or not volume.is_dir()
    return usual if lasts else str(volume / ".auto-shutdown")


def recognise(
    metadata_path: Path, overrides: Mapping[str, str | None], environ: Mapping[str, str]
) -> Platform:
    """The platform, from the metadata file, configuration (``overrides``: domain_id,
    user_profile_name, space_name, region_name) and environment. Never raises."""
    metadata, problem = _read(metadata_path)
    arn = text_of(metadata, "ResourceArn")
    parts = arn.split(":") if arn and arn.startswith("arn:") and arn.count(":") >= 5 else [""] * 6
    app_type = text_of(metadata, "AppType")
    owner = _owner(metadata, overrides)
    domain_id = overrides.get("domain_id") or text_of(metadata, "DomainId")
    kind, incomplete = _kind(metadata, overrides, bool(domain_id and owner))
    region = (
        overrides.get("region_name")
        or parts[3]
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or None
    )
    if kind != LOCAL:
        problem = None  # the configuration replaces what the file lacks
    elif incomplete and problem is None:
        problem = _problem(metadata_path, "Incomplete", incomplete)
    return Platform(
        kind=kind,
        domain_id=domain_id,
        user_profile_name=owner.get("user_profile_name"),
        space_name=owner.get("space_name"),
        region_name=region,
        app_type=app_type,
        app_name=text_of(metadata, "ResourceName"),
        account_id=parts[4] or environ.get("AWS_ACCOUNT_ID") or None,
        partition=parts[1] or _partition(region),
        shared=_is_shared(kind, owner, environ),
        resource_arn=arn,
        problem=problem,
    )


def _is_shared(kind: str, owner: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether the owner is a shared space. Every space of Studio Classic is shared; in the newer
    Studio an environment variable says it."""
    if "space_name" not in owner:
        return False
    return kind == STUDIO_CLASSIC or environ.get("SAGEMAKER_SPACE_TYPE_LOWERCASE") == "shared"


def _read(path: Path) -> tuple[Mapping[str, Any], Unread | None]:
    try:
        # SageMaker or an administrator may have put a link there.
        content = safe_files.read_bytes(path, MOST_BYTES, follow=True)
        found = json.loads(content.decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}, None
    except safe_files.UnsafeFileError as error:
        return {}, _problem(path, "UnsafeFile", str(error.strerror))
    except OSError as error:
        return {}, _problem(path, type(error).__name__, "it cannot be read")
    except (ValueError, RecursionError) as error:
        return {}, _problem(path, type(error).__name__, "it is no JSON")
    if not isinstance(found, dict):
        return {}, _problem(path, "Foreign", "it is not a JSON object")
    return found, None


def _problem(path: Path, code: str, what: str) -> Unread:
    """The problem with the metadata file. ``what`` must not quote the file, which may contain
    anything."""
    return Unread(
        "platform",
        code,
        sentence(
            "The description of this host in %1 cannot be used: %2. The extension removes no app.",
            path,
            what,
        ),
        sentence(
            "Correct %1, or set AutoShutdown.domain_id and AutoShutdown.user_profile_name (or "
            "space_name).",
            path,
        ),
    )


def text_of(values: Mapping[str, Any], key: str) -> str | None:
    """The text under ``key`` of what another program wrote. None for an empty text, and for a value
    of another type."""
    value = values.get(key)
    return value if isinstance(value, str) and value else None


def _partition(region: str | None) -> str:
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region and region.startswith(prefix):
            return partition
    return "aws"


def _owner(metadata: Mapping[str, Any], overrides: Mapping[str, str | None]) -> dict[str, str]:
    """The owner (a space or a user profile), or no owner. The owner in the configuration replaces
    that in the metadata file, even if one is a space and the other a user profile. If both are
    given in the same place, the space is the owner."""
    for key in ("space_name", "user_profile_name"):
        configured = overrides.get(key)
        if configured:
            return {key: configured}
    for key, member in (("space_name", "SpaceName"), ("user_profile_name", "UserProfileName")):
        value = text_of(metadata, member)
        if value:
            return {key: value}
    return {}


def _kind(
    metadata: Mapping[str, Any], overrides: Mapping[str, str | None], identified: bool
) -> tuple[str, str]:
    """The kind, and which fact is missing for another kind (empty: none).

    The metadata file determines the kind; the configuration determines only the owner. The reason:
    many hosts with the same home share a user's configuration, and this extension may remove apps
    only where it sees their kernels. So a server in a KernelGateway app, or in an app of an unknown
    type, is ``LOCAL``, and a notebook instance stays a notebook instance, whatever the
    configuration says. Only if there is no file, a complete configuration makes the kind Studio
    Classic.
    """
    app_type = text_of(metadata, "AppType")
    if app_type in SPACE_APP_TYPES:
        return STUDIO_SPACE, ""
    if app_type == "JupyterServer":
        missing = "DomainId, and UserProfileName or SpaceName, are not both there"
        return (STUDIO_CLASSIC, "") if identified else (LOCAL, missing)
    if app_type is not None:
        return LOCAL, ""
    if text_of(metadata, "ResourceName") and not text_of(metadata, "DomainId"):
        return NOTEBOOK_INSTANCE, ""
    domain = overrides.get("domain_id")
    owner = overrides.get("space_name") or overrides.get("user_profile_name")
    if domain and owner:
        return STUDIO_CLASSIC, ""
    if domain or owner:
        return LOCAL, "of domain and owner, the configuration gives one only"
    return LOCAL, "AppType is not there" if metadata else ""

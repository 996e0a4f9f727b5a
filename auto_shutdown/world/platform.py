"""Who we are: the SageMaker platform that this server runs on, if any.

SageMaker leaves a metadata file in each of its containers. Configuration wins
over the file in who we are, and suffices without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.model import IN_SERVICE, App, Unread

STUDIO_CLASSIC = "studio-classic"
STUDIO_SPACE = "studio-space"
NOTEBOOK_INSTANCE = "notebook-instance"
LOCAL = "local"

#: What a notebook instance is called where apps have a type.
NOTEBOOK_INSTANCE_TYPE = "NotebookInstance"

#: The app types of the newer Studio, one local app in a space.
SPACE_APP_TYPES = ("JupyterLab", "CodeEditor")


#: A longer metadata file is not SageMaker's.
MOST_BYTES = 1_000_000


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
    #: Whether other users share this server's home.
    shared: bool = False
    problem: Unread | None = None
    #: As the file has it, to show; the parts above are what counts.
    resource_arn: str | None = field(default=None, compare=False)

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
    def owner_argument(self) -> dict[str, str]:
        """The owner as DeleteApp takes it: exactly one member, or none when it is not known."""
        return {self.owner_key: self.owner} if self.owner else {}

    @property
    def owner_filter(self) -> dict[str, str]:
        """The owner as ListApps takes it."""
        return {f"{key}Equals": value for key, value in self.owner_argument.items()}

    @property
    def has_apps(self) -> bool:
        """Whether SageMaker is asked for apps: on Studio Classic, when domain and owner are
        known. Without an owner ListApps would answer with everybody's."""
        return self.kind == STUDIO_CLASSIC and bool(self.domain_id) and bool(self.owner)

    @property
    def own_app(self) -> App | None:
        """The app, or the notebook instance, that this server itself runs in and may end. Not in
        Studio Classic, where it is free and the user's way in."""
        if self.kind == NOTEBOOK_INSTANCE and self.app_name:
            return App(NOTEBOOK_INSTANCE_TYPE, self.app_name, IN_SERVICE, own=True)
        if self.kind == STUDIO_SPACE and self.app_type and self.domain_id and self.space_name:
            # Of a Code Editor nothing is seen from here but kernels and terminals of a Jupyter
            # server beside it: it is shown, and never judged.
            own = self.app_type == "JupyterLab"
            return App(self.app_type, self.app_name or "default", IN_SERVICE, own=own)
        return None

    @property
    def identity(self) -> tuple[str | None, ...]:
        """Who this server is among those of the same home, whatever its host is called; no words
        off SageMaker. Also of an app that is not looked after here (kind local), because its
        container, too, has a new host name at each start."""
        if self.kind == LOCAL and not (self.app_type and self.owner):
            return ()
        return (self.domain_id, self.owner_key, self.owner, self.app_type, self.app_name)

    def app_arn(self, app: App) -> str:
        """The ARN that a policy must allow, with ``*`` for what is not known here."""
        region, account = self.region_name or "*", self.account_id or "*"
        return (
            f"arn:{self.partition}:sagemaker:{region}:{account}:app/"
            f"{self.domain_id or '*'}/{self.owner or '*'}/{app.type}/{app.name}"
        )


def state_directory(platform: Platform, home: Path, usual: str) -> str:
    """Where the state is kept when nobody says otherwise: ``usual``, unless that is lost with what
    this server runs in. Of a notebook instance's home a stop leaves only
    ``SageMaker``."""
    volume = home / "SageMaker"
    lasts = platform.kind != NOTEBOOK_INSTANCE or not volume.is_dir()
    return usual if lasts else str(volume / ".auto-shutdown")


def recognise(
    metadata_path: Path, overrides: Mapping[str, str | None], environ: Mapping[str, str]
) -> Platform:
    """The platform, from the metadata file, configuration (``overrides``: domain_id,
    user_profile_name, space_name, region_name) and environment. Never raises."""
    metadata, problem = _read(metadata_path)
    arn = _text(metadata, "ResourceArn")
    parts = arn.split(":") if arn and arn.startswith("arn:") and arn.count(":") >= 5 else [""] * 6
    app_type = _text(metadata, "AppType")
    owner = _owner(metadata, overrides)
    domain_id = overrides.get("domain_id") or _text(metadata, "DomainId")
    kind, incomplete = _kind(metadata, overrides, bool(domain_id and owner))
    region = (
        overrides.get("region_name")
        or parts[3]
        or environ.get("AWS_REGION")
        or environ.get("AWS_DEFAULT_REGION")
        or None
    )
    if kind != LOCAL:
        problem = None  # configuration has made up for it
    elif incomplete and problem is None:
        problem = _problem(metadata_path, "Incomplete", incomplete)
    return Platform(
        kind=kind,
        domain_id=domain_id,
        user_profile_name=owner.get("user_profile_name"),
        space_name=owner.get("space_name"),
        region_name=region,
        app_type=app_type,
        app_name=_text(metadata, "ResourceName"),
        account_id=parts[4] or environ.get("AWS_ACCOUNT_ID") or None,
        partition=parts[1] or _partition(region),
        shared=_is_shared(kind, owner, environ),
        resource_arn=arn,
        problem=problem,
    )


def _is_shared(kind: str, owner: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Studio Classic knows only shared spaces; in the newer Studio the environment
    says it."""
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
    """``what`` never quotes the file: it may be anything."""
    return Unread(
        "platform",
        code,
        f"What {path} says of this host cannot be used: {what}. No app is looked after.",
        f"Mend {path}, or set AutoShutdown.domain_id and AutoShutdown.user_profile_name "
        "(or space_name).",
    )


def _text(metadata: Mapping[str, Any], key: str) -> str | None:
    """A value by truthiness: some files carry a key with an empty text."""
    value = metadata.get(key)
    return value if isinstance(value, str) and value else None


def _partition(region: str | None) -> str:
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region and region.startswith(prefix):
            return partition
    return "aws"


def _owner(metadata: Mapping[str, Any], overrides: Mapping[str, str | None]) -> dict[str, str]:
    """Exactly one owner, or none. A configured one replaces the file's whatever its sort. Of two,
    the space: it is the narrower, and its apps are nobody's profile."""
    for key in ("space_name", "user_profile_name"):
        configured = overrides.get(key)
        if configured:
            return {key: configured}
    for key, member in (("space_name", "SpaceName"), ("user_profile_name", "UserProfileName")):
        value = _text(metadata, member)
        if value:
            return {key: value}
    return {}


def _kind(
    metadata: Mapping[str, Any], overrides: Mapping[str, str | None], identified: bool
) -> tuple[str, str]:
    """The kind, and what is missing for it.

    The file says *what* a host is, and configuration only *who*: a user's configuration lies in
    a home that many hosts share, and apps may be judged only where their kernels are seen. So a
    server that somebody runs inside a KernelGateway app is ``local`` (the app belongs to the
    JupyterServer beside it), as in any app of a sort not known here, and a notebook instance
    stays one. Only where no file says anything
    does a complete configuration make it Studio Classic.
    """
    app_type = _text(metadata, "AppType")
    if app_type in SPACE_APP_TYPES:
        return STUDIO_SPACE, ""
    if app_type == "JupyterServer":
        missing = "DomainId, and UserProfileName or SpaceName, are not both there"
        return (STUDIO_CLASSIC, "") if identified else (LOCAL, missing)
    if app_type is not None:
        return LOCAL, ""
    if _text(metadata, "ResourceName") and not _text(metadata, "DomainId"):
        return NOTEBOOK_INSTANCE, ""
    domain = overrides.get("domain_id")
    owner = overrides.get("space_name") or overrides.get("user_profile_name")
    if domain and owner:
        return STUDIO_CLASSIC, ""
    if domain or owner:
        return LOCAL, "of domain and owner, the configuration gives one only"
    return LOCAL, "AppType is not there" if metadata else ""

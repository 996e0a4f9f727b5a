"""The `on-start` script of a lifecycle configuration, which an administrator attaches to a domain,
a user profile, a space or a notebook instance.

The script consists of a head with shell variables, which ``Script.render`` writes and
``read_script`` reads, and of the file ``on_start.sh``.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from traitlets import TraitError

from .._version import __version__
from ..config.traits import AdminTraits
from .calls import name_of_arn
from .errors import UsageError
from .names import DISTRIBUTION, ENVIRONMENTS, TITLES

#: SageMaker takes 16,384 characters of base64.
MOST_BYTES = 12_288

#: Seconds of the five minutes that an app's start may take. Another script that runs first takes
#: part of that time, so the limit is later then.
DEADLINE = 180
DEADLINE_AFTER_PREVIOUS = 240

_WHEEL = re.compile(r"jupyterlab_auto_shutdown-([^-/]+)-py3-none-any\.whl")
_REQUIREMENT = re.compile(rf"{DISTRIBUTION}==([A-Za-z0-9.!+]+)")
_ENVIRONMENT = re.compile(r"/[A-Za-z0-9_./+-]*[A-Za-z0-9_+-]")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_SHA256 = re.compile(r"[0-9a-f]{64}")


#: Takes the place of a script that ``--replace`` leaves out. It does nothing.
LEFT_OUT = b"#!/bin/sh\n"


@dataclass(frozen=True)
class Previous:
    """The lifecycle configuration that ours replaces. Ours runs its script first. With
    ``--replace`` that script is left out (LEFT_OUT), and the ARN is kept only so that ``--detach``
    can put it back."""

    arn: str
    content: bytes

    @property
    def is_left_out(self) -> bool:
        return self.content == LEFT_OUT


def about_left_out(arn: str) -> str:
    """What people read of a lifecycle configuration that ``--replace`` leaves out."""
    return f"{name_of_arn(arn)} does not run (--replace). --detach restores it."


@dataclass(frozen=True)
class Script:
    """What an ``on-start`` script is made of.

    ``source`` is a requirement for an index, an ``s3://`` address or an absolute path of the wheel;
    ``configuration`` holds traits of ``AutoShutdown``. ``replaces`` names the configuration of ours
    that this one replaces, for ``--rollback``. ``as_code`` marks a script that something other than
    ``--attach`` attaches: Terraform, CloudFormation, CDK or a person.
    """

    platform: str
    source: str = f"{DISTRIBUTION}=={__version__}"
    sha256: str = ""
    index_url: str = ""
    environment: str = ""
    region: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    previous: Previous | None = None
    replaces: str = ""
    as_code: bool = False

    def render(self) -> str:
        """The script's text. Raises UsageError for a script that could not work."""
        self._check()
        version = version_of(self.source)
        head = [
            "#!/bin/bash",
            f"# auto_shutdown {version} for {TITLES[self.platform]}, on start.",
            "# Made by `jupyter auto-shutdown lifecycle-config`; to change it, make it again.",
        ]
        if self.as_code:
            head.append(_AS_CODE)
        if self.replaces:
            head.append(f"{_REPLACES}{self.replaces}")
        if self.previous is not None:
            head.append(f"{_PREVIOUS_ARN}{self.previous.arn}")
        variables = {
            "PLATFORM": self.platform,
            "VERSION": version,
            "SOURCE": self.source,
            "SHA256": self.sha256,
            "INDEX_URL": self.index_url,
            "ENVIRONMENT": self.environment or ENVIRONMENTS[self.platform],
            "REGION": self.region,
            "DEADLINE": str(DEADLINE if self.previous is None else DEADLINE_AFTER_PREVIOUS),
            "CONFIGURATION": configuration_text(self.configuration),
            "PREVIOUS": "" if self.previous is None else _packed(self.previous.content),
        }
        head.append("# shellcheck disable=SC2016  # what stands in quotes is not for the shell")
        head += [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        body = files(__package__).joinpath("on_start.sh").read_text(encoding="utf-8")
        text = "\n".join(head) + "\n" + body.replace("\r\n", "\n")
        size = len(text.encode())
        if size >= MOST_BYTES:
            raise UsageError(
                f"The script would have {size} bytes, and SageMaker takes fewer than {MOST_BYTES}: "
                "shorten the configuration (rules), or the script that it runs first."
            )
        return text

    def _check(self) -> None:
        version_of(self.source)
        for name, value in (("source", self.source), ("index URL", self.index_url)):
            if not value.isprintable():
                raise UsageError(f"The {name} has characters in it that cannot be printed.")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise UsageError("A SHA-256 has 64 hexadecimal digits in lower case.")
        if self.environment and not _ENVIRONMENT.fullmatch(self.environment):
            raise UsageError(f"The environment {self.environment!r} must be an absolute path.")
        if self.region and not _REGION.fullmatch(self.region):
            raise UsageError(f"{self.region!r} is not the name of an AWS region.")
        if self.index_url:
            _check_index(self.index_url, self.source)
        check_configuration(self.configuration)


def _check_index(url: str, source: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UsageError(f"The index {url!r} must be an http(s) address.")
    if parts.username or parts.password:
        # Anybody with sagemaker:DescribeStudioLifecycleConfig reads the script.
        raise UsageError(
            "The index URL holds credentials, and a lifecycle configuration is no place for "
            "secrets: put the wheel in S3 instead, or the URL into the image's /etc/pip.conf."
        )
    if not _REQUIREMENT.fullmatch(source):
        raise UsageError("An index URL goes with a requirement, not with a wheel.")


def version_of(source: str) -> str:
    """The version that a source installs. Raises UsageError if the source does not name it."""
    if source.startswith(("s3://", "/")):
        found = _WHEEL.fullmatch(source.rsplit("/", 1)[-1])
        bucket, _, key = source.removeprefix("s3://").partition("/")
        if not found or (source.startswith("s3://") and not (bucket and key)):
            raise UsageError(
                f"{source!r} must end with the wheel's own name, such as "
                f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl."
            )
        return found[1]
    found = _REQUIREMENT.fullmatch(source)
    if not found:
        raise UsageError(
            f"{source!r} is no source: give s3://BUCKET/…/WHEEL, an absolute path of a wheel as "
            f"the app sees it, or {DISTRIBUTION}==VERSION for an index."
        )
    return found[1]


#: With the name that people use, because traitlets put it into their messages.
_AutoShutdown = type("AutoShutdown", (AdminTraits,), {})


def check_configuration(configuration: Mapping[str, Any]) -> None:
    """Check it as the server does, so that the administrator meets an error and not five hundred
    users. Raises UsageError."""
    known = AdminTraits.class_traits(config=True)
    for name in configuration:
        if name not in known:
            raise UsageError(f"AutoShutdown has no trait {name!r} ({', '.join(known)}).")
    try:
        _AutoShutdown(**configuration).limits()
    except TraitError as error:
        raise UsageError(str(error)) from None


def configuration_text(configuration: Mapping[str, Any]) -> str:
    """The text of the file that the script writes; empty without a configuration."""
    if not configuration:
        return ""
    return json.dumps({"AutoShutdown": dict(configuration)}, indent=1, sort_keys=True)


# -- reading a script again ------------------------------------------------------------------------

_AS_CODE = (
    "# Attached by other means than --attach (as code, or by hand): change or detach it there."
)
_REPLACES = "# Replaces, and --rollback puts back: "
_PREVIOUS_ARN = "# Runs first, and is the default again when this is detached: "
_HEAD = re.compile(r"\A#!/bin/bash\n# auto_shutdown .*?(?=\n\n)", re.DOTALL)
_COMMENT = re.compile(r"^(# .*?: )(\S+)$", re.MULTILINE)


def read_script(text: str) -> Script | None:
    """The parts of a script that ``Script.render`` made; None for any other script."""
    head = _HEAD.match(text)
    if head is None:
        return None
    try:
        words = shlex.split(head[0], comments=True)
        values = dict(word.split("=", 1) for word in words)
        configuration = json.loads(values["CONFIGURATION"] or "{}").get("AutoShutdown", {})
        comments = dict(_COMMENT.findall(head[0]))
        packed, arn = values["PREVIOUS"], comments.get(_PREVIOUS_ARN)
        previous = Previous(arn, gzip.decompress(base64.b64decode(packed))) if arn else None
        platform, environment = values["PLATFORM"], values["ENVIRONMENT"]
        return Script(
            platform=platform,
            source=values["SOURCE"],
            sha256=values["SHA256"],
            index_url=values["INDEX_URL"],
            environment="" if environment == ENVIRONMENTS.get(platform) else environment,
            region=values["REGION"],
            configuration=configuration,
            previous=previous,
            replaces=comments.get(_REPLACES, ""),
            as_code=f"\n{_AS_CODE}" in head[0],
        )
    except (ValueError, KeyError, AttributeError, OSError, EOFError):
        return None


def _packed(content: bytes) -> str:
    # Without its time and system: the same script gives the same text, and so the same name.
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[9] = 255
    return base64.b64encode(packed).decode()

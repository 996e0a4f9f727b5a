"""The `on-start` script of a lifecycle configuration: what an administrator attaches to a domain,
a user profile, a space or a notebook instance (platform.md 2.3 to 2.5).

The script is one file, ``on_start.sh``, below a head of shell variables that is made here.
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
from .errors import UsageError
from .names import DISTRIBUTION, ENVIRONMENTS, TITLES

#: SageMaker takes 16,384 characters of base64.
MOST_BYTES = 12_288

#: Seconds of the five minutes that an app's start may take. With a script of somebody else's
#: before it, which takes what it takes, it may wait for longer.
DEADLINE = 180
DEADLINE_AFTER_PREVIOUS = 240

_WHEEL = re.compile(r"jupyterlab_auto_shutdown-([^-/]+)-py3-none-any\.whl")
_REQUIREMENT = re.compile(rf"{DISTRIBUTION}==([A-Za-z0-9.!+]+)")
_ENVIRONMENT = re.compile(r"/[A-Za-z0-9_./+-]*[A-Za-z0-9_+-]")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Previous:
    """A lifecycle configuration of somebody else, whose place this one takes and whose script it
    runs first."""

    arn: str
    content: bytes


@dataclass(frozen=True)
class Script:
    """What an ``on-start`` script is made of. ``source`` is a requirement for an index, an
    ``s3://`` address or an absolute path of the wheel; ``configuration`` the traits of
    ``AutoShutdown``."""

    platform: str
    source: str = f"{DISTRIBUTION}=={__version__}"
    sha256: str = ""
    index_url: str = ""
    environment: str = ""
    region: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    previous: Previous | None = None

    def render(self) -> str:
        """The script. Raises UsageError for what cannot work, before anybody's app meets it."""
        self._check()
        version = version_of(self.source)
        head = [
            "#!/bin/bash",
            f"# auto_shutdown {version} for {TITLES[self.platform]}, on start.",
            "# Made by `jupyter auto-shutdown lifecycle-config`; to change it, make it again.",
        ]
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
                "shorten the configuration (rules), or the script that it shall run first."
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
    """The version that a source installs. Raises UsageError where it cannot be told."""
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


#: Named as people name it, for what traitlets say of a value.
_AutoShutdown = type("AutoShutdown", (AdminTraits,), {})


def check_configuration(configuration: Mapping[str, Any]) -> None:
    """As the server would, so that a typing error is seen here and not by five hundred people."""
    known = AdminTraits.class_traits(config=True)
    for name in configuration:
        if name not in known:
            raise UsageError(f"AutoShutdown has no trait {name!r} ({', '.join(known)}).")
    try:
        _AutoShutdown(**configuration).limits()
    except TraitError as error:
        raise UsageError(str(error)) from None


def configuration_text(configuration: Mapping[str, Any]) -> str:
    """The file that the script writes; empty for none."""
    if not configuration:
        return ""
    return json.dumps({"AutoShutdown": dict(configuration)}, indent=1, sort_keys=True)


# -- scripts of somebody else's, run first --------------------------------------------------------

_PREVIOUS_ARN = "# Runs first, and is the default again when this is detached: "
_PREVIOUS_LINE = re.compile(r"^PREVIOUS=([A-Za-z0-9+/=]+)$", re.MULTILINE)
_ARN_LINE = re.compile(rf"^{re.escape(_PREVIOUS_ARN)}(\S+)$", re.MULTILINE)


def _packed(content: bytes) -> str:
    # Without its time and system: the same script gives the same text, and so the same name.
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[9] = 255
    return base64.b64encode(packed).decode()


def previous_of(script: str) -> Previous | None:
    """What a script made here runs first."""
    arn, packed = _ARN_LINE.search(script), _PREVIOUS_LINE.search(script)
    if not arn or not packed:
        return None
    return Previous(arn[1], gzip.decompress(base64.b64decode(packed[1])))

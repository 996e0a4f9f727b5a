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

#: How many seconds after its start the script gives up. SageMaker's limit for the start of an app
#: is five minutes. If another script runs first, it needs a part of this time, so the script gives
#: up later.
DEADLINE = 180
DEADLINE_AFTER_PREVIOUS = 240

_WHEEL = re.compile(r"jupyterlab_auto_shutdown-([^-/]+)-py3-none-any\.whl")
_REQUIREMENT = re.compile(rf"{DISTRIBUTION}==([A-Za-z0-9.!+]+)")
_ENVIRONMENT = re.compile(r"/[A-Za-z0-9_./+-]*[A-Za-z0-9_+-]")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: The content that stands for a script that ``--replace`` leaves out. It does nothing.
LEFT_OUT = b"#!/bin/sh\n"


@dataclass(frozen=True)
class Previous:
    """The lifecycle configuration that the new one replaces. The new script runs ``content``, the
    replaced script, first. With ``--replace`` the content is LEFT_OUT; the ARN is kept so that
    ``--detach`` can restore the configuration."""

    arn: str
    content: bytes

    @property
    def is_left_out(self) -> bool:
        """Whether ``--replace`` leaves the replaced script out."""
        return self.content == LEFT_OUT


def about_left_out(arn: str) -> str:
    """The sentence about the lifecycle configuration ``arn`` that ``--replace`` leaves out."""
    return f"{name_of_arn(arn)} does not run (--replace). --detach restores it."


@dataclass(frozen=True)
class Script:
    """The parts of an ``on-start`` script.

    ``platform`` is a key of ENVIRONMENTS. ``source`` is a requirement for a package index, or an
    ``s3://`` address or an absolute path of the wheel. ``sha256`` is the digest that the wheel must
    have; empty accepts any wheel. ``region`` is the region of the S3 bucket. ``configuration``
    holds traits of ``AutoShutdown``. ``previous`` is another party's lifecycle configuration that
    the script runs first. ``replaces`` is the name of this package's configuration that the new one
    replaces; ``--rollback`` restores it. ``as_code`` marks a script that something other than
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
        """The text of the script. Raises UsageError if a part is invalid, or if the text is larger
        than SageMaker accepts."""
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
                f"The script would have {size} bytes, and SageMaker accepts fewer than "
                f"{MOST_BYTES}. Shorten the configuration, or the script that runs first."
            )
        return text

    def _check(self) -> None:
        version_of(self.source)
        for name, value in (("source", self.source), ("index URL", self.index_url)):
            if not value.isprintable():
                raise UsageError(f"The {name} has characters in it that cannot be printed.")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise UsageError("--sha256 must be 64 hexadecimal digits in lower case.")
        if self.environment and not _ENVIRONMENT.fullmatch(self.environment):
            raise UsageError(f"--environment {self.environment!r} must be an absolute path.")
        if self.region and not _REGION.fullmatch(self.region):
            raise UsageError(
                f"--region {self.region!r} is not the name of an AWS region, such as us-west-2."
            )
        if self.index_url:
            _check_index(self.index_url, self.source)
        check_configuration(self.configuration)


def _check_index(url: str, source: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise UsageError("--index-url must be an http or https address.")
    if parts.username or parts.password:
        # Everybody with sagemaker:DescribeStudioLifecycleConfig can read the script.
        raise UsageError(
            "The index URL contains credentials, and everybody who may describe a lifecycle "
            "configuration can read it. Put the wheel in S3, or the URL into the image's "
            "/etc/pip.conf."
        )
    if not _REQUIREMENT.fullmatch(source):
        raise UsageError(
            "--index-url is for a requirement (--from jupyterlab-auto-shutdown==VERSION), not for "
            "the address or path of a wheel."
        )


def version_of(source: str) -> str:
    """The version of this package that ``source`` installs. Raises UsageError if the source does
    not contain the version."""
    if source.startswith(("s3://", "/")):
        match = _WHEEL.fullmatch(source.rsplit("/", 1)[-1])
        bucket, _, key = source.removeprefix("s3://").partition("/")
        if not match or (source.startswith("s3://") and not (bucket and key)):
            raise UsageError(
                f"{source!r} must end with the wheel's own name, such as "
                f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl."
            )
        return match[1]
    match = _REQUIREMENT.fullmatch(source)
    if not match:
        raise UsageError(
            f"--from {source} is not valid. Give s3://BUCKET/…/WHEEL, an absolute path of a wheel "
            f"as the app sees it, or {DISTRIBUTION}==VERSION for a package index."
        )
    return match[1]


#: AdminTraits under the name that administrators know, because the messages of traitlets contain
#: it.
_AutoShutdown = type("AutoShutdown", (AdminTraits,), {})


def check_configuration(configuration: Mapping[str, Any]) -> None:
    """Check the configuration as the server does, so that the administrator sees its error here and
    not all users at their next start. Raises UsageError."""
    known = AdminTraits.class_traits(config=True)
    for name in configuration:
        if name not in known:
            raise UsageError(
                f"AutoShutdown has no trait {name!r}. Its traits are: {', '.join(known)}."
            )
    try:
        _AutoShutdown(**configuration).limits()
    except TraitError as error:
        raise UsageError(str(error)) from None


def configuration_text(configuration: Mapping[str, Any]) -> str:
    """The text of the configuration file that the script writes; empty without a configuration."""
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
    # Without the time and the operating system, so that the same content gives the same text, and
    # the lifecycle configuration the same name.
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[9] = 255
    return base64.b64encode(packed).decode()

"""Converts the options of ``lifecycle-config`` and ``iam-policy`` to a script, its configuration,
and the scope of a policy."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any

from .._version import __version__
from .digest import default_digest, file_digest
from .errors import UsageError
from .iam import Scope
from .lifecycle import Script, version_of
from .names import DISTRIBUTION
from .target import split


def scope_of(arguments: argparse.Namespace, notebook_instance: str = "") -> Scope:
    """The account, domain and user that a policy is limited to. Raises UsageError."""
    return Scope(
        partition=arguments.partition,
        region=arguments.region,
        account=arguments.account,
        domain=arguments.domain,
        user_profile=arguments.user_profile,
        notebook_instance=notebook_instance,
    )


def script_of(arguments: argparse.Namespace, platform: str = "") -> Script:
    """The script for ``platform`` (default: the value of ``--for``). A script for a bundle has no
    digest, because the bundle adds the digest of its own wheel. Raises UsageError, and OSError when
    a file cannot be read."""
    source = arguments.source or Script.source
    if source.endswith("/") and not arguments.bundle:  # a bundle adds the name of its own wheel
        source = _source_of_this_version(source)
    return Script(
        platform or arguments.platform,
        source=source,
        sha256="" if arguments.bundle else _sha256(arguments, source),
        index_url=arguments.index_url,
        environment=arguments.environment,
        region=_bucket_region(arguments),
        configuration=_configuration(arguments),
    )


def updated_script(script: Script, arguments: argparse.Namespace) -> Script:
    """``script`` with the source of ``--from``; without this option, with the version of this
    package in the folder or index from which ``script`` installs. Raises UsageError."""
    source = arguments.source or script.source
    if not arguments.source or source.endswith("/"):
        source = _source_of_this_version(source)
    return replace(script, source=source, sha256=_sha256(arguments, source))


def _source_of_this_version(source: str) -> str:
    """``source`` with the version of this package in place of its own. A folder, which ends with
    ``/``, gets the name of the wheel."""
    if source.startswith(("s3://", "/")):
        folder = source.rpartition("/")[0]
        return f"{folder}/{DISTRIBUTION.replace('-', '_')}-{__version__}-py3-none-any.whl"
    return f"{DISTRIBUTION}=={__version__}"


def _bucket_region(arguments: argparse.Namespace) -> str:
    """The region in which the script asks S3 for the wheel. S3 redirects from any region to the
    region of the bucket, so the first of several regions is enough."""
    return next(iter(split(arguments.region)), "")


def _sha256(arguments: argparse.Namespace, source: str) -> str:
    """The digest that the wheel must have: the digest of the file ``--wheel``, the value of
    ``--sha256``, or the digest of the wheel from which this package was installed. Raises
    UsageError when it is not known."""
    if arguments.wheel is not None:
        if version_of(source) != version_of(f"/{arguments.wheel.name}"):
            raise UsageError(
                f"{arguments.wheel.name} is not the wheel of {source}: the versions differ."
            )
        return file_digest(arguments.wheel)
    return arguments.sha256 or default_digest(source)


def _configuration(arguments: argparse.Namespace) -> dict[str, Any]:
    """The traits in the file ``--config``; those of ``--set`` replace them."""
    traits: dict[str, Any] = {}
    if arguments.config is not None:
        try:
            content = json.loads(arguments.config.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{arguments.config} is not JSON: {error}.") from None
        section = content.get("AutoShutdown", content) if isinstance(content, dict) else None
        if not isinstance(section, dict):
            raise UsageError(
                f"{arguments.config} must hold a JSON object, such as "
                '{"AutoShutdown": {"idle_timeout_minutes": 60}}.'
            )
        traits.update(section)
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: write NAME=VALUE, such as dry_run=true.")
        try:
            traits[name] = json.loads(value)
        except ValueError:
            traits[name] = value
    return traits

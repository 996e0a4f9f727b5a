"""The answers of SageMaker to the doctor's calls, and what they say about a permission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ..core.finding import Finding, failure, ok, warning
from ..world.aws_errors import (
    CREDENTIALS,
    DENIED,
    FOREIGN,
    GONE,
    THROTTLED,
    UNREACHABLE,
    read_error,
    remedy,
)
from ..world.platform import Platform


@dataclass(frozen=True)
class Answer:
    """The result of one call: ``value``, or the error ``code`` and ``message`` from AWS. ``code``
    is empty when the call succeeded."""

    code: str = ""
    message: str = ""
    value: Mapping[str, Any] = field(default_factory=dict)

    @property
    def skew(self) -> timedelta | None:
        """How far the clock of this machine is ahead of AWS's clock. None if the answer has no
        date."""
        metadata = self.value.get("ResponseMetadata") or {}
        try:
            theirs = parsedate_to_datetime(metadata["HTTPHeaders"]["date"])
        except (KeyError, TypeError, ValueError):
            return None
        return datetime.now(timezone.utc) - theirs


def ask(call: Callable[..., Any], **request: Any) -> Answer:
    """Make one call. Never raises: an error becomes part of the answer."""
    try:
        return Answer(value=call(**request))
    except Exception as error:
        code, message = read_error(error)
        return Answer(code, message, getattr(error, "response", None) or {})


def credentials_failure(code: str) -> Finding:
    return failure(
        "credentials",
        f"AWS accepts none ({code}), so the allowed actions are unknown",
        "Run this in a terminal of the server (cron and sudo do not pass on "
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), and look at the execution role.",
    )


def verdict(platform: Platform, action: str, resource: str, answer: Answer) -> Finding:
    """What the ``answer`` to a call of ``action`` on ``resource`` says about the permission. An
    answer that the resource does not exist, or is invalid, proves the permission."""
    code = answer.code
    advice = remedy(code, answer.message, action, resource, platform.region_name)
    if code in CREDENTIALS:
        return credentials_failure(code)
    if code in DENIED:
        return failure(action, f"not allowed ({code})", advice)
    if code in UNREACHABLE or code in FOREIGN or code.isdigit():
        return failure(action, f"no answer ({code})", advice)
    if code in THROTTLED:
        return warning(action, f"too many requests at the moment ({code})", "Try again later.")
    if code and code not in GONE and code != "ValidationException":
        return warning(action, f"AWS answered with an unexpected error ({code})", advice)
    return ok(action, "allowed")

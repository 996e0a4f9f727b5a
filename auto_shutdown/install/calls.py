"""Calls of the SageMaker API for administrators: one error for a person, all pages of a list, and
waiting for an update to end."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..world.aws_errors import (
    CREDENTIALS,
    DENIED,
    GONE,
    THROTTLED,
    UNREACHABLE,
    read_error,
    remedy,
)
from .errors import AttachError
from .target import Target

#: Seconds. An update of a domain takes some seconds.
WAIT_SECONDS = 120.0
LOOK_SECONDS = 2.0

#: SageMaker's lists have pages of at most 100 entries; this is 10,000 user profiles.
MOST_PAGES = 100

Answer = Mapping[str, Any]


class Calls:
    """The SageMaker API of one region. ``client`` is boto3's. Every method raises AttachError."""

    def __init__(
        self, client: Any, region: str = "", sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self.region = region or str(client.meta.region_name)
        self._sleep = sleep
        self._contents: dict[str, str] = {}

    def describe(self, target: Target) -> Answer:
        """The settings of ``target``, as SageMaker describes them."""
        found: Answer = self.call(f"Describe{target.noun}", target.key, str(target))
        return found

    def update(self, target: Target, settings: Mapping[str, Any]) -> None:
        """Change ``settings`` of ``target``, and wait until SageMaker has done it."""
        self.call(f"Update{target.noun}", {**target.key, **settings}, str(target))
        for _ in range(int(WAIT_SECONDS / LOOK_SECONDS)):
            status = str(self.describe(target).get("Status"))
            if status == "InService":
                return
            if status.endswith("Failed"):
                raise AttachError(f"SageMaker could not update {target}: its status is {status}.")
            self._sleep(LOOK_SECONDS)
        raise AttachError(f"{target} is still being updated after {WAIT_SECONDS:g} s; look again.")

    def content(self, arn: str) -> str:
        """The script of a lifecycle configuration. They never change, so each is asked once."""
        if arn not in self._contents:
            name = name_of_arn(arn)
            request = {"StudioLifecycleConfigName": name}
            answer = self.call("DescribeStudioLifecycleConfig", request, name)
            content = base64.b64decode(answer["StudioLifecycleConfigContent"])
            self._contents[arn] = content.decode("utf-8", "surrogateescape")
        return self._contents[arn]

    def find_config(self, name: str) -> str | None:
        """The ARN of the lifecycle configuration ``name``; None if there is none."""
        try:
            answer = self._client.describe_studio_lifecycle_config(StudioLifecycleConfigName=name)
        except Exception as error:
            code, message = read_error(error)
            if _is_missing(code, message):
                return None
        else:
            return str(answer["StudioLifecycleConfigArn"])
        raise _failed("DescribeStudioLifecycleConfig", name, code, message, self.region)

    def create_config(self, name: str, app_type: str, script: str) -> str:
        """Create a lifecycle configuration, and return its ARN; that of the one which exists."""
        existing = self.find_config(name)  # another slot of the same plan may just have made it
        if existing is not None:
            return existing
        request = {
            "StudioLifecycleConfigName": name,
            "StudioLifecycleConfigContent": base64.b64encode(script.encode()).decode(),
            "StudioLifecycleConfigAppType": app_type,
        }
        answer = self.call("CreateStudioLifecycleConfig", request, name)
        return str(answer["StudioLifecycleConfigArn"])

    def delete_config(self, name: str) -> None:
        self.call("DeleteStudioLifecycleConfig", {"StudioLifecycleConfigName": name}, name)

    def list(self, nouns: str, what: str, **filters: str) -> list[dict[str, Any]]:
        """All entries of a list, such as ``UserProfiles`` of one domain."""
        found: list[dict[str, Any]] = []
        request: dict[str, Any] = {**filters, "MaxResults": 100}
        used_tokens: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self.call(f"List{nouns}", request, what)
            found += page[nouns]
            token = page.get("NextToken")
            if not token:
                return found
            if token in used_tokens:
                break
            used_tokens.add(token)
            request["NextToken"] = token
        raise AttachError(f"List{nouns} for {what} does not end; try again.")

    def call(self, operation: str, request: Answer, what: str) -> Any:
        """One call; ``what`` names in an error the resource that it is about."""
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            return getattr(self._client, method)(**request)
        except Exception as error:
            code, message = read_error(error)
        # Here and not in the handler: a traceback would print AWS's own text.
        raise _failed(operation, what, code, message, self.region)


def name_of_arn(arn: str | None) -> str:
    """The name of a lifecycle configuration, for a person."""
    return (arn or "nothing").rsplit("/", 1)[-1]


def _is_missing(code: str, message: str) -> bool:
    # Some operations answer ValidationException where the model declares ResourceNotFound.
    return code in GONE or (code == "ValidationException" and bool(_MISSING.search(message)))


def _failed(operation: str, what: str, code: str, message: str, region: str) -> AttachError:
    if _is_missing(code, message):
        advice = "It does not exist in this account and region."
    elif code in UNREACHABLE:
        advice = f"{remedy(code, message, '', '', region)} Check --region, too."
    else:
        advice = next(
            (text for codes, text in _ADVICE if code in codes),
            "Look the code up in SageMaker's API reference.",
        )
    return AttachError(f"{operation} failed for {what}: {code}. {advice}", code)


_MISSING = re.compile(r"record ?not ?found|could not find|does not exist", re.IGNORECASE)

_ADVICE: tuple[tuple[Collection[str], str], ...] = (
    (DENIED, "See `jupyter auto-shutdown iam-policy --for administrator`."),
    (CREDENTIALS, "Check your credentials, as for the AWS command line."),
    (THROTTLED, "SageMaker asks for fewer calls; try again in a minute."),
    (("ResourceInUse",), "It is in use, or being changed; try again in a minute."),
    (("ParamValidationError",), "This boto3 is too old to know a setting: update it."),
    (("ValidationException",), "SageMaker refuses this request as it stands."),
)

"""Calls of the SageMaker API for administrators. Each error is a sentence for a person; lists are
read to their last page; a call that changes settings waits until SageMaker has applied them."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..world.aws_errors import (
    CHECK_CREDENTIALS,
    CREDENTIALS,
    DENIED,
    GONE,
    REGION,
    THROTTLED,
    UNREACHABLE,
    read_error,
    remedy,
)
from .errors import AttachError
from .target import Target

#: How many seconds to wait for an update. An update of a domain takes some seconds.
WAIT_SECONDS = 120.0

#: Seconds between two looks at the status.
LOOK_SECONDS = 2.0

#: SageMaker's lists have pages of at most 100 entries; this is 10,000 user profiles.
MOST_PAGES = 100

Answer = Mapping[str, Any]


def connect(region: str) -> Calls:
    """The SageMaker API of ``region``, or of the region that the AWS configuration names if
    ``region`` is empty, with the administrator's credentials. Raises AttachError when boto3 or the
    region is missing."""
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise AttachError("This command needs boto3: pip install boto3") from None
    # For a large domain there are some thousand calls, and SageMaker throttles at a few a second.
    config = Config(retries={"mode": "standard", "total_max_attempts": 8})
    try:
        return Calls(Session(region_name=region or None).client("sagemaker", config=config))
    except (BotoCoreError, ValueError) as error:
        code = type(error).__name__
    if code in REGION:
        missing = f"{region} is not an AWS region" if region else "No AWS region is configured"
        advice = "Use --region, such as --region us-west-2, or set AWS_DEFAULT_REGION."
        raise AttachError(f"{missing}. {advice}", code)
    raise AttachError(f"boto3 makes no client for SageMaker ({code}). {CHECK_CREDENTIALS}", code)


class Calls:
    """The SageMaker API of one region. ``client`` is boto3's. ``sleep`` waits for a number of
    seconds. Every method raises AttachError."""

    def __init__(
        self, client: Any, region: str = "", sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self.region = region or str(client.meta.region_name)
        self._sleep = sleep
        self._contents: dict[str, str] = {}

    def describe(self, target: Target) -> Answer:
        """The settings of ``target``, as SageMaker describes them."""
        description: Answer = self.call(f"Describe{target.noun}", target.key, str(target))
        return description

    def update(self, target: Target, settings: Mapping[str, Any]) -> None:
        """Change ``settings`` of ``target``, and wait until SageMaker has applied them."""
        self.call(f"Update{target.noun}", {**target.key, **settings}, str(target))
        for _ in range(int(WAIT_SECONDS / LOOK_SECONDS)):
            status = str(self.describe(target).get("Status"))
            if status == "InService":
                return
            if status.endswith("Failed"):
                raise AttachError(
                    f"SageMaker could not update {target}: its status is {status}. The reason is "
                    "on its page in the SageMaker console."
                )
            self._sleep(LOOK_SECONDS)
        raise AttachError(
            f"{target} is still being updated after {WAIT_SECONDS:g} s. Look at it with --show in "
            "a minute."
        )

    def content(self, arn: str) -> str:
        """The script of a lifecycle configuration. It never changes, so each is read once."""
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
        """Create the lifecycle configuration ``name``, unless it exists. Returns its ARN."""
        existing = self.find_config(name)  # another slot of the same plan may have created it
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
        """Delete the lifecycle configuration ``name``."""
        self.call("DeleteStudioLifecycleConfig", {"StudioLifecycleConfigName": name}, name)

    def list(self, nouns: str, place: str = "this account", **filters: str) -> list[dict[str, Any]]:
        """All entries of a list. ``nouns`` is the plural in the operation's name, such as
        ``UserProfiles``; ``place`` is what an error names."""
        entries: list[dict[str, Any]] = []
        request: dict[str, Any] = {**filters, "MaxResults": 100}
        used_tokens: set[str] = set()
        for _ in range(MOST_PAGES):
            page = self.call(f"List{nouns}", request, place)
            entries += page[nouns]
            token = page.get("NextToken")
            if not token:
                return entries
            if token in used_tokens:
                break
            used_tokens.add(token)
            request["NextToken"] = token
        raise AttachError(f"List{nouns} for {place} in {self.region} does not end. Try again.")

    def call(self, operation: str, request: Answer, resource: str) -> Any:
        """Call ``operation`` and return its answer. An error names ``resource``."""
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            return getattr(self._client, method)(**request)
        except Exception as error:
            code, message = read_error(error)
        # Raised outside the handler, because a traceback of the cause would print AWS's own text.
        raise _failed(operation, resource, code, message, self.region)


def name_of_arn(arn: str | None) -> str:
    """The name of a lifecycle configuration, for a person."""
    return (arn or "nothing").rsplit("/", 1)[-1]


def _is_missing(code: str, message: str) -> bool:
    # Some operations answer ValidationException where the model declares ResourceNotFound.
    return code in GONE or (code == "ValidationException" and bool(_MISSING.search(message)))


def _failed(operation: str, resource: str, code: str, message: str, region: str) -> AttachError:
    if _is_missing(code, message):
        advice = "It does not exist in this account and region. Check --region and the name."
    elif code in DENIED:
        advice = (
            f"Your credentials do not allow sagemaker:{operation}. The policy that you need: "
            "`jupyter auto-shutdown iam-policy --for administrator`."
        )
    elif code in UNREACHABLE:
        advice = f"{remedy(code, message, '', '', region)} Check --region, too."
    else:
        advice = next(
            (text for codes, text in _ADVICE if code in codes),
            "Look the code up in SageMaker's API reference.",
        )
    return AttachError(f"{operation} failed for {resource} in {region}: {code}. {advice}", code)


_MISSING = re.compile(r"record ?not ?found|could not find|does not exist", re.IGNORECASE)

_ADVICE: tuple[tuple[Collection[str], str], ...] = (
    (CREDENTIALS, CHECK_CREDENTIALS),
    (THROTTLED, "SageMaker asks for fewer calls. Try again in a minute."),
    (("ResourceInUse",), "It is in use, or being changed. Try again in a minute."),
    (("ParamValidationError",), "This boto3 does not know a setting. Update boto3."),
    (("ValidationException",), "SageMaker refuses the request. Check the names in the options."),
)

"""The boto3 client of SageMaker: its time limits, its endpoint, and a check before each request."""

from __future__ import annotations

import os
from typing import Any

from .boto3_loading import in_turns, new_session
from .worker_thread import require_caller

#: Time limits of one attempt in seconds. botocore must not retry for minutes, because the
#: controller itself tries again later.
CONNECT_SECONDS = 3
READ_SECONDS = 15
ATTEMPTS = 2

#: botocore reads this variable itself from 1.31 on. For older versions this module passes the
#: value.
ENDPOINT_VARIABLE = "AWS_ENDPOINT_URL_SAGEMAKER"


def make_client(
    region_name: str | None, endpoint_url: str | None = None, session: Any = None, **config: Any
) -> Any:
    """A boto3 client of SageMaker; ``config`` is botocore's, over the values here. Blocks."""
    with in_turns():
        from botocore.config import Config

        settings: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": ATTEMPTS, "mode": "standard"},
            **config,
        }
        client = (session or new_session()).client(
            "sagemaker",
            region_name=region_name,
            endpoint_url=endpoint_url or _endpoint_of_environment(),
            config=Config(**settings),
        )
    # A call may hang before it is sent, for example while botocore loads the credentials. By then
    # its caller may have told a user that it failed. botocore emits this event right before it
    # sends each attempt.
    client.meta.events.register("before-send.sagemaker", _require_caller_before_send)
    return client


def _require_caller_before_send(**_: Any) -> None:
    require_caller()


def _endpoint_of_environment() -> str | None:
    """The endpoint that the environment sets for SageMaker; None if it sets none, or if
    ``AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`` switches that off, as in botocore."""
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return os.environ.get(ENDPOINT_VARIABLE) or None

"""Answers of the local API, as boto3 gives them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def error_of(call: Any, **request: Any) -> tuple[str, str]:
    """Code and message of the error that ``call`` is answered with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]

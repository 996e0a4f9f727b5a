"""Deleting an app through real boto3: the calls that are sent, and SageMaker's errors."""

from __future__ import annotations

import traceback

import pytest

pytest.importorskip("boto3")

from scripted_sagemaker import (
    APP,
    Answer,
    Endpoint,
    error,
)

from auto_shutdown.core.model import App
from auto_shutdown.core.outcome import Result
from auto_shutdown.world import sagemaker_client
from auto_shutdown.world.sagemaker import SageMaker, SourceError

# boto3 says this about itself on the oldest Python we support.
pytestmark = pytest.mark.filterwarnings("ignore:Boto3 will no longer support")


async def test_delete_app_names_exactly_one_owner(endpoint: Endpoint, maker: SageMaker) -> None:
    assert (await maker.delete_app(APP)).result is Result.REMOVED
    request = {"AppType": "KernelGateway", "AppName": "x", "DomainId": "d-1"}
    assert endpoint.requests == [("DeleteApp", {**request, "UserProfileName": "ada"})]


@pytest.mark.parametrize("app_type", ["JupyterServer", "JupyterLab", "kernelgateway", "Novel", ""])
async def test_other_types_are_refused_without_a_call(
    app_type: str, endpoint: Endpoint, maker: SageMaker
) -> None:
    outcome = await maker.delete_app(App(app_type, "default", "InService"))
    assert (outcome.result, outcome.code) == (Result.PERMANENT, "NotCovered")
    assert endpoint.requests == []


@pytest.mark.parametrize(
    ("answer", "result", "code"),
    [
        (error("ResourceNotFound"), Result.GONE, "ResourceNotFound"),
        (error("ValidationException", "already been deleted"), Result.GONE, "ValidationException"),
        (error("ValidationException", "bad"), Result.PERMANENT, "ValidationException"),
        (error("AccessDeniedException"), Result.PERMANENT, "AccessDeniedException"),
        (error("ResourceInUse"), Result.TEMPORARY, "ResourceInUse"),
        (error("ThrottlingException"), Result.TEMPORARY, "ThrottlingException"),
        (error("InternalFailure", status=500), Result.TEMPORARY, "InternalFailure"),
        (error("ServiceUnavailable", status=503), Result.TEMPORARY, "ServiceUnavailable"),
        (Answer(502, b"<html>"), Result.TEMPORARY, "502"),
        (Answer(400, b"{}"), Result.TEMPORARY, "400"),
        (Answer(reset=True), Result.TEMPORARY, "ConnectionClosedError"),
        (error("a\nb: SECRET"), Result.TEMPORARY, "UnknownCode"),
    ],
    ids=lambda value: value.payload[:30].decode() if isinstance(value, Answer) else None,
)
async def test_failed_delete_app_has_its_code_and_remedy(
    answer: Answer, result: Result, code: str, endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.always(answer)
    outcome = await maker.delete_app(APP)
    assert (outcome.result, outcome.code) == (result, code)
    assert len(endpoint.requests) <= sagemaker_client.ATTEMPTS
    if outcome.failed:
        assert code in outcome.detail
        assert outcome.remedy
        assert "SECRET" not in f"{outcome}"


async def test_failed_call_does_not_affect_the_next_call(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    endpoint.script += [error("ExpiredTokenException", "expired")]
    assert (await maker.delete_app(APP)).code == "ExpiredTokenException"
    assert (await maker.delete_app(APP)).result is Result.REMOVED


async def test_representation_of_the_client_holds_no_secret(
    endpoint: Endpoint, maker: SageMaker
) -> None:
    """The real text of this error quotes the canonical request, session token included."""
    text = "The Canonical String should have been 'x-amz-security-token:SECRET'"
    endpoint.always(error("InvalidSignatureException", text))
    outcome = await maker.delete_app(APP)
    assert outcome.result is Result.TEMPORARY
    assert "SECRET" not in f"{outcome}"
    with pytest.raises(SourceError) as caught:
        await maker.list_apps()
    told = "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert "SECRET" not in f"{told}{caught.value.unread}"

"""The removal of the server's own app never deletes the space, and never stops an instance that
cannot start again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("boto3")

from scripted_sagemaker import Answer, Endpoint, error, own_environment, serving

from auto_shutdown.core.model import App
from auto_shutdown.core.outcome import Result
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker

SPACE = Platform(
    "studio-space",
    "d-1",
    space_name="team",
    region_name="us-west-2",
    app_type="JupyterLab",
    app_name="default",
)
INSTANCE = Platform(
    "notebook-instance",
    region_name="us-west-2",
    app_name="mine",
    resource_arn="arn:aws:sagemaker:us-west-2:1:notebook-instance/mine",
)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    own_environment(monkeypatch)
    with serving() as found:
        yield found


@pytest.fixture
def sagemaker(endpoint: Endpoint) -> Iterator[Any]:
    """``sagemaker(platform)``: an adapter that is closed in the end."""
    made: list[SageMaker] = []

    def make(platform: Platform, **more: Any) -> SageMaker:
        made.append(SageMaker(platform, endpoint.url, **more))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


def own(platform: Platform) -> App:
    assert platform.own_app is not None
    return platform.own_app


def described(status: str = "InService", **more: str) -> Answer:
    return Answer(body={"NotebookInstanceName": "mine", "NotebookInstanceStatus": status, **more})


AL2023 = {"PlatformIdentifier": "notebook-al2023-v1"}


async def test_app_of_a_space_is_deleted_by_space_name(endpoint: Endpoint, sagemaker: Any) -> None:
    outcome = await sagemaker(SPACE).delete_app(own(SPACE))
    assert outcome.result is Result.REMOVED
    request = {"DomainId": "d-1", "AppType": "JupyterLab", "AppName": "default"}
    assert endpoint.requests == [("DeleteApp", {**request, "SpaceName": "team"})]


@pytest.mark.parametrize(
    "app",
    [
        App("JupyterLab", "another", "InService", own=True),
        App("JupyterLab", "default", "InService"),
        App("JupyterServer", "default", "InService", own=True),
    ],
)
async def test_adapter_never_ends_the_app_of_another_server(
    endpoint: Endpoint, sagemaker: Any, app: App
) -> None:
    outcome = await sagemaker(SPACE).delete_app(app)
    assert (outcome.result, outcome.code) == (Result.PERMANENT, "NotCovered")
    assert endpoint.requests == []


async def test_instance_that_can_be_started_again_is_stopped(
    endpoint: Endpoint, sagemaker: Any
) -> None:
    endpoint.script.append(described(**AL2023))
    outcome = await sagemaker(INSTANCE).delete_app(own(INSTANCE))
    assert outcome.result is Result.REMOVED
    name = {"NotebookInstanceName": "mine"}
    assert endpoint.requests == [
        ("DescribeNotebookInstance", name),
        ("StopNotebookInstance", name),
    ]


@pytest.mark.parametrize(
    "platform",
    [{}, *({"PlatformIdentifier": f"notebook-{p}"} for p in ("al1-v1", "al2-v1", "al2-v3", "new"))],
)
async def test_an_instance_that_cannot_be_started_again_is_not_stopped(
    endpoint: Endpoint, sagemaker: Any, platform: dict[str, str]
) -> None:
    endpoint.script.append(described(**platform))
    outcome = await sagemaker(INSTANCE).delete_app(own(INSTANCE))
    assert (outcome.result, outcome.code) == (Result.PERMANENT, "IrreversibleStop")
    assert "allow_irreversible_stop" in outcome.remedy
    assert [operation for operation, _ in endpoint.requests] == ["DescribeNotebookInstance"]
    endpoint.reset()
    endpoint.script.append(described(**platform))
    allowed = sagemaker(INSTANCE, allow_irreversible_stop=True)
    assert (await allowed.delete_app(own(INSTANCE))).result is Result.REMOVED


TRANSITION = "Status (Stopped) not in ([InService]). Unable to transition to (Stopping)"

ANSWERS: dict[str, tuple[list[Answer], Result]] = {
    "already stopping": ([described("Stopping", **AL2023)], Result.GONE),
    "stopped meanwhile": (
        [described(**AL2023), error("ValidationException", TRANSITION)],
        Result.GONE,
    ),
    "gone": ([error("ValidationException", "RecordNotFound")], Result.GONE),
    "not allowed": ([error("AccessDeniedException", "no")], Result.PERMANENT),
    "throttled": ([error("ThrottlingException", "slow down")] * 4, Result.TEMPORARY),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_errors_of_stop_notebook_instance(
    endpoint: Endpoint, sagemaker: Any, name: str
) -> None:
    script, result = ANSWERS[name]
    endpoint.script.extend(script)
    outcome = await sagemaker(INSTANCE).delete_app(own(INSTANCE))
    assert outcome.result is result
    if result is not Result.GONE:
        assert outcome.remedy
        assert "mine" in outcome.detail


def test_platforms_with_an_own_app() -> None:
    assert replace(SPACE, kind="studio-classic").own_app is None
    assert replace(SPACE, space_name=None).own_app is None
    assert replace(SPACE, kind="local").own_app is None
    app: Any = own(INSTANCE)
    assert (app.id, app.own, app.billing) == ("NotebookInstance/mine", True, True)

"""A SageMaker call that hung before it was sent is not sent after its caller was told that it
failed: the user may have set a keep-alive since."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("boto3")

from scripted_sagemaker import ADA, APP, Endpoint
from waiting import eventually

from auto_shutdown.core.model import App
from auto_shutdown.core.outcome import Result
from auto_shutdown.world import sagemaker
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker

INSTANCE = Platform("notebook-instance", region_name="us-west-2", app_name="mine")
RUNNING = {"NotebookInstanceStatus": "InService", "PlatformIdentifier": "notebook-al2023-v1"}


class Hang:
    """A step in the thread of the calls that hangs until it is released."""

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, **_: Any) -> None:
        self.begun.set()
        self.release.wait(60)


def in_connect(maker: SageMaker, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = maker._connect

    def slow() -> Any:
        hang()
        return connect()

    monkeypatch.setattr(maker, "_connect", slow)


def in_credentials(maker: SageMaker, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore signs each request within the call of ``delete_app``."""
    maker._connect().meta.events.register("before-sign.sagemaker", hang)


def in_describe(maker: SageMaker, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke = maker._invoke

    def slow(operation: str, *arguments: Any) -> Any:
        if operation.startswith("Describe"):
            hang()
            return RUNNING
        return invoke(operation, *arguments)

    monkeypatch.setattr(maker, "_invoke", slow)


CASES = {
    "DeleteApp, while boto3 is loaded": (ADA, APP, in_connect),
    "DeleteApp, while the credentials are loaded": (ADA, APP, in_credentials),
    "StopNotebookInstance, after DescribeNotebookInstance": (INSTANCE, None, in_describe),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("in_time", [True, False])
async def test_call_that_hung_is_sent_only_while_its_caller_waits(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, name: str, in_time: bool
) -> None:
    platform, given, hangs_in = CASES[name]
    hangs: Callable[[SageMaker, Hang, pytest.MonkeyPatch], None] = hangs_in
    app = given or platform.own_app
    assert isinstance(app, App)
    maker, hang = SageMaker(platform, endpoint.url), Hang()
    hangs(maker, hang, monkeypatch)
    if in_time:
        hang.release.set()
    else:
        monkeypatch.setattr(sagemaker, "CALL_SECONDS", 0.05)
    outcome = await maker.delete_app(app)
    if in_time:
        assert outcome.result is Result.REMOVED
        assert endpoint.requests
        maker.close()
        return
    assert (outcome.result, outcome.code) == (Result.TEMPORARY, "TimedOut")
    hanging = [t for t in threading.enumerate() if t.name == "auto-shutdown-sagemaker-deletions"]
    hang.release.set()
    maker.close()
    await eventually(lambda: not any(t.is_alive() for t in hanging), "the late call returns")
    assert endpoint.requests == []

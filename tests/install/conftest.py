"""A wheel of this tree, built once, and the local SageMaker API, empty for each test."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studio_account import emptied

from auto_shutdown.install.attach import Studio
from auto_shutdown.install.calls import Calls
from auto_shutdown.local_studio.api import Api
from auto_shutdown.local_studio.resources import Apps, Delays

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    uv = Path(sys.executable).with_name("uv")
    argv = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", out, ROOT]
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    subprocess.run([*argv, "--python", sys.executable], check=True, env=environment)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    server = Api(Apps(lambda _record: None, lambda _record: None, Delays()))
    yield server
    server.close()
    assert server.invalid_answers == []


@pytest.fixture
def account(server: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The empty API server, and the environment variables with which the commands find it. The
    digest of the wheel is known, as after ``pip install`` of a wheel. Nobody can answer a
    question."""
    use_endpoint(monkeypatch, server.url)
    monkeypatch.setattr("auto_shutdown.install.options.default_digest", lambda _source: "d" * 64)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return emptied(server, False)


def use_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let the clients that the commands make call ``url``, with credentials of the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")


@pytest.fixture(scope="module")
def sagemaker(server: Api) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    session = Session("local", "local", region_name="us-west-2")
    once = Config(retries={"total_max_attempts": 1}, read_timeout=60)
    return session.client("sagemaker", endpoint_url=server.url, config=once)


@pytest.fixture
def client(account: Api, sagemaker: Any) -> Any:
    """A client of boto3 for the empty API server."""
    assert account.faults == []
    return sagemaker


@pytest.fixture(params=[False, True], ids=["update merges", "update replaces"])
def api(server: Api, request: pytest.FixtureRequest) -> Api:
    """The empty API server, in both ways in which AWS may apply an update."""
    return emptied(server, request.param)


@pytest.fixture
def api_client(api: Api, sagemaker: Any) -> Any:
    assert api.faults == []
    return sagemaker


@pytest.fixture
def studio(api_client: Any) -> Studio:
    return Studio(Calls(api_client, sleep=lambda _seconds: None))

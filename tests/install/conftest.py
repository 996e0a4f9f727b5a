"""A wheel of this tree, built once, and the local SageMaker API, empty for each test."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.local_studio.api import Api
from auto_shutdown.local_studio.operations import Operations
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


@pytest.fixture(params=[False, True], ids=["update merges", "update replaces"])
def api(server: Api, request: pytest.FixtureRequest) -> Api:
    """The server without anything in it. AWS does not document which of the two it does."""
    return emptied(server, request.param)


@pytest.fixture
def account(server: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The server without anything in it, and an administrator's shell that the commands find it
    from. The digest of the wheel is known, as after ``pip install`` of a wheel."""
    use_endpoint(monkeypatch, server.url)
    monkeypatch.setattr("auto_shutdown.install.commands.default_digest", lambda _source: "d" * 64)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return emptied(server, False)


def use_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The commands make their own clients, with credentials of the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")


def emptied(server: Api, update_replaces: bool) -> Api:
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset", b"")).close()
    server.operations = Operations(server.apps, server.region, server._find_domain)
    server.operations.update_replaces = update_replaces
    server.faults.clear()
    server.calls.clear()
    return server


@pytest.fixture(scope="module")
def sagemaker(server: Api) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    session = Session("local", "local", region_name="us-west-2")
    once = Config(retries={"total_max_attempts": 1}, read_timeout=60)
    return session.client("sagemaker", endpoint_url=server.url, config=once)


@pytest.fixture
def client(api: Api, sagemaker: Any) -> Any:
    assert api.faults == []
    return sagemaker

"""The local AWS API with one domain in it, and a workplace that works against it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from aws_account import REGION, Account

from auto_shutdown.domain.workplace import Workplace
from auto_shutdown.local_studio.api import Api
from auto_shutdown.local_studio.resources import AppRecord, Apps, Delays


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    def nothing(_record: AppRecord) -> None:
        pass

    server = Api(Apps(nothing, nothing, Delays()), REGION)
    yield server
    server.close()
    assert server.invalid_answers == []


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, server: Api, tmp_path: Any) -> None:
    """For whatever makes a session of its own."""
    given = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def session() -> Any:
    """Loading the models of AWS's services takes half a second."""
    from boto3.session import Session

    return Session()


def _reset(server: Api) -> None:
    """Empty the account. moto keeps its resources for the whole process."""
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset", b"")).close()
    server.empty()


@pytest.fixture
def account(server: Api, credentials: None, session: Any) -> Iterator[Account]:
    _reset(server)
    yield Account(server, session)
    _reset(server)


@pytest.fixture
def place(account: Account) -> Workplace:
    return Workplace(account.session, speed=1000)

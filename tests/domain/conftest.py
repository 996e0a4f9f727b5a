"""The local AWS API with one domain in it, and a connection that works against it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from aws_account import REGION, Account
from scheduled_function import BUCKET, Function
from tidy_run import Administrator

from auto_shutdown.domain import connection as connection_module
from auto_shutdown.domain.connection import Connection
from auto_shutdown.domain.pace import Pace
from auto_shutdown.domain.scheduled import handler
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
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands wait a thousandth of what the rates of AWS ask for."""
    monkeypatch.setattr(connection_module, "Pace", lambda **given: Pace(**{**given, "speed": 1000}))


@pytest.fixture
def connection(account: Account) -> Connection:
    return Connection(account.session, speed=1000)


@pytest.fixture
def admin(account: Account, connection: Connection, tmp_path: Path) -> Administrator:
    return Administrator(account, connection, tmp_path)


@pytest.fixture
def function(
    account: Account, fast: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Function:
    topic = account.make_topic()
    account.session.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    monkeypatch.setenv(handler.BUCKET, BUCKET)
    monkeypatch.setenv(handler.TOPIC, topic)
    monkeypatch.setattr(handler, "_session", None)
    monkeypatch.setattr(handler, "POLICY_FILE", tmp_path / "policy.json")
    found = Function(account, topic, tmp_path / "policy.json")

    def now() -> datetime:
        return datetime.now(timezone.utc) + found.later

    connect = connection_module.connect

    def connected(*given: Any, **more: Any) -> Any:
        connection, regions = connect(*given, **more)
        connection.now = now
        return connection, regions

    monkeypatch.setattr(handler, "connect", connected)
    return found

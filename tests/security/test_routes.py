"""Access to every route: without a token, with a wrong token, by cookie without XSRF, and with an
Authorizer that refuses. And bodies that follow the specification, or do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, settings
from plain_server import PlainServer, serving

import auto_shutdown

SPEC = yaml.safe_load((Path(auto_shutdown.__file__).parent / "api" / "rest-api.yml").read_text())
CALLS = [(path, method) for path, item in SPEC["paths"].items() for method in item]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    authorizer = {"ServerApp": {"authorizer_class": "plain_server.Refusing"}}
    with serving(tmp_path_factory.mktemp("refusing"), authorizer) as found:
        yield found


@pytest.fixture
def signed_in(server: PlainServer) -> requests.Session:
    """A browser's session: a cookie, and no token."""
    session = requests.Session()
    page = session.get(server.url + "login")
    form = {"password": server.token, "_xsrf": session.cookies["_xsrf"]}
    session.post(server.url + "login", data=form, headers={"Referer": page.url})
    assert session.get(server.url + "api/status").status_code == 200
    return session


def _send(server: PlainServer, path: str, method: str, **how: Any) -> requests.Response:
    how.setdefault("data", "{}")
    return requests.request(method, server.url + path.lstrip("/"), allow_redirects=False, **how)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "token wrong"}, {"Authorization": "Bearer "}, {"Cookie": "username=x"}],
    ids=["none", "wrong", "empty", "forged cookie"],
)
@pytest.mark.parametrize(("path", "method"), CALLS)
def test_every_route_refuses_requests_without_a_token(
    path: str, method: str, headers: dict[str, str], server: PlainServer
) -> None:
    before = server.traces()
    answer = _send(server, path, method, headers=headers)
    assert answer.status_code in (302, 403)
    assert "resources" not in answer.text
    assert server.traces() == before


@pytest.mark.parametrize(("path", "method"), [call for call in CALLS if call[1] != "get"])
def test_page_of_another_origin_cannot_use_the_cookie(
    path: str, method: str, server: PlainServer, signed_in: requests.Session
) -> None:
    before = server.traces()
    url = server.url + path.lstrip("/")
    foreign = signed_in.request(method, url, data="{}", headers={"Origin": "https://evil.example"})
    plain = signed_in.request(method, url, data="{}", headers={"Content-Type": "text/plain"})
    assert foreign.status_code in (403, 404)
    assert plain.status_code == 403
    assert server.traces() == before
    xsrf = {"X-XSRFToken": signed_in.cookies["_xsrf"], "Origin": server.url.rstrip("/")}
    query = "?" + urlencode({"kind": "all"}) if method == "delete" else ""
    assert signed_in.request(method, url + query, data="{}", headers=xsrf).status_code != 403


@pytest.mark.parametrize(("path", "method"), CALLS)
def test_authorizer_decides_on_every_route(path: str, method: str, refusing: PlainServer) -> None:
    answer = _send(refusing, path, method, headers=refusing.headers)
    assert answer.status_code == 403
    assert "message" in answer.json()


HUGE = "1" + "0" * 400
BODIES = [
    "[" * 100_000,
    '{"a":' * 50_000,
    '{"kind": NaN}',
    '{"kind": "all", "minutes": ' + HUGE + "}",
    '{"kind": "all", "minutes": -Infinity}',
    '{"kind": ["kernel"], "id": {"a": NaN}}',
    '{"kind": "kernel", "id": "\\ud800", "minutes": 1}',
    '{"kind": "kernel", "id": "\\u0000\\u001b[2J\\r\\nX: y", "minutes": 1}',
    '{"dry_run": NaN}',
    '{"idle_timeout_minutes": ' + HUGE + "}",
    '{"rules": [{"image": "\\ud800", "idle_timeout_minutes": 1e999}]}',
    '{"signal": {}, "kind": "all"}',
    '{"__proto__": {}, "constructor": 1}',
    b"\xff\xfe{\x00}\x00",
    b"\x00" * 1000,
    "9" * 5000,
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:24]))
def test_no_request_body_breaks_a_handler(body: Any, server: PlainServer) -> None:
    for path, method in CALLS:
        answer = _send(server, path, method, data=body, headers=server.headers)
        if answer.status_code == 204:
            continue
        assert answer.status_code < 500, (path, method, answer.text)
        json.loads(answer.text, parse_constant=_no_constant)
        assert answer.headers["Content-Type"].startswith("application/json")


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("query", ["kind=%ff", "kind=all&kind=x", "kind=", "id=%00", "kind[]=all"])
def test_no_query_string_breaks_a_handler(query: str, server: PlainServer) -> None:
    for path, method in CALLS:
        answer = _send(server, f"{path}?{query}&limit=%ff", method, headers=server.headers)
        assert answer.status_code < 500
        # The parts of a message hold its template, with %1. The message itself is complete.
        message = json.loads(answer.text or "{}").get("message", "")
        assert "%" not in message, "a text for a log, and its arguments"


def test_endless_body_is_not_read(server: PlainServer) -> None:
    answer = _send(
        server,
        "auto-shutdown/settings",
        "patch",
        data='{"rules": "' + "x" * 1_000_000 + '"}',
        headers=server.headers,
    )
    assert answer.status_code == 413
    assert "262144" in answer.json()["message"]


schema = schemathesis.openapi.from_path(
    Path(auto_shutdown.__file__).parent / "api" / "rest-api.yml",
)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
def test_answers_match_the_openapi_file(case: Any, server: PlainServer) -> None:
    """Bodies and queries that fit the specification, and others. No answer has status 500, and each
    answer has the form that the specification gives for its status."""
    answer = case.call(base_url=server.url.rstrip("/"), headers=server.headers)
    assert answer.status_code < 500, answer.text
    case.validate_response(
        answer,
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.response_schema_conformance,
            schemathesis.checks.content_type_conformance,
        ],
    )

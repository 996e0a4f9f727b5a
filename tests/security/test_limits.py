"""The limits of the requests of one client: rates, bodies, ids, DNS rebinding, other origins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from plain_server import PlainServer, serving

from auto_shutdown.api.base_handler import MOST_BYTES
from auto_shutdown.api.handlers import ROUTES
from auto_shutdown.api.request_values import LONGEST_ID
from auto_shutdown.api.throttle import CHECK, RATES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainServer]:
    with serving(tmp_path_factory.mktemp("server")) as found:
        yield found


def send(server: PlainServer, method: str, path: str, **how: Any) -> requests.Response:
    headers = {**server.headers, **how.pop("headers", {})}
    url = f"{server.url}auto-shutdown/{path}"
    return requests.request(method, url, headers=headers, allow_redirects=False, **how)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8888", "127.0.0.1.evil.example"])
def test_request_with_a_foreign_host_name_is_refused(
    host: str, path: str, server: PlainServer
) -> None:
    """DNS rebinding: the name of a foreign page resolves to this server, and the browser sends its
    cookies."""
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
        answer = send(server, method, path, headers={"Host": host}, data="{}")
        assert answer.status_code in (403, 405), (method, answer.status_code)
        assert "resources" not in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_other_origin_may_not_read_an_answer(origin: str, server: PlainServer) -> None:
    """A foreign page in the browser of a person who is signed in: it has the cookie, no token."""
    session = requests.Session()
    page = session.get(server.url + "login")
    form = {"password": server.token, "_xsrf": session.cookies["_xsrf"]}
    session.post(server.url + "login", data=form, headers={"Referer": page.url})
    for path in ROUTES:
        for method in ("GET", "OPTIONS"):
            answer = session.request(
                method, f"{server.url}auto-shutdown/{path}", headers={"Origin": origin}
            )
            assert answer.headers.get("Access-Control-Allow-Origin", "") == ""


def test_long_chunked_body_is_refused(server: PlainServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"rules": "'
        for _ in range(2 * MOST_BYTES // 1000):
            yield b"x" * 1000
        yield b'"}'

    answer = send(server, "PATCH", "settings", data=pieces())
    assert answer.status_code == 413
    assert answer.json()["message"] == f"The body is longer than {MOST_BYTES} bytes."


def test_chunked_body_is_read(server: PlainServer) -> None:
    answer = send(server, "PATCH", "settings", data=iter([b'{"warn_', b'minutes": 6}']))
    assert answer.status_code == 200
    assert answer.json()["user"] == {"warn_minutes": 6}


@pytest.mark.parametrize(("method", "path"), [("PUT", "keep-alive"), ("POST", "remove"),
                                              ("POST", "activity")])  # fmt: skip
def test_a_long_id_is_refused_with_its_bound(method: str, path: str, server: PlainServer) -> None:
    body = {"kind": "kernel", "id": "x" * (LONGEST_ID + 1), "minutes": 1}
    answer = send(server, method, path, data=json.dumps(body))
    assert answer.status_code == 400
    assert (answer.json()["field"], answer.json()["bound"]) == ("id", LONGEST_ID)
    assert len(answer.text) < 2 * LONGEST_ID, "it is not repeated in full"


def test_removal_of_all_resources_in_one_request_is_refused(server: PlainServer) -> None:
    answer = send(server, "POST", "remove", data='{"kind": "all"}')
    assert answer.status_code == 400
    assert answer.json()["message"] == "kind must be one of kernel, terminal, app."


def test_check_requests_in_a_loop_are_refused_and_other_requests_answered(
    server: PlainServer,
) -> None:
    answers = [send(server, "POST", "check", data="{}") for _ in range(int(RATES[CHECK][0]) + 40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 20
    assert refused[0].json()["message"] == "Too many requests from this client."
    assert refused[0].json()["remedy"].startswith("Ask again in ")
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert send(server, "GET", "status").status_code == 200
    assert send(server, "PUT", "keep-alive", data='{"kind": "all", "minutes": 1}').ok

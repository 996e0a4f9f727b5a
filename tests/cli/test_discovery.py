"""Which of several servers a command asks, and how --url and --port choose it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import TOKEN, closed_port, error_of_find, list_server, serving

from auto_shutdown.api.discovery import find
from auto_shutdown.api.server_error import ExitCode


def test_only_server_with_the_extension_is_chosen(runtime: Path) -> None:
    with serving() as other, serving() as ours:
        other.status, other.body = 404, b""
        for url in (f"http://127.0.0.1:{closed_port()}/", other.url, ours.url):
            list_server(runtime, url)
        assert find().server.url == ours.url


def test_two_servers_with_the_extension_are_a_usage_error(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as one, serving() as two:
        list_server(runtime, one.url)
        list_server(runtime, two.url)
        error = error_of_find()
        assert error.code is ExitCode.USAGE
        assert one.url in error.remedy
        assert two.url in error.remedy
        assert find(port=two.port).server.url == two.url
        assert find(url=one.url.replace("127.0.0.1", "localhost")).server.token == TOKEN
        # In a terminal of one of them there is nothing to guess.
        monkeypatch.setenv("JUPYTER_SERVER_URL", two.url.rstrip("/"))
        assert find().server.url == two.url


def test_error_when_no_server_has_the_extension(runtime: Path) -> None:
    with serving() as one, serving() as two:
        for fake in (one, two):
            fake.status = 404
            list_server(runtime, fake.url)
        assert "none of them with auto_shutdown" in str(error_of_find())


def test_a_port_without_a_server_is_an_error_that_lists_the_servers(runtime: Path) -> None:
    with serving() as one:
        list_server(runtime, one.url)
        error = error_of_find(port=closed_port())
        assert (error.code, one.url in error.remedy) == (ExitCode.NO_SERVER, True)


def test_unlisted_server_is_reached_by_its_url(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as one:
        monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
        found = find(url=one.url + "jupyter/default")
        found.request("GET", "status")
        assert one.requests[0]["path"] == "/jupyter/default/auto-shutdown/status"
        assert one.requests[0]["Authorization"] == f"token {TOKEN}"


def test_token_in_the_address_that_jupyter_server_list_prints_is_used(runtime: Path) -> None:
    with serving() as one:
        found = find(url=f"{one.url}jupyter/default?token={TOKEN}")
        found.request("GET", "status")
        assert found.server.url == f"{one.url}jupyter/default/"
        assert one.requests[0]["path"] == "/jupyter/default/auto-shutdown/status"
        assert one.requests[0]["Authorization"] == f"token {TOKEN}"


@pytest.mark.parametrize(
    "url", ["localhost:8888", "http://", "ftp://x/", "http://x:y/", "http://x:99999/", "http://[x"]
)
def test_a_url_that_is_no_address_is_a_usage_error(url: str, runtime: Path) -> None:
    error = error_of_find(url=f"{url}?token={TOKEN}")
    assert (error.code, url in str(error)) == (ExitCode.USAGE, True)
    assert "http://localhost:8888/" in error.remedy

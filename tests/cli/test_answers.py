"""Each answer of a server that is not the extension's report has an error and an exit code."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_server import TOKEN, closed_port, error_of_find, list_server, serving

from auto_shutdown.api.client import Client, Server
from auto_shutdown.api.discovery import find
from auto_shutdown.api.server_error import ExitCode, ServerError


def test_error_without_a_server_names_the_command_to_start_one(runtime: Path) -> None:
    error = error_of_find()
    assert error.code is ExitCode.NO_SERVER
    assert "jupyter lab" in error.remedy


ANSWERS: list[tuple[int, bytes, ExitCode, str]] = [
    (200, b"<html>", ExitCode.NO_EXTENSION, "does not have auto_shutdown"),
    (200, b"[]", ExitCode.NO_EXTENSION, "does not have auto_shutdown"),
    (404, b"<html>", ExitCode.NO_EXTENSION, "does not have auto_shutdown"),
    (405, b"", ExitCode.NO_EXTENSION, "does not have auto_shutdown"),
    (404, b'{"message": "no kernel x", "field": "id"}', ExitCode.TROUBLE, "no kernel x"),
    (503, b'{"message": "it is starting"}', ExitCode.NO_EXTENSION, "starting"),
    (
        503,
        b'{"message": "x is no number", "remedy": "Mend it."}',
        ExitCode.NO_EXTENSION,
        "x is no number",
    ),
    (429, b'{"message": "too many checks"}', ExitCode.TROUBLE, "too many checks"),
    (503, b"<html>", ExitCode.NO_SERVER, "(503)"),
    (503, b'{"message": "unread", "field": "id"}', ExitCode.TROUBLE, "unread"),
    (403, b'{"message": "Forbidden"}', ExitCode.REFUSED, "refuses access"),
    (403, b'{"message": "locked", "field": "dry_run"}', ExitCode.TROUBLE, "locked"),
    (401, b"", ExitCode.REFUSED, "refuses access"),
    (302, b"", ExitCode.REFUSED, "refuses access"),
    (507, b'{"message": "disk full"}', ExitCode.TROUBLE, "disk full"),
    (500, b"<html>", ExitCode.NO_SERVER, "(500)"),
]


@pytest.mark.parametrize(("status", "body", "code", "message"), ANSWERS, ids=str)
def test_each_answer_has_its_exit_code(
    status: int, body: bytes, code: ExitCode, message: str, runtime: Path
) -> None:
    with serving() as fake:
        fake.status, fake.body = status, body
        list_server(runtime, fake.url)
        error = error_of_find()
    assert (error.code, message in str(error)) == (code, True)


def test_a_server_that_no_longer_listens_is_not_found(runtime: Path) -> None:
    list_server(runtime, f"http://127.0.0.1:{closed_port()}/")
    assert error_of_find().code is ExitCode.NO_SERVER


def test_server_that_does_not_answer_in_time_is_an_error(runtime: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server(f"http://127.0.0.1:{silent.getsockname()[1]}/", TOKEN)
        with pytest.raises(ServerError, match="does not answer in time"):
            Client(server).request("GET", "status", seconds=0.05)


def test_error_of_a_password_protected_server_names_the_password(runtime: Path) -> None:
    with serving() as fake:
        fake.status = 302
        list_server(runtime, fake.url, token="")
        remedy = error_of_find().remedy
    assert "it probably wants a password. At a terminal this command asks for it." in remedy
    assert "set a token beside the password (c.IdentityProvider.token" in remedy
    assert "Use the account that started it" not in remedy


def test_error_of_a_wrong_token_names_jupyter_token(runtime: Path) -> None:
    with serving() as fake:
        fake.status = 403
        list_server(runtime, fake.url)
        assert "Put its current token into JUPYTER_TOKEN" in error_of_find().remedy


def test_redirect_does_not_send_the_token_to_another_server(runtime: Path) -> None:
    with serving() as fake, serving() as thief:
        fake.status, fake.headers = 302, {"Location": thief.url}
        list_server(runtime, fake.url)
        assert error_of_find().code is ExitCode.REFUSED
        assert fake.requests[0]["Authorization"] == f"token {TOKEN}"
        assert thief.requests == []


def test_token_is_in_no_representation() -> None:
    server = Server("http://localhost/", TOKEN)
    assert TOKEN not in repr(server) + repr(Client(server)) + str(vars(Client(server)))


def test_runtime_directory_that_cannot_be_read_is_reported(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("auto_shutdown.api.runtime_files.os.listdir", refuse)
    error = error_of_find()
    assert (error.code, f"{runtime} cannot be read" in str(error)) == (ExitCode.NO_SERVER, True)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10**9)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_pipe, "it is a named pipe"),
        (_link_to_a_device, "it is a device"),
        (Path.mkdir, "it is a directory"),
        (_huge, "it is longer than"),
    ],
)
def test_irregular_runtime_file_hides_no_server_and_is_named(
    make: Callable[[Path], object], name: str, runtime: Path
) -> None:
    make(runtime / "jpserver-odd.json")
    error = error_of_find()
    assert error.code is ExitCode.NO_SERVER
    assert f"{runtime / 'jpserver-odd.json'} cannot be read: {name}" in str(error)
    with serving() as fake:
        list_server(runtime, fake.url)
        told: list[str] = []
        assert find(tell=told.append).server.url == fake.url
        assert f"cannot be read: {name}" in told[0]
        assert find(port=fake.port).server.url == fake.url
        error = error_of_find()  # the file may be that of the server that the user means
        assert (error.code, fake.url in error.remedy) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "5",
        '{"pid": "1", "url": "http://x/"}',
        '{"pid": 1e30, "url": "http://x/"}',
        '{"pid": 1, "url": 1}',
        "\udcff",
        "[" * 9999,
    ],
)
def test_runtime_file_without_a_server_in_it_is_left_out(content: str, runtime: Path) -> None:
    (runtime / "jpserver-odd.json").write_text(content, errors="surrogateescape")
    with serving() as fake:
        list_server(runtime, fake.url)
        assert find().server.url == fake.url


@pytest.mark.parametrize(
    ("bound", "sentence"),
    [
        ("1440.0", "The limit is 1440."),
        ('{"min": 10, "max": 480}', "Allowed: 10 to 480."),
        ('"enabled, dry_run"', "Allowed: enabled, dry_run."),
    ],
)
def test_remedy_of_a_refused_value_names_the_accepted_ones(
    bound: str, sentence: str, runtime: Path
) -> None:
    with serving() as fake:
        fake.status = 400
        fake.body = f'{{"message": "no", "field": "x", "bound": {bound}}}'.encode()
        list_server(runtime, fake.url)
        assert error_of_find().remedy == sentence

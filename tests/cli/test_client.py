"""The client against real servers: tokens, passwords, base URLs, and no extension."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from fake_server import TOKEN
from jupyter_server.auth import passwd
from jupyter_server.auth.authorizer import AllowAllAuthorizer

from auto_shutdown.api import client
from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.server_error import ExitCode
from auto_shutdown.cli import options


class Nobody(AllowAllAuthorizer):
    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "auto_shutdown"


async def test_error_of_a_server_whose_extension_is_starting(command: Any, server: Any) -> None:
    app = await server()
    controller = app.web_app.settings.pop(CONTROLLER)
    result = await command("status")
    assert (result.code, "starting" in result.err) == (ExitCode.NO_EXTENSION, True)
    app.web_app.settings[CONTROLLER] = controller


async def test_refusal_by_the_authorizer_is_exit_code_refused(command: Any, server: Any) -> None:
    app = await server()
    app.web_app.settings["authorizer"] = Nobody(parent=app)
    assert (await command("status")).code == ExitCode.REFUSED


async def test_unknown_token_is_exit_code_refused(
    command: Any, server: Any, jp_serverapp: Any
) -> None:
    await server()
    with open(jp_serverapp.info_file) as file:  # noqa: ASYNC230
        description = json.load(file)
    with open(jp_serverapp.info_file, "w") as file:  # noqa: ASYNC230
        json.dump({**description, "token": TOKEN}, file)
    result = await command("settings", "dry_run=true")
    assert result.code == ExitCode.REFUSED
    assert TOKEN not in result.out + result.err


class TestWithoutAToken:
    """As in Studio: no token, XSRF protection on, the server at ``/jupyter/default``."""

    @pytest.fixture
    def jp_base_url(self) -> str:
        return "/jupyter/default/"

    async def test_commands_work_without_a_token_and_with_xsrf_protection(
        self, command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = await server()
        app.identity_provider.token = ""  # the fixtures insist on one
        app.write_server_info_file()
        assert (await command("status")).code == 0
        assert (await command("check")).code == 0
        assert (await command("settings", "warn_minutes=3")).code == 0
        assert (await command("keep-alive", "all")).code == 0
        assert (await command("keep-alive", "all", "--release")).code == 0
        # The pair of cookie and header is the reason why this works.
        monkeypatch.setattr(client.secrets, "token_hex", lambda _bytes: "")
        assert (await command("check")).code == ExitCode.REFUSED


class TestWithAPassword:
    """The result of ``jupyter server password``: a hashed password, and no token."""

    async def started(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        app = await server()
        app.identity_provider.token = ""
        app.identity_provider.hashed_password = passwd("right", "sha256")
        app.web_app.settings["cookie_secret"] = b"of this test alone"
        app.write_server_info_file()
        monkeypatch.setattr(options.sys.stdin, "isatty", lambda: True)

    async def test_password_is_asked_once_at_a_terminal(
        self, command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.started(server, monkeypatch)
        prompts: list[str] = []
        monkeypatch.setattr(options, "getpass", lambda text: prompts.append(text) or "right")
        result = await command("settings", "warn_minutes=3", "--json")
        assert (result.code, result.json["user"]) == (0, {"warn_minutes": 3})
        (prompt,) = prompts
        assert prompt.startswith("Password of the server at http://")
        assert (await command("keep-alive", "all")).code == 0
        assert len(prompts) == 2  # one for each command, though it asks the server twice

    async def test_wrong_password_is_refused(
        self, command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.started(server, monkeypatch)
        monkeypatch.setattr(options, "getpass", lambda _text: "wrong")
        result = await command("status")
        assert (result.code, result.out) == (ExitCode.REFUSED, "")
        assert "does not accept this password" in result.err
        assert "wrong" not in result.err

    async def test_without_a_terminal_the_error_names_the_remedy_for_a_password(
        self, command: Any, server: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.started(server, monkeypatch)
        monkeypatch.setattr(options.sys.stdin, "isatty", lambda: False)
        result = await command("status")
        assert result.code == ExitCode.REFUSED
        assert "set a token beside the password" in result.err


class TestBelowABaseUrlWithLetters:
    """JupyterHub passes a user's name percent-encoded. Only letters of Latin-1 also work without
    the encoding."""

    @pytest.fixture(
        params=["/münchen/", "/%C3%BCbung/", "/%EC%82%AC%EC%9A%A9%EC%9E%90/", "/a%20b/"]
    )
    def jp_base_url(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_server_below_a_base_url_with_letters_is_reached(
        self, command: Any, server: Any
    ) -> None:
        app = await server()
        assert (await command("status")).code == 0
        assert (await command("keep-alive", "all")).code == 0
        # A person copies the address from a browser, which may show the letters themselves.
        for url in (app.connection_url, unquote(app.connection_url)):
            answered = await command("status", "--url", url)
            assert answered.code == 0, answered.err


class TestBelowABaseUrlThatNoRequestCanCarry:
    @pytest.fixture
    def jp_base_url(self) -> str:
        return "/사용자/"

    async def test_error_of_an_impossible_base_url_names_the_one_that_works(
        self, command: Any, server: Any
    ) -> None:
        await server()
        answered = await command("status")
        assert answered.code == ExitCode.NO_SERVER
        assert "carries in percent-encoded form only" in answered.err
        assert "--ServerApp.base_url=/%EC%82%AC%EC%9A%A9%EC%9E%90/" in answered.err


class TestWithoutTheExtension:
    @pytest.fixture
    def jp_server_config(self) -> dict[str, Any]:
        return {"ServerApp": {"jpserver_extensions": {}}}

    async def test_error_of_a_server_without_the_extension_names_the_remedy(
        self, command: Any, server: Any, jp_serverapp: Any
    ) -> None:
        jp_serverapp.web_app.settings[CONTROLLER] = None  # `server` does not wait for it
        await server()
        result = await command("status")
        assert result.code == ExitCode.NO_EXTENSION
        assert "restart the server" in result.err

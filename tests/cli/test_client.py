"""Finding the server, and every way in which it may not answer."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from jupyter_server.auth import IdentityProvider, passwd
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.serverapp import ServerApp

from auto_shutdown.api import client, connection
from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.client import Client, ExitCode, Server, ServerError, find
from auto_shutdown.cli import options

TOKEN = "not-to-be-seen-anywhere"


@dataclass
class Stranger:
    """A server that answers as told, and notes what it was sent."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"health": {}}'
    headers: dict[str, str] = field(default_factory=dict)
    got: list[dict[str, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])


def _handler(stranger: Stranger) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stranger.got.append({"path": self.path, **dict(self.headers)})
            self.send_response(stranger.status)
            for name, value in stranger.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(stranger.body)))
            self.end_headers()
            self.wfile.write(stranger.body)

        def address_string(self) -> str:
            return "here"

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Stranger]:
    stranger = Stranger()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stranger))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    stranger.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stranger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runtime directory of its own, and nothing in the environment that names a server."""
    path = tmp_path / "runtime"
    path.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(path))
    for name in ("JUPYTER_SERVER_URL", "JUPYTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return path


def list_server(runtime: Path, url: str, **more: Any) -> None:
    """Write the runtime file that the server at ``url`` would have written."""
    description = {
        "url": url,
        "token": TOKEN,
        "pid": os.getpid(),
        "password": False,
        "version": "2.0",
    }
    number = len(list(runtime.iterdir()))
    (runtime / f"jpserver-{number}.json").write_text(json.dumps({**description, **more}))


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def error_of_find(*, url: str | None = None, port: int | None = None) -> ServerError:
    with pytest.raises(ServerError) as caught:
        find(url, port).request("GET", "status")
    assert TOKEN not in f"{caught.value} {caught.value.remedy}"
    return caught.value


# -- answers that are none -------------------------------------------------------------------


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
    with serving() as stranger:
        stranger.status, stranger.body = status, body
        list_server(runtime, stranger.url)
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
    with serving() as stranger:
        stranger.status = 302
        list_server(runtime, stranger.url, token="")
        remedy = error_of_find().remedy
    assert "it probably wants a password. At a terminal this command asks for it." in remedy
    assert "set a token beside the password (c.IdentityProvider.token" in remedy
    assert "Use the account that started it" not in remedy


def test_error_of_a_wrong_token_names_jupyter_token(runtime: Path) -> None:
    with serving() as stranger:
        stranger.status = 403
        list_server(runtime, stranger.url)
        assert error_of_find().remedy.startswith(
            "Its token is another one: put it into JUPYTER_TOKEN"
        )


def test_redirect_does_not_send_the_token_to_another_server(runtime: Path) -> None:
    with serving() as stranger, serving() as thief:
        stranger.status, stranger.headers = 302, {"Location": thief.url}
        list_server(runtime, stranger.url)
        assert error_of_find().code is ExitCode.REFUSED
        assert stranger.got[0]["Authorization"] == f"token {TOKEN}"
        assert thief.got == []


def test_token_is_in_no_representation() -> None:
    server = Server("http://localhost/", TOKEN)
    assert TOKEN not in repr(server) + repr(Client(server)) + str(vars(Client(server)))


def test_runtime_files_that_cannot_be_read_are_reported(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Any:
        raise PermissionError(13, "Permission denied", "jpserver-1.json")

    monkeypatch.setattr("jupyter_server.serverapp.list_running_servers", refuse)
    error = error_of_find()
    assert (error.code, "jpserver-1.json" in str(error)) == (ExitCode.NO_SERVER, True)


# -- several servers -------------------------------------------------------------------------


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
        for stranger in (one, two):
            stranger.status = 404
            list_server(runtime, stranger.url)
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
        assert one.got[0]["path"] == "/jupyter/default/auto-shutdown/status"
        assert one.got[0]["Authorization"] == f"token {TOKEN}"


# -- ways to it ------------------------------------------------------------------------------


def test_client_ignores_proxy_variables(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as one:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        list_server(runtime, one.url)
        assert find().request("GET", "status") == {"health": {}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """One that signed itself, as on a notebook instance."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl")
    place = tmp_path_factory.mktemp("tls")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    files = ["-keyout", str(place / "key"), "-out", str(place / "cert")]
    subprocess.run([*made, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert", place / "key")
    return context


def test_self_signed_certificate_is_accepted_from_this_machine_only(
    certificate: ssl.SSLContext, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(certificate) as one:
        list_server(runtime, one.url)
        assert find().request("GET", "status") == {"health": {}}
        monkeypatch.setattr(connection, "is_this_machine", lambda _host: False)
        error = error_of_find()
    assert (error.code, "not trusted" in str(error)) == (ExitCode.NO_SERVER, True)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.2", True),
        ("::1", True),
        (socket.gethostname(), True),
        ("no-such-host.invalid", False),
        ("0.0.0.0", True),
        ("192.0.2.1", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, here: bool) -> None:
    assert connection.is_this_machine(host) is here


@contextmanager
def listening(address: str) -> Iterator[Stranger]:
    """A server on ``address`` only, as ``--ip`` makes one."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    stranger = Stranger()
    with Server((address, 0), _handler(stranger)) as server:
        stranger.url = f"http://server:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield stranger
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ip", ["::1", "127.0.0.2", "::", "0.0.0.0", socket.gethostname(), ""])
def test_server_is_reached_at_the_address_that_it_listens_on(ip: str, runtime: Path) -> None:
    """The description is Jupyter's own, for a server that was started with ``--ip``."""
    address = socket.getaddrinfo(ip or "127.0.0.1", 0)[0][4][0]
    with listening(str(address)) as stranger:
        app = ServerApp(ip=ip, port=stranger.port, log_level="CRITICAL")
        app.identity_provider = IdentityProvider(parent=app, token=TOKEN)
        list_server(runtime, **app.server_info())
        assert find().request("GET", "status") == {"health": {}}
        assert stranger.got[0]["Authorization"] == f"token {TOKEN}"
        everywhere = ip in ("::", "0.0.0.0", "")
        assert urlsplit(find().server.url).hostname == ("localhost" if everywhere else ip)


def test_server_on_a_unix_socket_is_reached(runtime: Path, tmp_path: Path) -> None:
    class Unix(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    stranger = Stranger()
    path = str(tmp_path / "s")
    with Unix(path, _handler(stranger)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        list_server(runtime, f"http+unix://{quote(path, safe='')}/")
        assert find().request("GET", "status") == {"health": {}}
        assert stranger.got[0]["path"] == "/auto-shutdown/status"
        server.shutdown()
        thread.join()


# -- real servers ----------------------------------------------------------------------------


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
        # And it is the pair of cookie and header that does it.
        monkeypatch.setattr(client.secrets, "token_hex", lambda _bytes: "")
        assert (await command("check")).code == ExitCode.REFUSED


class TestWithAPassword:
    """As ``jupyter server password`` leaves it: a hashed password, and no token."""

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
    """As JupyterHub passes it for a user's name: percent-encoded. Only letters of Latin-1 also work
    as they are."""

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

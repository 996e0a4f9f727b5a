"""How the client connects: by host, by IP address, by socket file, with TLS, without a proxy."""

from __future__ import annotations

import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from fake_server import (
    TOKEN,
    FakeServer,
    closed_port,
    error_of_find,
    handler_of,
    list_server,
    listening,
    serving,
)
from jupyter_server.auth import IdentityProvider
from jupyter_server.serverapp import ServerApp

from auto_shutdown.api import connection
from auto_shutdown.api.discovery import find
from auto_shutdown.api.server_error import ExitCode


def test_client_ignores_proxy_variables(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as one:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
        list_server(runtime, one.url)
        assert find().request("GET", "status") == {"health": {}}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A self-signed certificate, as on a notebook instance."""
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


@pytest.mark.parametrize("ip", ["::1", "127.0.0.2", "::", "0.0.0.0", socket.gethostname(), ""])
def test_server_is_reached_at_the_address_that_it_listens_on(ip: str, runtime: Path) -> None:
    """Jupyter itself wrote this description, for a server that was started with ``--ip``."""
    address = socket.getaddrinfo(ip or "127.0.0.1", 0)[0][4][0]
    with listening(str(address)) as fake:
        app = ServerApp(ip=ip, port=fake.port, log_level="CRITICAL")
        app.identity_provider = IdentityProvider(parent=app, token=TOKEN)
        list_server(runtime, **app.server_info())
        assert find().request("GET", "status") == {"health": {}}
        assert fake.requests[0]["Authorization"] == f"token {TOKEN}"
        everywhere = ip in ("::", "0.0.0.0", "")
        assert urlsplit(find().server.url).hostname == ("localhost" if everywhere else ip)


def test_server_on_a_unix_socket_is_reached(runtime: Path, tmp_path: Path) -> None:
    class Unix(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    fake = FakeServer()
    path = str(tmp_path / "s")
    with Unix(path, handler_of(fake)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        list_server(runtime, f"http+unix://{quote(path, safe='')}/")
        assert find().request("GET", "status") == {"health": {}}
        assert fake.requests[0]["path"] == "/auto-shutdown/status"
        server.shutdown()
        thread.join()

"""A server that is not Jupyter: it gives the answers that a test chooses, and records the
requests."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.api.discovery import find
from auto_shutdown.api.server_error import ServerError

TOKEN = "not-to-be-seen-anywhere"


@dataclass
class FakeServer:
    """The answer that a test chooses, and the headers and the path of each request."""

    url: str = ""
    status: int = 200
    body: bytes = b'{"health": {}}'
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])


def handler_of(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.requests.append({"path": self.path, **dict(self.headers)})
            self.send_response(fake.status)
            for name, value in fake.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(fake.body)))
            self.end_headers()
            self.wfile.write(fake.body)

        def address_string(self) -> str:
            return "here"

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    fake = FakeServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(fake))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    fake.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty runtime directory, and an environment that names no server."""
    path = tmp_path / "runtime"
    path.mkdir()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(path))
    for name in ("JUPYTER_SERVER_URL", "JPY_PARENT_PID", "JUPYTER_TOKEN"):
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


@contextmanager
def listening(address: str) -> Iterator[FakeServer]:
    """A server on ``address`` only, as ``--ip`` makes one."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    fake = FakeServer()
    with Server((address, 0), handler_of(fake)) as server:
        fake.url = f"http://server:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


def error_of_find(*, url: str | None = None, port: int | None = None) -> ServerError:
    with pytest.raises(ServerError) as caught:
        find(url, port).request("GET", "status")
    assert TOKEN not in f"{caught.value} {caught.value.remedy}"
    return caught.value

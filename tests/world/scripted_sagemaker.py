"""An HTTP endpoint with scripted answers, also with answers that no correct service would give."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from auto_shutdown.core.model import App, Unread
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker, SourceError

ADA = Platform("studio-classic", "d-1", "ada", region_name="us-west-2", account_id="1")
TEAM = replace(ADA, user_profile_name=None, space_name="team")
#: What is asked for, and how ListApps tells of it.
APP = App("KernelGateway", "x", "InService")
RECORD = {
    "DomainId": "d-1",
    "UserProfileName": "ada",
    "AppType": "KernelGateway",
    "AppName": "x",
    "Status": "InService",
    "CreationTime": 1700000000.0,
}
IN_SPACE = {**{k: v for k, v in RECORD.items() if k != "UserProfileName"}, "SpaceName": "team"}


@dataclass
class Answer:
    """One answer. ``body``: bytes are sent unchanged, any other value as JSON. ``held`` waits for
    :meth:`Endpoint.release`; ``reset`` cuts the connection instead of answering."""

    status: int = 200
    body: Any = b""
    held: bool = False
    reset: bool = False

    @property
    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def error(code: str, message: str = "", status: int = 400) -> Answer:
    """An error as SageMaker puts it on the wire."""
    return Answer(status, {"__type": code, "message": message})


@dataclass
class Endpoint:
    """An endpoint that sends each answer of ``script`` once, and then always ``otherwise``."""

    url: str = ""
    script: deque[Answer] = field(default_factory=deque)
    otherwise: Answer = field(default_factory=Answer)
    #: What arrived: the operation and its request.
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: Set by the first request.
    asked: threading.Event = field(default_factory=threading.Event)
    _gate: threading.Event = field(default_factory=threading.Event)

    def always(self, answer: Answer) -> None:
        self.otherwise = answer

    def release(self) -> None:
        """Let held answers go."""
        self._gate.set()

    def reset(self) -> None:
        self.release()
        self._gate = threading.Event()
        self.script.clear()
        self.otherwise = Answer()
        self.requests.clear()

    def take(self, operation: str, request: dict[str, Any]) -> Answer:
        self.requests.append((operation, request))
        self.asked.set()
        answer = self.script.popleft() if self.script else self.otherwise
        if answer.held:
            self._gate.wait(120)
        return answer


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            operation = str(self.headers["X-Amz-Target"]).partition(".")[2]
            answer = endpoint.take(operation, request)
            if answer.reset:
                hard = struct.pack("ii", 1, 0)  # close with RST
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
                self.close_connection = True
                return
            try:
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(answer.payload)))
                self.end_headers()
                self.wfile.write(answer.payload)
            except OSError:
                pass  # who asked has gone

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving() -> Iterator[Endpoint]:
    """The endpoint, as long as the context lasts."""
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.release()
        server.shutdown()
        server.server_close()
        thread.join()


def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set invalid credentials, and hide the configuration of the user who runs the tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SAGEMAKER"):
        monkeypatch.delenv(name, raising=False)


def listing(*records: Any, **more: Any) -> Answer:
    return Answer(body={"Apps": list(records), **more})


async def unread_of(maker: SageMaker) -> Unread:
    with pytest.raises(SourceError) as caught:
        await maker.list_apps()
    assert caught.value.unread.source == "apps"
    assert caught.value.unread.remedy
    return caught.value.unread

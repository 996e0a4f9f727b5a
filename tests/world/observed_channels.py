"""Messages of a kernel in each wire format, and a websocket handler of a host that is observed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from auto_shutdown.world.websocket_handlers import WebsocketHandlers
from auto_shutdown.world.websockets import WebsocketClients

try:
    from jupyter_server.services.kernels.connection.base import (
        serialize_binary_message,
        serialize_msg_to_ws_v1,
    )
except ImportError:  # jupyter_server 2.0.0rc3
    from jupyter_server.base.zmqhandlers import serialize_binary_message, serialize_msg_to_ws_v1

Form = Callable[..., Any]


def message(kind: str, parent: str = "", channel: str = "shell", **content: Any) -> dict[str, Any]:
    parent_header = {"msg_id": parent, "msg_type": "execute_request"} if parent else {}
    return {
        "header": {"msg_id": "1", "msg_type": kind},
        "parent_header": parent_header,
        "metadata": {},
        "content": content,
        "buffers": [],
        "channel": channel,
    }


def as_text(whole: dict[str, Any]) -> str:
    return json.dumps({**whole, "buffers": []})


def as_v1(whole: dict[str, Any]) -> bytes:
    names = ("header", "parent_header", "metadata", "content")
    parts = [json.dumps(whole[name]).encode() for name in names]
    packed: bytes = serialize_msg_to_ws_v1([*parts, *whole["buffers"]], whole["channel"])
    return packed


def as_text_with_buffers(whole: dict[str, Any]) -> bytes:
    packed: bytes = serialize_binary_message({**whole, "buffers": [b"a buffer"]})
    return packed


def as_bytes(whole: dict[str, Any]) -> bytes:
    return as_text(whole).encode()


FORMS = [as_text, as_v1, as_text_with_buffers, as_bytes]


class Channels(WebSocketHandler):
    """A minimal websocket handler of a host."""

    kernel_id = "k"

    def __init__(self) -> None:
        self.passed: list[Any] = []

    def open(self, *_: Any) -> str:  # type: ignore[override]
        return "opened"

    def on_close(self) -> None:
        self.passed.append("closed")

    def write_message(self, message: Any, binary: bool = False) -> Any:
        self.passed.append(message)
        return "out"

    def on_message(self, message: Any) -> Any:
        self.passed.append(message)
        return "in"


class Terminal(WebSocketHandler):
    pass


def observed(clients: WebsocketClients) -> Channels:
    app = Application(
        [(r"/api/kernels/(\w+)/channels", Channels), (r"/terminals/websocket", Terminal)]
    )
    WebsocketHandlers(clients).watch(app)
    rules = app.wildcard_router.rules
    assert rules[1].target is Terminal
    assert rules[0].target is not Channels
    made: Channels = rules[0].target()
    made.open()
    return made

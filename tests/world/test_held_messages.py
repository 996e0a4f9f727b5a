"""The extension holds the messages of clients while it shuts their kernel down."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from observed_channels import (
    Channels,
    as_text,
    message,
)
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

from auto_shutdown.world import websockets
from auto_shutdown.world.kernel_usage import ask
from auto_shutdown.world.websocket_handlers import WebsocketHandlers
from auto_shutdown.world.websockets import WebsocketClients


def test_held_back_requests_are_forwarded_in_order_or_not_at_all(
    clients: WebsocketClients, channel: Channels
) -> None:
    with clients.held_back("k") as held:
        channel.on_message("1")
        channel.on_message("2")
        assert channel.passed == []
        assert channel.write_message("{}") == "out", "what a kernel says passes"
    assert channel.passed == ["{}", "1", "2"]
    with clients.held_back("k") as held:
        channel.on_message(as_text(message("execute_request")))
        held.clear()
    assert channel.passed == ["{}", "1", "2"]
    assert clients.request_sent_at("k") is not None
    with clients.held_back("other"):
        assert channel.on_message("3") == "in"


@pytest.mark.parametrize("bound", ["MOST_HELD", "MOST_HELD_BYTES"])
async def test_a_connection_waits_when_too_many_messages_are_held_back(
    bound: str, clients: WebsocketClients, channel: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tornado reads the next message of a connection when the coroutine of its handler has
    ended."""
    monkeypatch.setattr(websockets, bound, 3)
    with clients.held_back("k"):
        assert [channel.on_message(text) for text in "12"] == [None, None]
        third, fourth = channel.on_message("3"), channel.on_message("4")
        assert not third.done()
    await asyncio.wait_for(asyncio.gather(third, fourth), 60)
    assert channel.passed == ["1", "2", "3", "4"]


async def test_held_messages_reach_the_kernel_in_order_if_handlers_forward_them_in_coroutines(
    clients: WebsocketClients,
) -> None:
    """A message that arrives while the held ones are forwarded waits behind them."""
    passed: list[str] = []
    go_on, done = asyncio.Event(), asyncio.Event()

    async def slowly(name: str) -> None:
        await go_on.wait()
        passed.append(name)

    async def fails() -> None:
        raise OSError("its client has left")

    with clients.held_back("k"):
        for forward in (lambda: slowly("1"), fails, lambda: passed.append("2")):
            clients.pass_on("k", "", forward)
    clients.pass_on("k", "", lambda: slowly("3"))
    clients.pass_on("k", "", done.set)
    await asyncio.sleep(0)
    assert passed == []
    go_on.set()
    await asyncio.wait_for(done.wait(), 60)
    assert passed == ["1", "2", "3"]
    assert clients.pass_on("k", "", lambda: "passed") == "passed"


async def test_held_message_that_is_never_sent_delays_the_others_for_a_limited_time(
    clients: WebsocketClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websockets, "FORWARD_SECONDS", 0.01)
    done = asyncio.Event()
    with clients.held_back("k"):
        clients.pass_on("k", "", asyncio.Event().wait)
        clients.pass_on("k", "", done.set)
    await asyncio.wait_for(done.wait(), 60)


async def test_second_shutdown_holds_messages_that_the_first_has_not_forwarded_yet(
    clients: WebsocketClients,
) -> None:
    passed: list[str] = []
    sent = asyncio.Event()
    with clients.held_back("k"):
        clients.pass_on("k", "", sent.wait)
        clients.pass_on("k", "", lambda: passed.append("1"))
    with clients.held_back("k"):
        clients.pass_on("k", "", lambda: passed.append("2"))
    assert passed == [], "the first message is still being sent"
    with clients.held_back("k"):
        sent.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert passed == []
    assert passed == ["1", "2"]


class EchoChannels(WebSocketHandler):
    """Answers each query like a kernel whose shell is free."""

    kernel_id = "k"

    def on_message(self, text: Any) -> None:
        asked = json.loads(text)
        for kind, content in (
            ("kernel_info_reply", {"implementation": "ipython"}),
            ("status", {"execution_state": "idle"}),
        ):
            header = {"msg_id": kind, "msg_type": kind}
            parts = {"header": header, "parent_header": asked["header"], "content": content}
            self.write_message(json.dumps(parts))


async def test_own_question_through_this_server_is_neither_held_back_nor_a_client(
    clients: WebsocketClients,
) -> None:
    """If a manager does not name the gateway of its kernel, the extension can only query the kernel
    through this server."""
    app = Application([(r"/api/kernels/(?:\w+)/channels", EchoChannels)])
    WebsocketHandlers(clients).watch(app)
    server = HTTPServer(app)
    (socket,) = bind_sockets(0, "127.0.0.1")
    server.add_socket(socket)
    url = f"ws://127.0.0.1:{socket.getsockname()[1]}/api/kernels/k/channels"
    connections = []

    async def read_stamps() -> Any:
        connections.append(clients.connections("k"))
        return {}

    try:
        with clients.held_back("k") as held:
            usage = await ask(url, {}, read_stamps, with_usage=False)
        assert usage.shell.free
        assert not held.forwards
        assert set(connections) == {0}
        page = await websocket_connect(url + "?session_id=page")
        assert clients.connections("k") == 1
        page.close()
    finally:
        server.stop()
        await server.close_all_connections()

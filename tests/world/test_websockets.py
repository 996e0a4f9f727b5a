"""What passes this server's websockets, in each form that a message has."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from auto_shutdown.world import websockets
from auto_shutdown.world.kernel_messages import read
from auto_shutdown.world.kernel_usage import ask
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


@pytest.mark.parametrize("form", FORMS)
class TestForms:
    def test_each_wire_format_gives_the_same_message(self, form: Form) -> None:
        sent = message("status", "cell", "iopub", execution_state="idle")
        found = read(form(sent), {"status"})
        assert found is not None
        assert (found.channel, found.kind, found.parent_id) == ("iopub", "status", "cell")
        assert found.content == {"execution_state": "idle"}

    def test_messages_of_other_types_are_not_parsed(self, form: Form) -> None:
        assert read(form(message("stream", text='"status"')), {"status"}) is None
        odd = message("stream", data={"application/json": {"status": 1}})
        assert read(form(odd), {"status"}) is None

    def test_long_messages_are_not_parsed(self, form: Form) -> None:
        long = message("status", text="x" * 100)
        assert read(form(long), {"status"}, longest=100) is None

    def test_message_with_buffers_is_parsed(self, form: Form) -> None:
        found = read(form({**message("comm_msg", data=1), "buffers": [b"x"] * 3}), {"comm_msg"})
        assert found is not None
        assert found.content == {"data": 1}


@pytest.mark.parametrize("odd", [b"", b"\x00" * 20, b"\xff" * 20, struct.pack("<Q", 7), "", "{}"])
def test_malformed_message_passes_unobserved(odd: Any) -> None:
    clients = WebsocketClients()
    assert clients.pass_on("k", odd, lambda: "passed") == "passed"
    assert clients.request_sent_at("k") is None


class Channels(WebSocketHandler):
    """A host's websocket handler for kernels, as small as can be."""

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


@pytest.fixture
def clients() -> WebsocketClients:
    return WebsocketClients()


@pytest.fixture
def channel(clients: WebsocketClients) -> Channels:
    return observed(clients)


@pytest.mark.parametrize("form", FORMS)
class TestRequests:
    def test_a_cell_is_pending_from_sending_to_its_own_idle(
        self, form: Form, clients: WebsocketClients, channel: Channels
    ) -> None:
        requests = clients.requests.of("k")
        assert channel.on_message(form(message("execute_request"))) == "in"
        assert requests.unfinished == 1
        for state in ("busy", "idle"):
            other = message("status", "another", "iopub", execution_state=state)
            assert channel.write_message(form(other)) == "out"
        assert requests.unfinished == 1
        channel.write_message(form(message("status", "1", "iopub", execution_state="idle")))
        assert requests.unfinished == 0
        assert len(channel.passed) == 4, "all of it reached the host"

    def test_the_execute_reply_ends_a_request(
        self, form: Form, clients: WebsocketClients, channel: Channels
    ) -> None:
        channel.on_message(form(message("execute_request")))
        channel.write_message(form(message("execute_reply", "1", status="ok")))
        assert clients.requests.of("k").unfinished == 0

    def test_kernel_waits_from_input_request_to_input_reply(
        self, form: Form, clients: WebsocketClients, channel: Channels
    ) -> None:
        requests = clients.requests.of("k")
        channel.on_message(form(message("execute_request")))
        channel.write_message(form(message("input_request", "1", "stdin", prompt="?")))
        channel.on_message(form(message("complete_request")))
        assert requests.waits_for_input("idle")
        channel.on_message(form(message("input_reply", channel="stdin", value="x")))
        assert not requests.waits_for_input("busy")

    def test_end_of_the_kernel_ends_its_requests(
        self, form: Form, clients: WebsocketClients, channel: Channels
    ) -> None:
        channel.on_message(form(message("execute_request")))
        channel.write_message(form(message("shutdown_reply", channel="iopub")))
        assert clients.requests.of("k").unfinished == 0

    @pytest.mark.parametrize(
        ("kind", "content", "counts"),
        [
            ("execute_request", {"code": "1"}, True),
            ("complete_request", {}, True),
            ("comm_msg", {"data": {"method": "update"}}, True),
            ("comm_msg", {"data": {"method": "request_states"}}, False),
            ("kernel_info_request", {}, False),
            ("comm_info_request", {}, False),
            ("history_request", {"code": '"execute_request"'}, False),
        ],
    )
    def test_which_requests_count_as_activity(
        self,
        form: Form,
        kind: str,
        content: Any,
        counts: bool,
        clients: WebsocketClients,
        channel: Channels,
    ) -> None:
        channel.on_message(form(message(kind, **content)))
        assert (clients.request_sent_at("k") is not None) is counts


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("copies", [1, 2])
def test_a_postponed_cell_of_a_remote_kernel_is_pending_until_the_idle_after_its_run(
    form: Form, copies: int, clients: WebsocketClients, channel: Channels
) -> None:
    """jupyter_ui_poll postpones a cell that is sent while another one runs: it sends busy and idle
    at once, and later execute_input and a second idle. The shell answers meanwhile. Each connected
    client gets a copy of each message; a client may leave before it gets its last copy."""
    requests = clients.requests.of("k")
    channel.on_message(form(message("execute_request")))

    def receive(kind: str, **content: Any) -> int:
        for _ in range(copies):
            channel.write_message(form(message(kind, "1", "iopub", **content)))
            requests.shell_answered(time.monotonic(), one_by_one=True)
        return requests.unfinished

    found = [
        receive("status", execution_state="busy"),
        receive("status", execution_state="idle"),
        receive("execute_input", code="1"),
        receive("status", execution_state="idle"),
    ]
    assert found == [1, 0, 1, 0]
    channel.write_message(form(message("execute_input", "1", "iopub", code="1")))
    assert requests.unfinished == 0, "a late copy begins nothing"


def test_a_handler_is_observed_once(clients: WebsocketClients) -> None:
    app = Application([(r"/api/kernels/(\w+)/channels", Channels)])
    handlers = WebsocketHandlers(clients)
    handlers.watch(app)
    first = app.wildcard_router.rules[0].target
    handlers.watch(app)
    assert app.wildcard_router.rules[0].target is first


def test_a_message_reaches_the_kernel_once_even_if_the_clients_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No file descriptors, or the package is being replaced. A later message is observed."""
    app = Application([(r"/api/kernels/(\w+)/channels", Channels)])
    handlers = WebsocketHandlers()
    handlers.watch(app)
    channel = app.wildcard_router.rules[0].target()
    cell = as_text(message("execute_request"))
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "auto_shutdown.world.websockets", None)
        assert channel.open() == "opened"
        assert channel.on_message(cell) == "in"
        assert channel.write_message("{}") == "out"
        assert channel.passed == [cell, "{}"]
    assert channel.on_message(cell) == "in"
    assert channel.passed == [cell, "{}", cell]
    assert handlers.clients.requests.of("k").unfinished == 1


@pytest.mark.parametrize(
    ("rules", "codes"),
    [
        ([(r"/api/kernels", RequestHandler), (r"/api/kernels/(\w+)/channels", Channels)], []),
        ([(r"/api/kernels", RequestHandler)], ["NotObserved"]),
        ([(r"/api/kernels/(\w+)/channels", RequestHandler)], ["NotObserved"]),
        ([(r"/api/kernelspecs", RequestHandler)], []),
        ([], []),
    ],
    ids=["observed", "no websocket", "no WebSocketHandler", "no kernels", "nothing"],
)
def test_a_server_whose_kernel_websockets_cannot_be_observed_has_a_fault(
    rules: Any, codes: list[str]
) -> None:
    handlers = WebsocketHandlers()
    handlers.watch(app := Application(rules))
    now = datetime.now(timezone.utc)
    assert [fault.code for fault in handlers.faults(now)] == codes
    app.add_handlers(".*$", [(r"/api/kernels/(\w+)/channels", Channels)])
    handlers.watch(app)
    assert handlers.faults(now) == []


def test_after_the_stop_messages_pass_unobserved() -> None:
    app = Application([(r"/api/kernels/(\w+)/channels", Channels)])
    handlers = WebsocketHandlers()
    handlers.watch(app)
    channel = app.wildcard_router.rules[0].target()
    handlers.stop()
    assert channel.open() == "opened"
    assert channel.on_message(as_text(message("execute_request"))) == "in"
    assert channel.write_message(as_text(message("execute_input", "1"))) == "out"
    channel.on_close()
    assert handlers.clients.connections("k") == 0
    assert handlers.clients.requests.known("k") is None


class TestConnections:
    def test_number_of_connected_clients(
        self, clients: WebsocketClients, channel: Channels
    ) -> None:
        other = observed(clients)
        assert clients.connections("k") == 2
        other.on_close()
        channel.on_close()
        assert clients.connections("k") == 0
        assert channel.passed == ["closed"]

    def test_end_of_a_cell_is_seen_through_any_open_page(
        self, clients: WebsocketClients, channel: Channels
    ) -> None:
        other, requests = observed(clients), clients.requests.of("k")
        assert requests.has_clients
        other.on_close()
        assert requests.has_clients
        channel.on_close()
        assert not requests.has_clients

    @pytest.mark.parametrize(("on_iopub", "unfinished"), [(False, 0), (True, 1)])
    def test_after_the_last_client_left_only_iopub_shows_the_end_of_a_cell(
        self, on_iopub: bool, unfinished: int, clients: WebsocketClients, channel: Channels
    ) -> None:
        requests, other = clients.requests.of("k"), observed(clients)
        requests.on_iopub = on_iopub
        channel.on_message(as_text(message("execute_request")))
        other.on_close()
        assert requests.unfinished == 1
        channel.on_close()
        assert requests.unfinished == unfinished

    def test_message_passes_even_if_observing_it_fails(
        self, channel: Channels, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(Channels, "kernel_id")
        assert channel.write_message(as_text(message("status"))) == "out"
        assert channel.on_message(as_text(message("execute_request"))) == "in"
        channel.on_close()


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
    """Tornado reads a connection's next message when what its handler returned is done."""
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
    """Answers each question as a kernel does whose shell is free."""

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
    """A kernel of a manager that does not tell its gateway can only be asked in this way."""
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

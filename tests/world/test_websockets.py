"""What passes this server's websockets, in each form that a message has."""

from __future__ import annotations

import struct
import sys
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from observed_channels import (
    FORMS,
    Channels,
    Form,
    as_text,
    message,
    observed,
)
from tornado.web import Application, RequestHandler

from auto_shutdown.world.kernel_messages import read
from auto_shutdown.world.websocket_handlers import WebsocketHandlers
from auto_shutdown.world.websockets import WebsocketClients


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

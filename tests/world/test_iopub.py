"""What a kernel's messages say: each row as they come from the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from auto_shutdown.world.iopub import DELIMITER, Ear, IOPubListener
from auto_shutdown.world.websockets import CONNECTION_CLASS, WebsocketClients


def wire(kind: str, asked_for: str = "", asked: str = "1", **content: Any) -> list[bytes]:
    parent = {"msg_type": asked_for, "msg_id": asked} if asked_for else {}
    parts = [{"msg_type": kind}, parent, {}, content]
    return [b"topic", DELIMITER, b"signature", *(json.dumps(part).encode() for part in parts)]


def status(asked_for: str, *states: str, asked: str = "1") -> list[list[bytes]]:
    return [wire("status", asked_for, asked, execution_state=s) for s in states or ("busy", "idle")]


NO_PARENT = [DELIMITER, b"s", b'{"msg_type": "status"}', b"null", b"{}", b"{}"]

UPDATE_STATES = wire("comm_msg", "comm_msg", data={"method": "update_states"})

ROWS = {
    "a cell": (status("execute_request"), "request"),
    "a completion": (status("complete_request"), "request"),
    "an inspection": (status("inspect_request"), "request"),
    "a widget moved": (status("comm_msg"), "request"),
    "a widget moved, and echoed": (
        [
            *status("comm_msg", "busy"),
            wire("comm_msg", "comm_msg", data={"method": "echo_update"}),
            *status("comm_msg", "idle"),
        ],
        "request",
    ),
    "a kernel that starts": ([wire("status", execution_state="starting")], "request"),
    "an interrupt": (status("interrupt_request"), "request"),
    "a page that asks what kernel this is": (status("kernel_info_request"), None),
    "a page that asks for comms": (status("comm_info_request"), None),
    "a page that opens its widgets": (
        [*status("comm_open"), *status("comm_msg", "busy"), UPDATE_STATES, status("comm_msg")[1]],
        None,
    ),
    "a page that reads the history": (status("history_request"), None),
    "a debugger's question": (status("debug_request"), None),
    "our own question": (status("usage_request"), None),
    "a thread that prints": ([wire("stream", "execute_request", text="x")], "output"),
    "a plot by a thread": ([wire("display_data", "execute_request")], "output"),
    "a progress bar that ticks by itself": ([wire("comm_msg", "execute_request")], "output"),
    "nothing that can be read": ([[b"x"], [b"a", DELIMITER, b"s", b"{", b"", b"", b""], []], None),
    "a message without a parent": ([NO_PARENT], None),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_what_is_heard(name: str) -> None:
    messages, signal = ROWS[name]
    ear = Ear()
    for message in messages:
        ear.hear(message)
    assert set(ear.heard.stamps) == ({signal} if signal else set())


def test_a_widget_moved_after_a_page_opened_counts() -> None:
    ear = Ear()
    for message in ROWS["a page that opens its widgets"][0]:
        ear.hear(message)
    for message in status("comm_msg", asked="2"):
        ear.hear(message)
    assert set(ear.heard.stamps) == {"request"}


def test_a_stop_in_the_debugger_and_its_end() -> None:
    ear, found = Ear(), []
    for event in ("initialized", "stopped", "output", "continued", "stopped"):
        ear.hear(wire("debug_event", "execute_request", event=event))
        found.append(ear.stopped)
    assert found == [False, True, True, False, True]
    ear.hear(status("execute_request", "idle")[0])
    assert not ear.stopped


class Stream:
    def __init__(self) -> None:
        self.is_closed = False

    def on_recv(self, listener: Any) -> None:
        self.listener = listener

    def closed(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class FakeKernel:
    def __init__(self, pid: int | None) -> None:
        self.stream = Stream()
        self.provisioner = type("Provisioner", (), {"pid": pid})()

    def connect_iopub(self) -> Stream:
        return self.stream


class FakeManager(dict):  # type: ignore[type-arg]
    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]


def test_local_kernels_are_listened_to_while_they_are_there() -> None:
    manager = FakeManager(a=FakeKernel(7), far=FakeKernel(None))
    listener = IOPubListener(manager)
    listener.attend(["a", "far", "never-heard-of"])
    ear = listener.ear("a")
    assert ear is not None
    manager["a"].stream.listener(wire("stream", "execute_request"))
    assert set(ear.heard.stamps) == {"output"}
    assert listener.ear("far") is None, "its stream would connect to nowhere"
    listener.attend(["far"])
    assert manager["a"].stream.closed()
    assert listener.ear("a") is None


def test_no_stream_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FakeManager(a=FakeKernel(7), b=FakeKernel(8))
    monkeypatch.setattr("auto_shutdown.world.iopub.MOST", 1)
    listener = IOPubListener(manager)
    listener.attend(["a", "b"])
    assert [k for k in ("a", "b") if listener.ear(k)] in (["a"], ["b"]), "not beyond the bound"
    listener.close()
    assert {k.stream.closed() for k in manager.values() if hasattr(k.stream, "listener")} == {True}


class Connection:
    """A host's connection class, as small as can be."""

    kernel_id = "k"

    def __init__(self) -> None:
        self.passed: list[Any] = []

    def handle_outgoing_message(self, *message: Any) -> str:
        self.passed.append(message)
        return "out"

    def handle_incoming_message(self, message: Any) -> str:
        self.passed.append(message)
        return "in"


class TestClients:
    def connection(self) -> tuple[WebsocketClients, Connection]:
        clients, app = WebsocketClients(), Application(**{CONNECTION_CLASS: Connection})
        clients.watch(app)
        return clients, app.settings[CONNECTION_CLASS]()

    @pytest.mark.parametrize(
        "message",
        [
            ("stdin", [b"x"]),
            (type("Stream", (), {"channel": "stdin"})(), [b"x"]),
            ('{"header": {"msg_type": "input_request"}}',),
        ],
    )
    @pytest.mark.parametrize(
        "answer", ['{"msg_type": "input_reply"}', b"..input_reply..", "execute_request"]
    )
    def test_from_the_question_to_the_answer(self, message: Any, answer: Any) -> None:
        clients, connection = self.connection()
        connection.handle_outgoing_message("iopub", [b"x"])
        connection.handle_outgoing_message("{}")
        assert not clients.waits("k")
        assert connection.handle_outgoing_message(*message) == "out"
        connection.handle_incoming_message('{"msg_type": "complete_request"}')
        assert clients.waits("k")
        assert connection.handle_incoming_message(answer) == "in"
        assert not clients.waits("k")
        assert len(connection.passed) == 5, "all of it reached the host"

    def test_whatever_goes_wrong_here_the_message_passes(self) -> None:
        _, connection = self.connection()
        del type(connection).__mro__[1].kernel_id
        try:
            assert connection.handle_outgoing_message("stdin", [b"x"]) == "out"
        finally:
            Connection.kernel_id = "k"

    def test_a_server_without_such_a_class(self) -> None:
        """Its handlers are told of, then; and no other's."""

        class Channels(WebSocketHandler):
            kernel_id = "k"

        class Terminal(WebSocketHandler):
            pass

        app = Application(
            [(r"/api/kernels/(\w+)/channels", Channels), (r"/terminals/websocket", Terminal)]
        )
        clients = WebsocketClients()
        clients.watch(app)
        rules = app.wildcard_router.rules
        assert issubclass(rules[0].target, Channels)
        assert rules[0].target is not Channels
        assert rules[1].target is Terminal
        assert CONNECTION_CLASS not in app.settings

    def test_a_request_is_known_as_it_passes(self) -> None:
        clients, connection = self.connection()
        quiet = [
            '{"header": {"msg_type": "kernel_info_request"}}',
            '{"content": {"code": "print(\\"execute_request\\")"}, "msg_type": "history_request"}',
            '{"msg_type": "comm_msg", "data": {"method": "request_states"}}',
            b'\x00{"msg_type":"comm_info_request"}',
        ]
        for message in quiet:
            connection.handle_incoming_message(message)
        assert clients.asked_at("k") is None
        asking = [
            '{"msg_type": "execute_request"}',
            b'\x00\x01{"msg_type":"complete_request"}',
            '{"msg_type": "comm_msg", "data": {"method": "update"}}',
        ]
        for message in asking:
            before = clients.asked_at("k")
            connection.handle_incoming_message(message)
            assert clients.asked_at("k") != before
        clients.attend({"other"})
        assert clients.asked_at("k") is None

    def test_a_cell_given_on_the_way_up_is_known_until_it_has_come_up(self) -> None:
        clients, connection = self.connection()
        connection.handle_incoming_message('{"msg_type": "complete_request"}')
        assert not clients.gave_cell("k")
        connection.handle_incoming_message('{"msg_type": "execute_request"}')
        clients.seen("k", "starting")
        assert clients.gave_cell("k")
        clients.seen("k", "busy")
        assert not clients.gave_cell("k")
        connection.handle_incoming_message('{"msg_type": "execute_request"}')
        clients.attend({"other"})
        assert not clients.gave_cell("k")

    def test_what_is_held_back_goes_on_in_its_order_or_not_at_all(self) -> None:
        clients, connection = self.connection()
        with clients.held_back("k") as held:
            connection.handle_incoming_message("1")
            connection.handle_incoming_message("2")
            assert connection.passed == []
            assert connection.handle_outgoing_message("{}") == "out", "what a kernel says passes"
        assert connection.passed == [("{}",), "1", "2"]
        with clients.held_back("k") as held:
            connection.handle_incoming_message('{"msg_type": "execute_request"}')
            held.clear()
        assert connection.passed == [("{}",), "1", "2"]
        assert clients.asked_at("k") is not None
        with clients.held_back("other"):
            assert connection.handle_incoming_message("3") == "in"

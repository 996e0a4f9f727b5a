"""The messages of a kernel's IOPub channel: each row has the bytes from the wire."""

from __future__ import annotations

import pytest
import zmq
from iopub_channel import status, wire
from zmq.eventloop.zmqstream import ZMQStream

from auto_shutdown.world.iopub_subscription import DELIMITER, IOPubSubscription

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
    "a page that makes a subshell": (status("create_subshell_request"), None),
    "a debugger's question": (status("debug_request"), None),
    "a question for the processor time": (status("usage_request"), None),
    "a thread that prints": ([wire("stream", "execute_request", text="x")], "output"),
    "a plot by a thread": ([wire("display_data", "execute_request")], "output"),
    "a progress bar that ticks by itself": ([wire("comm_msg", "execute_request")], "output"),
    "nothing that can be read": ([[b"x"], [b"a", DELIMITER, b"s", b"{", b"", b"", b""], []], None),
    "a message without a parent": ([NO_PARENT], None),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_which_iopub_messages_are_activity(name: str) -> None:
    messages, signal = ROWS[name]
    subscription = IOPubSubscription()
    for message in messages:
        subscription.receive(message)
    assert set(subscription.activity.stamps) == ({signal} if signal else set())


def test_each_question_for_the_processor_time_counts_once() -> None:
    subscription = IOPubSubscription()
    messages = [*status("usage_request"), *status("usage_request", parent_id="2")]
    for message in [*messages, *status("kernel_info_request"), *status("execute_request")]:
        subscription.receive(message)
    assert subscription.requests.usage_answers == 2


def test_widget_moved_after_a_page_opened_is_activity() -> None:
    subscription = IOPubSubscription()
    for message in ROWS["a page that opens its widgets"][0]:
        subscription.receive(message)
    for message in status("comm_msg", parent_id="2"):
        subscription.receive(message)
    assert set(subscription.activity.stamps) == {"request"}


#: Messages, and how many requests are unfinished after each.
UNFINISHED = {
    "a cell": (status("execute_request"), [1, 0]),
    "the button of a widget": (status("comm_msg"), [1, 0]),
    "other requests end meanwhile": (
        [
            *status("execute_request", "busy"),
            *status("create_subshell_request", parent_id="2"),
            *status("usage_request", parent_id="3"),
            *status("comm_msg", parent_id="4"),
            *status("execute_request", "idle"),
        ],
        [1, 1, 1, 1, 1, 2, 1, 0],
    ),
    "two at once": (
        [
            *status("execute_request", "busy", parent_id="1"),
            *status("execute_request", "busy", parent_id="2"),
            *status("execute_request", "idle", parent_id="1"),
            *status("execute_request", "idle", parent_id="2"),
        ],
        [1, 2, 1, 0],
    ),
    "the kernel starts anew": (
        [*status("execute_request", "busy"), wire("status", execution_state="starting")],
        [1, 0],
    ),
    "the kernel says that it shuts down": (
        [*status("execute_request", "busy"), wire("shutdown_reply", "shutdown_request")],
        [1, 0],
    ),
    "requests that do not count": (
        [*status("kernel_info_request"), *status("debug_request")],
        [0] * 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_request_is_unfinished_until_its_own_idle(name: str) -> None:
    messages, expected = UNFINISHED[name]
    subscription, found = IOPubSubscription(), []
    for message in messages:
        subscription.receive(message)
        found.append(subscription.requests.unfinished)
    assert found == expected


def test_a_postponed_cell_is_unfinished_until_the_idle_after_its_run() -> None:
    """jupyter_ui_poll postpones a cell that is sent while another one runs: it sends busy and idle
    at once, and later execute_input and a second idle."""
    subscription = IOPubSubscription()
    found = []
    for message in (
        *status("execute_request", "busy", "idle"),
        wire("execute_input", "execute_request"),
        *status("execute_request", "idle"),
        wire("execute_input", "execute_request", parent_id="never heard of"),
    ):
        subscription.receive(message)
        found.append(subscription.requests.unfinished)
    assert found == [1, 0, 1, 0, 0]


def test_a_stop_in_the_debugger_and_its_end() -> None:
    subscription, found = IOPubSubscription(), []
    for event in ("initialized", "stopped", "output", "continued", "stopped"):
        subscription.receive(wire("debug_event", "execute_request", event=event))
        found.append(subscription.in_debugger)
    assert found == [False, True, True, False, True]
    subscription.receive(status("execute_request", "idle")[0])
    assert not subscription.in_debugger


async def test_number_of_messages_read_before_a_removal_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auto_shutdown.world.iopub_subscription.MOST_AT_ONCE", 5)
    subscription = IOPubSubscription()
    assert subscription.catch_up(), "nothing to read"
    with zmq.Context() as context, context.socket(zmq.PUSH) as kernel:
        kernel.bind("inproc://iopub")
        socket = context.socket(zmq.PULL)
        socket.connect("inproc://iopub")
        stream = subscription._stream = ZMQStream(socket)
        stream.on_recv(subscription.receive)
        for number in range(7):
            kernel.send_multipart(status("execute_request", "busy", parent_id=str(number))[0])
        assert [subscription.catch_up(), subscription.requests.unfinished] == [False, 5]
        assert [subscription.catch_up(), subscription.requests.unfinished] == [True, 7]
        stream.close(linger=0)

"""What the IOPub channel of a kernel tells: each row as it comes from the wire."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import zmq
from zmq.eventloop.zmqstream import ZMQStream

from auto_shutdown.world.iopub import DELIMITER, IOPubListener, IOPubSubscription
from auto_shutdown.world.kernel_requests import Requests


def wire(kind: str, parent_kind: str = "", parent_id: str = "1", **content: Any) -> list[bytes]:
    parent = {"msg_type": parent_kind, "msg_id": parent_id} if parent_kind else {}
    parts = [{"msg_type": kind}, parent, {}, content]
    return [b"topic", DELIMITER, b"signature", *(json.dumps(part).encode() for part in parts)]


def status(parent_kind: str, *states: str, parent_id: str = "1") -> list[list[bytes]]:
    return [
        wire("status", parent_kind, parent_id, execution_state=s)
        for s in states or ("busy", "idle")
    ]


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
    """A kernel on this host. ``failure`` is raised when somebody connects."""

    def __init__(self, pid: int | None) -> None:
        self.stream = Stream()
        self.provisioner = type("Provisioner", (), {"pid": pid})()
        self.iopub_port = 1000
        self.failure: Exception | None = None
        self.attempts = 0

    def connect_iopub(self) -> Stream:
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        return self.stream


class FakeManager(dict):  # type: ignore[type-arg]
    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]


async def test_number_of_messages_read_before_a_removal_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("auto_shutdown.world.iopub.MOST_AT_ONCE", 5)
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


def test_listener_subscribes_to_local_kernels_while_they_exist() -> None:
    manager = FakeManager(a=FakeKernel(7), far=FakeKernel(None))
    listener = IOPubListener(manager)
    listener.attend(["a", "far", "unknown"])
    subscription = listener.subscription("a")
    assert subscription is not None
    manager["a"].stream.listener(wire("stream", "execute_request"))
    assert set(subscription.activity.stamps) == {"output"}
    assert listener.subscription("far") is None, "its stream would connect to nowhere"
    listener.attend(["far"])
    assert manager["a"].stream.closed()
    assert listener.subscription("a") is None


def test_a_kernel_that_cannot_be_read_for_a_moment_stays_subscribed() -> None:
    """The end of its cell must not pass unnoticed."""
    manager, requests = FakeManager(a=FakeKernel(7), b=FakeKernel(8)), Requests()
    listener = IOPubListener(manager, requests)
    listener.attend(["a"])
    manager["a"].stream.listener(status("execute_request", "busy")[0])
    listener.attend([], unreadable=["a", "b"])
    assert listener.subscription("b") is None, "one that was never read may still be starting"
    manager["a"].stream.listener(status("execute_request", "idle")[0])
    assert requests.of("a").unfinished == 0


def test_shell_answer_ends_a_cell_after_the_end_of_the_subscription() -> None:
    manager, requests = FakeManager(a=FakeKernel(7)), Requests()
    listener = IOPubListener(manager, requests)
    listener.attend(["a"])
    manager["a"].stream.listener(status("execute_request", "busy")[0])
    listener.attend([])
    requests.of("a").shell_answered(time.monotonic(), one_by_one=True)
    assert requests.of("a").unfinished == 0


def test_a_new_process_has_no_unfinished_requests() -> None:
    """A restart by SIGKILL leaves no message."""
    manager, requests = FakeManager(a=FakeKernel(7)), Requests()
    listener = IOPubListener(manager, requests)
    listener.attend(["a"])
    manager["a"].stream.listener(status("execute_request", "busy")[0])
    listener.attend(["a"])
    assert requests.of("a").unfinished == 1
    manager["a"].provisioner.pid = 8
    listener.attend(["a"])
    assert requests.of("a").unfinished == 0
    manager["a"].stream.listener(status("execute_request", "busy")[0])
    listener.attend(["a"])
    assert requests.of("a").unfinished == 1


def test_a_restart_that_was_announced_keeps_the_cells_of_the_new_process() -> None:
    """*Restart and run all* sends them before anybody looks at the kernel again."""
    manager, requests = FakeManager(a=FakeKernel(7)), Requests()
    listener = IOPubListener(manager, requests)
    listener.attend(["a"])
    manager["a"].provisioner.pid = 8
    for kind, state in (("kernel_info_request", "starting"), ("execute_request", "busy")):
        manager["a"].stream.listener(status(kind, state)[0])
    listener.attend(["a"])
    assert requests.of("a").unfinished == 1
    manager["a"].provisioner.pid = 9
    listener.attend(["a"])
    assert requests.of("a").unfinished == 0


def test_closed_listener_leaves_no_stream_open(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FakeManager(a=FakeKernel(7), b=FakeKernel(8))
    monkeypatch.setattr("auto_shutdown.world.iopub.MOST", 1)
    listener = IOPubListener(manager)
    listener.attend(["a", "b"])
    found = [k for k in ("a", "b") if listener.subscription(k)]
    assert found in (["a"], ["b"]), "not beyond the bound"
    listener.close()
    assert {k.stream.closed() for k in manager.values() if hasattr(k.stream, "listener")} == {True}


class Time:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class TestMissingSubscription:
    """A kernel without a subscription, and how it gets one."""

    def test_failed_attempt_is_repeated_at_growing_intervals(self) -> None:
        kernel, now = FakeKernel(7), Time()
        kernel.failure = OSError(24, "Too many open files")
        listener, attempts = IOPubListener(FakeManager(a=kernel), now=now), []
        for _ in range(16):
            listener.attend(["a"])
            attempts.append(kernel.attempts)
            now.seconds += 1
        assert attempts == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5]

    def test_repeated_attempt_that_succeeds_counts_as_a_request(self) -> None:
        """A cell may have run meanwhile, and its messages were not read."""
        kernel, now = FakeKernel(7), Time()
        kernel.failure = OSError(24, "Too many open files")
        listener = IOPubListener(FakeManager(a=kernel), now=now)
        listener.subscribe("a")
        assert listener.why_unknown("a") == "Too many open files"
        kernel.failure = None
        now.seconds += 1
        listener.attend(["a"])
        subscription = listener.subscription("a")
        assert subscription is not None
        assert set(subscription.activity.stamps) == {"request"}
        assert listener.why_unknown("a") == ""

    def test_first_attempt_that_succeeds_is_no_activity(self) -> None:
        listener = IOPubListener(FakeManager(a=FakeKernel(7)))
        listener.attend(["a"])
        subscription = listener.subscription("a")
        assert subscription is not None
        assert not subscription.activity.stamps

    def test_kernel_whose_channel_can_never_be_read_is_unknown_only_for_a_time(self) -> None:
        """Otherwise it would run for ever."""
        kernel, now = FakeKernel(7), Time()
        kernel.failure = NotImplementedError()
        listener = IOPubListener(FakeManager(a=kernel), now=now)
        unknown = []
        for _ in range(12):
            listener.attend(["a"])
            unknown.append(listener.why_unknown("a"))
            now.seconds += 60
        assert unknown == ["NotImplementedError"] * 10 + [""] * 2
        before = kernel.attempts
        now.seconds += 300
        listener.attend(["a"])
        assert kernel.attempts == before + 1, "it is still tried"

    def test_kernel_that_has_no_process_yet_is_subscribed_to_later(self) -> None:
        """With ``use_pending_kernels`` a kernel is listed before its process begins."""
        kernel, now = FakeKernel(None), Time()
        listener = IOPubListener(FakeManager(a=kernel), now=now)
        listener.subscribe("a")
        assert listener.why_unknown("a") == ""
        kernel.provisioner.pid = 7
        now.seconds += 1
        listener.attend_to("a")
        assert listener.subscription("a") is not None

    def test_only_subscriptions_count_for_their_largest_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("auto_shutdown.world.iopub.MOST", 1)
        manager = FakeManager(far=FakeKernel(None), a=FakeKernel(7), b=FakeKernel(8))
        listener = IOPubListener(manager)
        for kernel_ids in (["far"], ["far", "a"], ["far", "a", "b"], ["far", "b"]):
            listener.attend(kernel_ids)
        subscription = listener.subscription("b")
        assert subscription is not None, "the subscription to a has ended"
        assert set(subscription.activity.stamps) == {"request"}

    @pytest.mark.parametrize(("port", "moved"), [(1000, False), (1001, True)])
    def test_restarted_kernel_with_other_ports_gets_a_new_subscription(
        self, port: int, moved: bool
    ) -> None:
        """jupyter_client chooses new ports for a kernel that dies while it comes up."""
        kernel = FakeKernel(7)
        listener, first = IOPubListener(FakeManager(a=kernel)), kernel.stream
        listener.attend(["a"])
        kernel.provisioner.pid, kernel.iopub_port, kernel.stream = 8, port, Stream()
        listener.attend(["a"])
        assert (first.closed(), kernel.attempts) == (moved, 1 + moved)
        subscription = listener.subscription("a")
        assert subscription is not None
        assert (subscription.pid, subscription.port) == (8, port)
        assert subscription.requests.on_iopub

    def test_failure_is_logged_when_it_begins_and_when_it_is_over(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        kernel, now = FakeKernel(7), Time()
        kernel.failure = OSError(24, "Too many open files")
        listener = IOPubListener(FakeManager(a=kernel), now=now)
        for _ in range(9):
            listener.attend(["a"])
            now.seconds += 1
        kernel.failure = None
        now.seconds += 60
        listener.attend(["a"])
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        assert "Too many open files" in caplog.text

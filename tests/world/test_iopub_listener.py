"""The subscriptions of this server to the IOPub channels of its kernels."""

from __future__ import annotations

import time

import pytest
from hand_clock import Clock
from iopub_channel import FakeKernel, FakeManager, Stream, status, wire

from auto_shutdown.world.iopub import IOPubListener
from auto_shutdown.world.requests_by_kernel import Requests


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
    """The extension must not miss the end of its cell."""
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
    """*Restart and run all* sends the cells before the next pass observes the kernel."""
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


def test_the_requests_of_a_process_end_when_its_manager_notices_its_death() -> None:
    """The cells of the new process stay, although the extension may miss its first message."""
    manager, requests = FakeManager(a=FakeKernel(7)), Requests()
    listener = IOPubListener(manager, requests)
    listener.attend(["a"])
    manager["a"].stream.listener(status("execute_request", "busy")[0])
    listener.process_ended("a")
    assert requests.of("a").unfinished == 0
    manager["a"].provisioner.pid = 8
    manager["a"].stream.listener(status("execute_request", "busy", parent_id="2")[0])
    listener.attend(["a"])
    assert requests.of("a").unfinished == 1
    assert not manager["a"].stream.closed()


def test_closed_listener_leaves_no_stream_open(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = FakeManager(a=FakeKernel(7), b=FakeKernel(8))
    monkeypatch.setattr("auto_shutdown.world.iopub.MOST", 1)
    listener = IOPubListener(manager)
    listener.attend(["a", "b"])
    found = [k for k in ("a", "b") if listener.subscription(k)]
    assert found in (["a"], ["b"]), "not beyond the bound"
    listener.close()
    assert {k.stream.closed() for k in manager.values() if hasattr(k.stream, "listener")} == {True}


class TestMissingSubscription:
    """A kernel without a subscription gets one later."""

    def test_failed_attempt_is_repeated_at_growing_intervals(self) -> None:
        kernel, clock = FakeKernel(7), Clock()
        kernel.failure = OSError(24, "Too many open files")
        listener, attempts = IOPubListener(FakeManager(a=kernel), now=clock), []
        for _ in range(16):
            listener.attend(["a"])
            attempts.append(kernel.attempts)
            clock.now += 1
        assert attempts == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5]

    def test_repeated_attempt_that_succeeds_counts_as_a_request(self) -> None:
        """A cell may have run meanwhile, and its messages were not read."""
        kernel, clock = FakeKernel(7), Clock()
        kernel.failure = OSError(24, "Too many open files")
        listener = IOPubListener(FakeManager(a=kernel), now=clock)
        listener.subscribe("a")
        assert listener.why_unknown("a") == "Too many open files"
        kernel.failure = None
        clock.now += 1
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
        """Otherwise the extension would keep the kernel for ever."""
        kernel, clock = FakeKernel(7), Clock()
        kernel.failure = NotImplementedError()
        listener = IOPubListener(FakeManager(a=kernel), now=clock)
        unknown = []
        for _ in range(12):
            listener.attend(["a"])
            unknown.append(listener.why_unknown("a"))
            clock.now += 60
        assert unknown == ["NotImplementedError"] * 10 + [""] * 2
        before = kernel.attempts
        clock.now += 300
        listener.attend(["a"])
        assert kernel.attempts == before + 1, "it is still tried"

    def test_kernel_that_has_no_process_yet_is_subscribed_to_later(self) -> None:
        """With ``use_pending_kernels`` a kernel is listed before its process begins."""
        kernel, clock = FakeKernel(None), Clock()
        listener = IOPubListener(FakeManager(a=kernel), now=clock)
        listener.subscribe("a")
        assert listener.why_unknown("a") == ""
        kernel.provisioner.pid = 7
        clock.now += 1
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
        kernel, clock = FakeKernel(7), Clock()
        kernel.failure = OSError(24, "Too many open files")
        listener = IOPubListener(FakeManager(a=kernel), now=clock)
        for _ in range(9):
            listener.attend(["a"])
            clock.now += 1
        kernel.failure = None
        clock.now += 60
        listener.attend(["a"])
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
        assert "Too many open files" in caplog.text

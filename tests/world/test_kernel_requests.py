"""The unfinished requests of one kernel: which messages begin and end them, and which requests end
without a message."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kernel_cells import cell, running

from auto_shutdown.world.kernel_requests import KernelRequests
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.unfinished_requests import ANSWERS_BEFORE_LOST


def test_cell_is_unfinished_from_the_moment_it_is_sent() -> None:
    requests = KernelRequests()
    found = []
    for name in "123":
        requests.sent(cell(name))
    for name in "123":
        requests.has_status("busy", cell(name))
        found.append(requests.unfinished)
        requests.has_status("idle", cell(name))
        found.append(requests.unfinished)
    assert found == [3, 2, 2, 1, 1, 0]
    assert requests.sent_at is not None


@pytest.mark.parametrize("kind", ["complete_request", "comm_msg", "interrupt_request"])
def test_other_requests_count_from_their_begin(kind: str) -> None:
    """A kernel may drop such a request without a message."""
    requests = KernelRequests()
    requests.sent({"msg_type": kind, "msg_id": "1"})
    assert requests.unfinished == 0
    assert requests.sent_at is not None


def test_kernel_info_request_is_not_recorded() -> None:
    requests = KernelRequests()
    requests.sent({"msg_type": "kernel_info_request", "msg_id": "1"})
    requests.has_status("busy", {"msg_type": "kernel_info_request", "msg_id": "1"})
    requests.has_status("busy", {"msg_type": "execute_request"})
    assert (requests.unfinished, requests.sent_at) == (0, None)


def test_a_late_copy_of_a_message_does_not_begin_a_request_again() -> None:
    """Each message may come by the IOPub channel and by a websocket."""
    requests = running()
    requests.has_status("idle", cell())
    requests.has_status("busy", cell())
    assert requests.unfinished == 0


@pytest.mark.parametrize("state", ["restarting", "dead", "terminating"])
def test_end_of_the_kernel_process_ends_all_requests(state: str) -> None:
    requests = running(cell("1"), cell("2", "sub"))
    requests.asks_for_input("1")
    requests.sent(cell("3"))
    requests.has_status(state, {})
    assert (requests.unfinished, requests.asked_for_input, requests.came_up) == (0, False, False)


def test_a_cell_sent_to_a_kernel_that_starts_is_not_lost() -> None:
    requests = running(cell("1"))
    requests.sent(cell("2"))
    requests.has_status("starting", {})
    assert requests.unfinished == 1


@pytest.mark.parametrize("end", ["its own idle", "an answer of the shell"])
def test_end_of_a_cell_is_a_time_at_which_code_ran(end: str) -> None:
    requests = running()
    began = requests.last_ran_at
    assert began is not None
    requests.last_ran_at = None
    if end == "its own idle":
        requests.has_status("idle", cell())
    else:
        requests.iopub_closed()
        requests.shell_answered(time.monotonic(), one_by_one=True)
    assert requests.unfinished == 0
    assert requests.last_ran_at is not None
    assert requests.last_ran_at >= began


class TestEndUnseen:
    def test_unseen_end_lasts_until_the_shell_answers_or_a_later_cell_ends(self) -> None:
        for end in (
            lambda r: r.shell_answered(time.monotonic(), one_by_one=False),
            lambda r: r.has_status("idle", cell("2")),
            lambda r: r.has_status("starting", {}),
            lambda r: r.ended(),
        ):
            requests = running()
            requests.last_client_left()
            requests.has_status("idle", {"msg_type": "usage_request", "msg_id": "x"})
            assert requests.end_unseen
            end(requests)
            assert not requests.end_unseen

    def test_without_a_running_cell_nothing_is_unseen(self) -> None:
        requests = KernelRequests()
        requests.last_client_left()
        assert not requests.end_unseen


class TestShellAnswers:
    @pytest.mark.parametrize("heard_by", ["on_iopub", "has_clients"])
    def test_shell_answer_during_a_cell_does_not_end_the_cell(self, heard_by: str) -> None:
        """A cell with jupyter_ui_poll lets the kernel answer its shell while the cell runs."""
        requests = running()
        setattr(requests, heard_by, True)
        for _ in range(5):
            requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unfinished == 1
        requests.has_status("idle", cell())
        assert requests.unfinished == 0

    @pytest.mark.parametrize(
        ("has_clients", "one_by_one", "subshell", "unfinished"),
        [
            (False, True, None, 0),
            (False, False, None, 1),  # it may run several requests at once
            (False, True, "sub", 1),  # a subshell does not depend on the main shell
            (True, True, None, 1),  # the websocket of the client carries the end
        ],
    )
    def test_shell_answer_ends_a_cell_whose_end_may_have_been_missed(
        self, has_clients: bool, one_by_one: bool, subshell: str | None, unfinished: int
    ) -> None:
        requests = running(cell("1", subshell))
        requests.on_iopub, requests.has_clients = True, has_clients
        requests.iopub_closed()
        requests.shell_answered(time.monotonic(), one_by_one)
        assert requests.unfinished == unfinished

    def test_later_cell_and_shell_answer_confirm_a_lost_end(self) -> None:
        """A gateway's connection broke while the first cell ran, and its ``idle`` was lost."""
        requests = running(cell("1"))
        requests.has_clients = True
        requests.shell_answered(time.monotonic(), one_by_one=True)
        requests.has_status("busy", cell("2"))
        requests.has_status("idle", cell("2"))
        assert requests.unfinished == 1, "the first may be one that runs other cells inside it"
        requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unfinished == 0

    def test_end_of_an_earlier_or_subshell_cell_confirms_no_lost_end(self) -> None:
        requests = running(cell("1"), cell("2"), cell("3", "sub"))
        requests.has_clients = True
        for ends in (cell("1"), cell("3", "sub")):
            requests.has_status("idle", ends)
            requests.shell_answered(time.monotonic(), one_by_one=True)
            assert requests.unfinished >= 1
        assert requests.unfinished == 1, "the second runs"

    def test_shell_answer_does_not_end_a_request_begun_after_the_question(self) -> None:
        asked_at = time.monotonic()
        requests = running()
        requests.iopub_closed()
        requests.shell_answered(asked_at, one_by_one=True)
        assert requests.unfinished == 1

    def test_first_shell_answer_does_not_end_a_waiting_cell(self) -> None:
        requests = KernelRequests()
        requests.sent(cell())
        requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unfinished == 1
        requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unfinished == 0, "it never reached the kernel"

    def test_cell_assumed_lost_counts_again_when_it_begins(self) -> None:
        requests = KernelRequests()
        requests.sent(cell())
        for _ in range(ANSWERS_BEFORE_LOST):
            requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unfinished == 0
        requests.has_status("busy", cell())
        assert requests.unfinished == 1

    def test_subshells_without_a_listener_are_remembered_until_they_answer(self) -> None:
        requests = running(cell("1"), cell("2", "sub"))
        requests.last_client_left()
        assert (requests.unfinished, requests.unwatched_subshells) == (0, {"sub"})
        requests.shell_answered(time.monotonic(), one_by_one=False)
        assert requests.unwatched_subshells == set()


def test_restart_ends_the_subshells() -> None:
    """If another server requests a restart, this server only observes the state ``starting``."""
    requests = running(cell("1", "sub"))
    requests.last_client_left()
    requests.has_status("starting", {})
    assert requests.unwatched_subshells == set()


class TestSubshells:
    """ipykernel 7.0 to 7.3 drops a request to a subshell that was deleted, without any message."""

    @pytest.mark.parametrize("started", [False, True])
    def test_request_to_a_deleted_subshell_ends_after_two_lists(self, started: bool) -> None:
        requests = KernelRequests(on_iopub=True, has_clients=True)
        requests.sent(cell("1", "deleted"))
        if started:  # an ``await`` in it was cut off
            requests.has_status("busy", cell("1", "deleted"))
        found = []
        for _ in range(ANSWERS_BEFORE_LOST):
            assert requests.subshells_to_ask == frozenset()
            requests.shell_answered(time.monotonic(), one_by_one=True)
            requests.subshells_listed(time.monotonic(), ["another"])
            found.append(requests.unfinished)
        assert (found, requests.subshells_to_ask) == ([1, 0], None)

    def test_question_of_a_deleted_subshell_ends_with_its_request(self) -> None:
        requests = running(cell("1", "deleted"))
        requests.asks_for_input("1")
        for _ in range(ANSWERS_BEFORE_LOST):
            requests.subshells_listed(time.monotonic(), [])
        assert not requests.asked_for_input

    @pytest.mark.parametrize(
        ("request_to", "living", "asked_seconds_ago"),
        [("sub", ["sub"], 0), ("sub", [], 60), (None, [], 0)],
        ids=["a living subshell", "a list from before the request", "the main shell"],
    )
    def test_requests_to_other_subshells_stay_unfinished(
        self, request_to: str | None, living: list[str], asked_seconds_ago: float
    ) -> None:
        requests = KernelRequests()
        requests.sent(cell("waits", request_to))
        requests.has_status("busy", cell("runs", request_to))
        for _ in range(10):
            requests.subshells_listed(time.monotonic() - asked_seconds_ago, living)
        assert requests.unfinished == 2

    def test_waiting_request_counts_again_when_it_begins_after_all(self) -> None:
        requests = KernelRequests()
        requests.sent(cell("1", "sub"))
        for _ in range(ANSWERS_BEFORE_LOST):
            requests.subshells_listed(time.monotonic(), [])
        requests.has_status("busy", cell("1", "sub"))
        assert requests.unfinished == 1

    def test_subshells_are_asked_only_where_requests_went_to_them(self) -> None:
        requests = running(cell("1"))
        assert requests.subshells_to_ask is None
        requests.has_status("busy", cell("2", "sub"))
        assert requests.subshells_to_ask == frozenset(), "this server sees its end"
        requests.last_client_left()
        assert requests.subshells_to_ask == {"sub"}


class TestSilentShell:
    @pytest.mark.parametrize(
        "ends",
        [
            lambda requests: requests.shell_answered(time.monotonic(), one_by_one=False),
            lambda requests: requests.has_status("idle", cell("of somebody else")),
            lambda requests: requests.ended(),
        ],
    )
    def test_a_shell_is_silent_until_it_answers_or_ends_a_cell(self, ends: Any) -> None:
        requests = KernelRequests()
        requests.shell_is_silent("")
        for other in ({}, cell("in a subshell", "sub"), {"msg_type": "usage_request"}):
            requests.has_status("idle", other)
        assert (requests.shell_silent, requests.unreachable) == (True, "")
        ends(requests)
        assert not requests.shell_silent

    def test_shell_that_cannot_be_asked_is_unknown_for_a_while(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = KernelRequests()
        requests.shell_is_silent("refused")
        assert (requests.shell_silent, requests.unreachable) == (False, "refused")
        monkeypatch.setattr("auto_shutdown.world.kernel_requests.UNREACHABLE_SECONDS", -1.0)
        requests.shell_is_silent("refused")
        assert requests.unreachable == ""
        monkeypatch.undo()
        requests.shell_is_silent("refused")
        requests.shell_answered(time.monotonic(), one_by_one=True)
        assert requests.unreachable == ""


def test_requests_of_vanished_kernels_are_forgotten() -> None:
    requests = Requests()
    assert requests.known("k") is None
    kernel = requests.of("k")
    assert requests.known("k") is kernel
    requests.keep_only({"other"})
    assert requests.known("k") is None


def test_each_begin_and_end_of_work_is_signalled_once() -> None:
    """A pass shows the change at once: the panel must not call a kernel idle after it received a
    cell."""
    changes: list[int] = []
    requests = KernelRequests()
    requests.on_change = lambda: changes.append(requests.unfinished)
    requests.has_status("idle", {})
    assert changes == [0], "it came up"
    changes.clear()
    requests.sent(cell("1"))
    assert changes == [1], "sent by a client of this server"
    requests.sent(cell("2"))
    requests.has_status("busy", cell("1"))
    requests.has_status("idle", cell("1"))
    assert changes == [1], "at work all the time"
    requests.has_status("busy", cell("2"))
    requests.has_status("idle", cell("2"))
    assert changes == [1, 0]
    requests.has_status("busy", cell("3"))
    assert changes == [1, 0, 1], "sent by a client of another server"
    requests.last_client_left()
    assert changes == [1, 0, 1, 0]

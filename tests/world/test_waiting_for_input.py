"""Whether a kernel waits in ``input()``, as the messages about its requests show it."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_cells import cell, running


class TestInput:
    def test_kernel_waits_in_input_until_the_reply_or_the_end_of_the_cell(self) -> None:
        requests = running()
        requests.asks_for_input("1")
        assert requests.waits_for_input("idle"), "whatever its manager says"
        requests.has_status("idle", cell("2"))
        assert requests.waits_for_input("idle")
        requests.has_status("idle", cell("1"))
        assert not requests.waits_for_input("busy")

    def test_state_of_the_manager_ends_input_without_any_listener(self) -> None:
        requests = running()
        requests.asks_for_input("1")
        requests.last_client_left()
        assert requests.waits_for_input("busy")
        assert not requests.waits_for_input("idle")

    @pytest.mark.parametrize(("waiting", "working"), [(None, "sub"), ("sub", None)])
    def test_kernel_that_runs_another_cell_does_not_only_wait(
        self, waiting: str | None, working: str | None
    ) -> None:
        """A kernel with subshells runs a cell beside the cell that waits in ``input()``."""
        requests = running(cell(subshell=waiting))
        requests.has_status("busy", cell("2", working))
        requests.asks_for_input("1")
        assert not requests.waits_for_input("busy")
        requests.has_status("idle", cell("2", working))
        assert requests.waits_for_input("busy")

    def test_question_of_a_subshell_outlasts_a_cell_of_the_main_shell(self) -> None:
        requests = running(cell(subshell="sub"))
        requests.asks_for_input("1")
        requests.has_status("busy", cell("2"))
        assert not requests.waits_for_input("busy")
        requests.has_status("idle", cell("2"))
        assert requests.waits_for_input("busy")

    @pytest.mark.parametrize(
        ("answer", "waits"), [("question-1", False), ("question-2", False), ("unknown", False)]
    )
    def test_kernel_waits_while_each_of_its_cells_waits(self, answer: str, waits: bool) -> None:
        requests = running(cell("1"), cell("2", "sub"))
        requests.asks_for_input("1", "question-1")
        requests.asks_for_input("2", "question-2")
        assert requests.waits_for_input("busy")
        requests.input_answered(answer)
        assert requests.waits_for_input("busy") is waits, "the answered cell works"
        if answer != "unknown":
            requests.has_status("idle", cell(answer[-1], "sub" if answer[-1] == "2" else None))
            assert requests.waits_for_input("busy"), "the other cell still waits"

    def test_cell_that_waits_for_its_turn_does_not_run(self) -> None:
        requests = running()
        requests.asks_for_input("1")
        requests.sent(cell("2"))
        assert requests.waits_for_input("busy")

    def test_kernel_may_still_run_the_other_cell_when_the_last_client_has_left(self) -> None:
        requests = running(cell(subshell="sub"))
        requests.has_status("busy", cell("2"))
        requests.asks_for_input("1")
        requests.last_client_left()
        assert not requests.waits_for_input("busy")


@pytest.mark.parametrize(
    ("later", "waits"),
    [
        (("busy", cell("2")), False),
        (("starting", {}), False),
        (("busy", cell("2", "subshell")), False),
        (("idle", cell("2", "subshell")), True),
        (("busy", {"msg_type": "complete_request", "msg_id": "2"}), False),
        (("idle", {"msg_type": "complete_request", "msg_id": "2"}), True),
        (("busy", cell("1")), True),
    ],
    ids=[
        "another cell",
        "a restart",
        "a cell in a subshell",
        "the end of a cell in a subshell",
        "a completion",
        "the end of a completion",
        "its own cell",
    ],
)
def test_a_kernel_that_runs_another_cell_does_not_wait_in_input(
    later: tuple[str, dict[str, Any]], waits: bool
) -> None:
    """Every page was closed while a remote kernel waited, so no client received the end of the
    cell."""
    requests = running(cell("1"))
    requests.asks_for_input("1")
    requests.last_client_left()
    requests.has_status(*later)
    assert requests.waits_for_input("busy") is waits

"""The questions of ``input()`` that wait for an answer, in one kernel."""

from __future__ import annotations

from typing import NamedTuple


class InputQuestion(NamedTuple):
    """A question of ``input()``: the id of its message, and of the subshell that asks it."""

    message_id: str
    subshell: str | None


class InputQuestions(dict[str, InputQuestion]):
    """The questions that wait for an answer, by the id of the request that asks."""

    def answered(self, message_id: str) -> None:
        """A client answers the message ``message_id``. If this server does not know that question,
        it cannot tell which request continues. Then it forgets all questions, so that the kernel
        does not count as one that only waits."""
        asked = {question.message_id: request_id for request_id, question in self.items()}
        if message_id in asked:
            del self[asked[message_id]]
        else:
            self.clear()

    def main_shell_runs(self, request_id: str) -> None:
        """The main shell runs the cell ``request_id``. So it no longer waits in ``input()`` of an
        earlier cell; a subshell may. This server did not see the end of that cell if every page was
        closed when somebody interrupted it or restarted the kernel."""
        for waiting, question in list(self.items()):
            if waiting != request_id and question.subshell is None:
                del self[waiting]

"""Name the requests to a kernel that count as activity, and describe one unfinished request.

kernel_requests.py follows these requests for each kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The message types of requests that a person or a person's program makes. Pages send other types
#: on their own (kernel_info, comm_info, history, debug, create_subshell), and this extension and
#: jupyter-resource-usage send usage_request. Those are no activity.
USER_REQUESTS = frozenset(
    {
        "execute_request",
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "comm_msg",
        "interrupt_request",
    }
)

#: The requests that run code. An interrupt runs none, and the interrupted cell reports its own end.
CODE_REQUESTS = USER_REQUESTS - {"interrupt_request"}

#: A request that has not begun never reached the kernel if the shell has answered this number of
#: later questions. One answer is not enough: the shell takes turns between its clients, so a
#: question can overtake a cell that waits behind another cell. A request to a subshell ends when
#: the subshell is missing in this number of lists of the kernel's subshells.
ANSWERS_BEFORE_LOST = 2


@dataclass
class Request:
    """One unfinished request.

    - ``subshell``: the id of the subshell to which it was sent (None: to the main shell).
    - ``since``: when it was sent, or when it began, in monotonic seconds.
    - ``started``: the kernel has reported ``busy`` for it.
    - ``answers``: the number of answers to later questions that suggest that it was lost.
    - ``end_may_be_missed``: its end may have passed unseen, because this server received no status
      of the kernel for a time.
    """

    subshell: str | None
    since: float
    started: bool
    answers: int = 0
    end_may_be_missed: bool = False

"""Name the types of requests to a kernel: those that count as activity, and those that run code.

kernel_requests.py follows the requests of each kernel.
"""

from __future__ import annotations

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

#: Requests whose status messages do not change the state that jupyter_server 2.15 and newer report,
#: unless that state is ``starting``.
UNTRACKED = frozenset(
    {
        "comm_info_request",
        "debug_request",
        "interrupt_request",
        "kernel_info_request",
        "shutdown_request",
    }
)

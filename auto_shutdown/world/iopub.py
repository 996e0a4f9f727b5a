"""What a kernel's messages say of activity.

For kernels in this server's reach each message on the IOPub channel is listened to: before
jupyter_server 2.15 ``last_activity`` moves with every reconnect and every debugger's question, and
never does it tell a cell that was run from a thread that prints for ever.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..core.model import Heard
from .kernel_access import pid_of

#: Requests that a person (or a program of theirs) makes of a kernel. Not here: what tabs send by
#: themselves (kernel_info, comm_info, history, debug_request), and usage_request, which is ours.
COUNTS = frozenset(
    {
        "execute_request",
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "comm_msg",
        "interrupt_request",
    }
)

#: What a kernel says by itself.
OUTPUT = frozenset(
    {
        "stream",
        "display_data",
        "update_display_data",
        "execute_result",
        "error",
        "clear_output",
        "comm_msg",
    }
)

#: More than these are not listened to, but read by their ``last_activity``: each costs a socket,
#: and a process has only so many.
MOST = 200

DELIMITER = b"<IDS|MSG>"

#: zmq.POLLIN, which is not imported for one number.
POLLIN = 1

_log = logging.getLogger(__name__)


class Ear:
    """Listens to one kernel."""

    def __init__(self) -> None:
        self._request_at: datetime | None = None
        self._output_at: datetime | None = None
        self._asked_by_page = ""
        self.stopped = False
        self._stream: Any = None

    @property
    def heard(self) -> Heard:
        return Heard(self._request_at, self._output_at)

    def open(self, kernel: Any) -> bool:
        """Connect to the kernel; False where that is not possible."""
        stream = kernel.connect_iopub()
        if not hasattr(stream, "on_recv"):
            stream.close()
            return False
        self._stream = stream
        stream.on_recv(self.hear)
        return True

    def close(self) -> None:
        if self._stream is not None and not self._stream.closed():
            self._stream.close()

    def catch_up(self) -> None:
        """Hear at once what has arrived and waits for its turn on the server's loop."""
        if self._stream is not None and not self._stream.closed():
            self._stream.flush(POLLIN)

    def hear(self, parts: list[bytes]) -> None:
        """Take note of one message, given as it comes from the wire. Never raises: it is called
        by the server's event loop."""
        try:
            start = parts.index(DELIMITER)
            header, parent = json.loads(parts[start + 2]), json.loads(parts[start + 3])
            self._note(str(header.get("msg_type")), parent or {}, parts[start + 5])
        except (ValueError, IndexError, AttributeError, TypeError):
            _log.debug("auto_shutdown: a message of a kernel cannot be read")

    def _note(self, kind: str, parent: dict[str, Any], content: bytes) -> None:
        now = datetime.now(timezone.utc)
        asked_for = parent.get("msg_type")
        if kind == "status":
            state = json.loads(content).get("execution_state")
            if state == "starting" or (asked_for in COUNTS and asked_for != "comm_msg"):
                self._request_at = now
                self.stopped = False
            elif (
                asked_for == "comm_msg"
                and state == "idle"
                # A page that opens asks all widgets for their state; nobody moved one.
                and parent.get("msg_id") != self._asked_by_page
            ):
                self._request_at = now
        elif kind == "debug_event":
            self.stopped = _stopped(json.loads(content).get("event"), self.stopped)
        elif kind in OUTPUT:
            if kind == "comm_msg" and asked_for == "comm_msg":
                if json.loads(content).get("data", {}).get("method") == "update_states":
                    self._asked_by_page = str(parent.get("msg_id"))
                return
            self._output_at = now


def _stopped(event: Any, before: bool) -> bool:
    if event == "stopped":
        return True
    return False if event in ("continued", "terminated", "exited") else before


class IOPubListener:
    """Listens to the kernels of one manager, where that runs them itself."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._ears: dict[str, Ear | None] = {}

    def attend(self, kernel_ids: Iterable[str]) -> None:
        """Listen to these, and to no others any more."""
        there = set(kernel_ids)
        for gone in [kernel_id for kernel_id in self._ears if kernel_id not in there]:
            self._drop(gone)
        for kernel_id in there:
            if kernel_id not in self._ears and len(self._ears) < MOST:
                self._ears[kernel_id] = self._open(kernel_id)

    def ear(self, kernel_id: str) -> Ear | None:
        return self._ears.get(kernel_id)

    def close(self) -> None:
        for kernel_id in list(self._ears):
            self._drop(kernel_id)

    def _drop(self, kernel_id: str) -> None:
        ear = self._ears.pop(kernel_id)
        if ear is not None:
            ear.close()

    def _open(self, kernel_id: str) -> Ear | None:
        ear = Ear()
        try:
            # A kernel behind a gateway has the methods of a local one, but no address here.
            if pid_of(self._manager, kernel_id) is None:
                return None
            return ear if ear.open(self._manager.get_kernel(kernel_id)) else None
        except Exception:
            return None

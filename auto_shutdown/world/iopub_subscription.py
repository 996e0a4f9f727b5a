"""Activity of a kernel, from its IOPub channel.

This server subscribes to the IOPub channel of each kernel on this host (iopub.py), which carries
the kernel's messages to all clients. Jupyter's own time stamp ``last_activity`` is less exact:
before jupyter_server 2.15 every reconnect and every debugger request moves it, and it does not show
whether a cell ran or a thread printed.
"""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import datetime, timezone
from typing import Any

from ..core.model import IOPubActivity
from .kernel_requests import KernelRequests
from .request_types import USER_REQUESTS

#: The message types of a kernel's output.
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

DELIMITER = b"<IDS|MSG>"

#: The number of messages that may wait for the server's event loop; ZeroMQ drops the newest ones
#: above it. With the default of 1,000, a cell may show so many plots while the server is busy that
#: the message is lost which reports the end of the cell.
WAITING_MESSAGES = 100_000

#: At most so many messages are read at once before a removal. This blocks the server's event loop
#: for about 5 ms.
MOST_AT_ONCE = 500

#: The value of zmq.POLLIN. It is copied, so that this module need not import zmq.
POLLIN = 1

_log = logging.getLogger(__name__)


class IOPubSubscription:
    """Reads the IOPub channel of one kernel, and notes in ``requests`` which requests the kernel
    runs. ``in_debugger`` is True while the kernel is stopped at a breakpoint. ``pid`` is the id of
    the kernel's process (None: the kernel has announced a new process, and its id was not read
    yet). ``port`` is the port to which the subscription is connected."""

    def __init__(self, requests: KernelRequests | None = None, pid: int | None = None) -> None:
        self.requests = requests or KernelRequests()
        self.pid = pid
        self.port: Any = None
        self.in_debugger = False
        self._request_at: datetime | None = None
        self._output_at: datetime | None = None
        self._sent_by_page = ""
        self._stream: Any = None

    @property
    def activity(self) -> IOPubActivity:
        return IOPubActivity(self._request_at, self._output_at)

    def open(self, kernel: Any) -> bool:
        """Connect to the kernel. Returns False if that is not possible."""
        stream = kernel.connect_iopub()
        if not hasattr(stream, "on_recv"):
            stream.close()
            return False
        self._stream, self.port = stream, port_of(kernel)
        with contextlib.suppress(Exception):  # a stream of another kind keeps its own limit
            _let_messages_wait(stream.socket)
        try:
            stream.on_recv(self.receive)
        except BaseException:
            stream.close()
            raise
        self.requests.on_iopub = True
        return True

    def begins_late(self) -> None:
        """Count this moment as a request, because this server did not read the channel until now. A
        cell may have run meanwhile, and its messages are lost. ``last_activity`` showed that cell,
        but from now on the messages replace ``last_activity``."""
        self._request_at = datetime.now(timezone.utc)

    def process_ended(self) -> None:
        """The kernel's process has ended, and another one starts."""
        # The requests of the ended process are dropped already. None prevents that the new process
        # id, once it is read, ends the requests of the new process.
        self.pid = None
        self.in_debugger = False

    def close(self) -> None:
        self.requests.iopub_closed()
        if self._stream is not None and not self._stream.closed():
            self._stream.close()

    def catch_up(self) -> bool:
        """Read the messages that have arrived, but that the event loop has not handled yet. Returns
        False if there may be more: the kernel may send faster than this server reads."""
        if self._stream is None or self._stream.closed():
            return True
        return bool(self._stream.flush(POLLIN, MOST_AT_ONCE) < MOST_AT_ONCE)

    def receive(self, parts: list[bytes]) -> None:
        """Take note of one message as it comes from the wire. Never raises: the server's event
        loop calls it."""
        try:
            start = parts.index(DELIMITER)
            header, parent = json.loads(parts[start + 2]), json.loads(parts[start + 3])
            self._note(str(header.get("msg_type")), parent or {}, parts[start + 5])
        except (ValueError, IndexError, AttributeError, TypeError):
            _log.debug("auto_shutdown: a message of a kernel cannot be read")

    def _note(self, kind: str, parent: dict[str, Any], content: bytes) -> None:
        now = datetime.now(timezone.utc)
        parent_kind = parent.get("msg_type")
        if kind == "status":
            state = str(json.loads(content).get("execution_state"))
            self.requests.has_status(state, parent)
            if state == "busy" and parent_kind == "usage_request":
                self.requests.usage_answers += 1
            if state == "starting":
                self.process_ended()
            if state == "starting" or (parent_kind in USER_REQUESTS and parent_kind != "comm_msg"):
                self._request_at = now
                self.in_debugger = False
            elif (
                parent_kind == "comm_msg"
                and state == "idle"
                # A page that opens asks for the state of all widgets. No person caused this.
                and parent.get("msg_id") != self._sent_by_page
            ):
                self._request_at = now
        elif kind == "execute_input":
            self.requests.runs_cell(parent)
        elif kind == "shutdown_reply":
            self.requests.ended()
        elif kind == "debug_event":
            event = json.loads(content).get("event")
            self.in_debugger = _is_stopped_after(event, self.in_debugger)
        elif kind in OUTPUT:
            if kind == "comm_msg" and parent_kind == "comm_msg":
                if json.loads(content).get("data", {}).get("method") == "update_states":
                    self._sent_by_page = str(parent.get("msg_id"))
                return
            self._output_at = now


def _let_messages_wait(socket: Any) -> None:
    """Raise the number of messages that may wait. The option affects only later connections, so
    connect again."""
    import zmq

    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    socket.disconnect(endpoint)
    socket.setsockopt(zmq.RCVHWM, WAITING_MESSAGES)
    socket.connect(endpoint)


def _is_stopped_after(event: Any, before: bool) -> bool:
    if event == "stopped":
        return True
    return False if event in ("continued", "terminated", "exited") else before


def port_of(kernel: Any) -> Any:
    """The port of the kernel's IOPub channel (None: its manager does not name it)."""
    return getattr(kernel, "iopub_port", None)

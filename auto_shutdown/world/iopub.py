"""Activity of a kernel, from its IOPub channel.

This server subscribes to the IOPub channel of each kernel on this host, which carries the kernel's
messages to all clients. ``last_activity`` shows less: before jupyter_server 2.15 it moves with
every reconnect and every debugger request, and it does not distinguish a cell from a thread that
prints.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..core.model import IOPubActivity
from .kernel_access import pid_of
from .requests import COUNTS, KernelRequests, Requests

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

#: A server subscribes to at most this number of kernels, because each needs a socket. For the
#: others it uses ``last_activity`` and the messages that pass its websockets.
MOST = 200

DELIMITER = b"<IDS|MSG>"

#: The number of messages that may wait for the server's event loop. With the default of 1,000, a
#: cell that shows many plots while the server is busy loses messages, first the newest: the one
#: that reports the end of the cell.
WAITING_MESSAGES = 100_000

#: So many messages are read at once before a removal: about 5 ms of the server's loop.
MOST_AT_ONCE = 500

#: zmq.POLLIN, which is not imported for one number.
POLLIN = 1

_log = logging.getLogger(__name__)


class IOPubSubscription:
    """Reads the IOPub channel of one kernel, and updates ``requests``: which of the kernel's
    requests run. ``in_debugger`` is True while the kernel is stopped at a breakpoint."""

    def __init__(self, requests: KernelRequests | None = None, pid: int | None = None) -> None:
        self.requests = requests or KernelRequests()
        self.pid = pid
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
        self._stream = stream
        with contextlib.suppress(Exception):  # a stream of another kind keeps its own limit
            _let_messages_wait(stream.socket)
        stream.on_recv(self.receive)
        self.requests.on_iopub = True
        return True

    def close(self) -> None:
        self.requests.iopub_closed()
        if self._stream is not None and not self._stream.closed():
            self._stream.close()

    def catch_up(self) -> bool:
        """Read the messages that have arrived and wait for their turn on the server's loop. Returns
        whether these were all: the kernel may send faster than this server reads."""
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
            if state == "starting":
                self.pid = None  # this message told of the new process and ended what ran before
            if state == "starting" or (parent_kind in COUNTS and parent_kind != "comm_msg"):
                self._request_at = now
                self.in_debugger = False
            elif (
                parent_kind == "comm_msg"
                and state == "idle"
                # A page that opens asks for the state of all widgets. This is no use by a person.
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
    """Raise the number of messages that may wait. It holds for connections made after it."""
    import zmq

    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    socket.disconnect(endpoint)
    socket.setsockopt(zmq.RCVHWM, WAITING_MESSAGES)
    socket.connect(endpoint)


def _is_stopped_after(event: Any, before: bool) -> bool:
    if event == "stopped":
        return True
    return False if event in ("continued", "terminated", "exited") else before


class IOPubListener:
    """Subscribes to the kernels of one manager, if they run on this host."""

    def __init__(self, manager: Any, requests: Requests | None = None) -> None:
        self._manager = manager
        self._requests = requests or Requests()
        self._subscriptions: dict[str, IOPubSubscription | None] = {}

    def attend(self, kernel_ids: Iterable[str], unreadable: Iterable[str] = ()) -> None:
        """Subscribe to these kernels, and end the subscriptions to all others. A subscription to a
        kernel that is ``unreadable`` at the moment goes on: it must not miss the end of a cell."""
        readable = set(kernel_ids)
        there = readable.union(unreadable)
        for gone in [kernel_id for kernel_id in self._subscriptions if kernel_id not in there]:
            self._drop(gone)
        for kernel_id in readable:
            subscription = self._subscriptions.get(kernel_id)
            if subscription is not None:
                self._notice_a_new_process(kernel_id, subscription)
            elif kernel_id not in self._subscriptions:
                self.subscribe(kernel_id)

    def subscribe(self, kernel_id: str) -> None:
        """Subscribe to one kernel, if that is possible and there are not too many."""
        if kernel_id not in self._subscriptions and len(self._subscriptions) < MOST:
            self._subscriptions[kernel_id] = self._open(kernel_id)

    def notice_restart(self, kernel_id: str) -> None:
        """Take note if the kernel has another process than when it was last looked at."""
        subscription = self._subscriptions.get(kernel_id)
        if subscription is not None:
            self._notice_a_new_process(kernel_id, subscription)

    def subscription(self, kernel_id: str) -> IOPubSubscription | None:
        return self._subscriptions.get(kernel_id)

    def close(self) -> None:
        for kernel_id in list(self._subscriptions):
            self._drop(kernel_id)

    def _notice_a_new_process(self, kernel_id: str, subscription: IOPubSubscription) -> None:
        """A restart by SIGKILL leaves no message; it changes the process."""
        pid = pid_of(self._manager, kernel_id)
        if pid is not None and pid != subscription.pid:
            if subscription.pid is not None:
                subscription.requests.ended()
            subscription.pid = pid

    def _drop(self, kernel_id: str) -> None:
        subscription = self._subscriptions.pop(kernel_id)
        if subscription is not None:
            subscription.close()

    def _open(self, kernel_id: str) -> IOPubSubscription | None:
        try:
            # A kernel behind a gateway has the methods of a local one, but no address here.
            pid = pid_of(self._manager, kernel_id)
            if pid is None:
                return None
            subscription = IOPubSubscription(self._requests.of(kernel_id), pid)
            return subscription if subscription.open(self._manager.get_kernel(kernel_id)) else None
        except Exception:
            return None

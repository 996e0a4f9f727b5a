"""Activity of a kernel, from its IOPub channel.

This server subscribes to the IOPub channel of each kernel on this host, which carries the kernel's
messages to all clients. Jupyter's own time stamp ``last_activity`` is less exact: before
jupyter_server 2.15 every reconnect and every debugger request moves it, and it does not show
whether a cell ran or a thread printed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..core.model import IOPubActivity
from .kernel_access import kernel_of, pid_of
from .kernel_requests import KernelRequests, Requests
from .user_requests import USER_REQUESTS

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

#: The number of messages that may wait for the server's event loop; ZeroMQ drops the newest ones
#: above it. With the default of 1,000, a cell may show so many plots while the server is busy that
#: the message is lost which reports the end of the cell.
WAITING_MESSAGES = 100_000

#: After a failed attempt to subscribe to a kernel the next one follows after this time (seconds).
#: It doubles with each failure, up to the second value.
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 300.0

#: While the attempts to subscribe to a kernel fail, its state counts as unknown, but only for this
#: time (seconds). Temporary causes, such as a lack of file descriptors, are over by then. Without
#: this limit, a kernel whose channel can never be read would never be removed.
UNKNOWN_SECONDS = 600.0

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
        self._stream, self.port = stream, _port_of(kernel)
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


@dataclass
class MissingSubscription:
    """The state of a subscription that does not exist.

    - ``retry_at``: when the next attempt to subscribe to the kernel begins (monotonic seconds).
    - ``delay``: the seconds from that attempt to the one after it, if it fails. Each failure
      doubles them.
    - ``failure``: why the last attempt failed. It is empty if there was nothing to try, because the
      kernel has no process on this host (or none yet), or because this server has too many
      subscriptions.
    - ``failing_since``: when the attempts began to fail.
    """

    retry_at: float = 0.0
    delay: float = FIRST_RETRY_SECONDS
    failure: str = ""
    failing_since: float | None = None


class IOPubListener:
    """Subscribes to the kernels of one manager, if they run on this host. ``now`` is monotonic
    seconds."""

    def __init__(
        self,
        manager: Any,
        requests: Requests | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager = manager
        self._requests = requests or Requests()
        self._now = now
        self._subscriptions: dict[str, IOPubSubscription] = {}
        self._missing: dict[str, MissingSubscription] = {}

    def attend(self, kernel_ids: Iterable[str], unreadable: Iterable[str] = ()) -> None:
        """Subscribe to these kernels, and end the subscriptions to all others. A subscription to a
        kernel that is ``unreadable`` at the moment goes on: it must not miss the end of a cell."""
        readable = set(kernel_ids)
        there = readable.union(unreadable)
        for gone in self._subscriptions.keys() - there:
            self._drop(gone)
        for gone in self._missing.keys() - there:
            del self._missing[gone]
        for kernel_id in readable:
            self.attend_to(kernel_id)

    def attend_to(self, kernel_id: str) -> None:
        """Notice whether the kernel has a new process since the last call. If there is no
        subscription to the kernel, subscribe to it, unless an attempt failed a short time ago."""
        subscription = self._subscriptions.get(kernel_id)
        if subscription is None:
            self.subscribe(kernel_id)
        else:
            self._notice_a_new_process(kernel_id, subscription)

    def subscribe(self, kernel_id: str) -> None:
        """Subscribe to one kernel, if that is possible and there are not too many."""
        missing = self._missing.get(kernel_id)
        if kernel_id in self._subscriptions or (missing and missing.retry_at > self._now()):
            return
        if len(self._subscriptions) >= MOST:
            if missing is None:
                self._missing[kernel_id] = MissingSubscription()
            return
        subscription, failure = self._open(kernel_id)
        if subscription is None:
            self._try_again_later(kernel_id, missing or MissingSubscription(), failure)
            return
        self._subscriptions[kernel_id] = subscription
        if missing is not None:
            subscription.begins_late()
            del self._missing[kernel_id]
            if missing.failure:
                _log.info("auto_shutdown: the messages of kernel %s can be read again", kernel_id)

    def _try_again_later(self, kernel_id: str, missing: MissingSubscription, failure: str) -> None:
        now = self._now()
        if failure and not missing.failure:
            _log.warning(
                "auto_shutdown: the messages of kernel %s cannot be read (%s). It is tried again.",
                kernel_id,
                failure,
            )
        missing.failing_since = (missing.failing_since or now) if failure else None
        missing.failure, missing.retry_at = failure, now + missing.delay
        missing.delay = min(2 * missing.delay, LONGEST_RETRY_SECONDS)
        self._missing[kernel_id] = missing

    def why_unknown(self, kernel_id: str) -> str:
        """Why the subscription to the kernel fails, so that its state is unknown. Empty for a
        kernel with a subscription, for a kernel to which this server does not try to subscribe, and
        after ``UNKNOWN_SECONDS`` of failures, because such a kernel would otherwise be kept for
        ever. Kernels of the last two groups are judged by the state that their manager reports and
        by their shell, which must answer before a removal."""
        missing = self._missing.get(kernel_id)
        if missing is None or missing.failing_since is None:
            return ""
        return "" if self._now() - missing.failing_since >= UNKNOWN_SECONDS else missing.failure

    def subscription(self, kernel_id: str) -> IOPubSubscription | None:
        return self._subscriptions.get(kernel_id)

    def process_ended(self, kernel_id: str) -> None:
        """The manager has noticed that the process of the kernel has died, and starts another one.
        The subscription goes on: ZeroMQ connects it to the new process."""
        requests, subscription = self._requests.of(kernel_id), self._subscriptions.get(kernel_id)
        requests.process_ended()
        if subscription is not None:
            subscription.process_ended()

    def close(self) -> None:
        for kernel_id in list(self._subscriptions):
            self._drop(kernel_id)

    def _notice_a_new_process(self, kernel_id: str, subscription: IOPubSubscription) -> None:
        """End the kernel's requests if it has a new process: a restart by SIGKILL sends no message.
        Subscribe again if the kernel has a new port: Jupyter gives new ports to a kernel that died
        while it was starting."""
        pid = pid_of(self._manager, kernel_id)
        if pid is None or pid == subscription.pid:
            return
        if subscription.pid is not None:
            subscription.requests.ended()
        subscription.pid = pid
        if subscription.port != _port_of(kernel_of(self._manager, kernel_id)):
            self._drop(kernel_id)
            self._missing[kernel_id] = MissingSubscription()
            self.subscribe(kernel_id)

    def _drop(self, kernel_id: str) -> None:
        self._subscriptions.pop(kernel_id).close()

    def _open(self, kernel_id: str) -> tuple[IOPubSubscription | None, str]:
        """A new subscription to the kernel; or None, and why it failed (empty: the kernel has no
        process on this host)."""
        try:
            # A kernel behind a gateway has the methods of a local one, but no address here.
            pid = pid_of(self._manager, kernel_id)
            if pid is None:
                return None, ""
            subscription = IOPubSubscription(self._requests.of(kernel_id), pid)
            opened = subscription.open(self._manager.get_kernel(kernel_id))
            return (subscription if opened else None), ""
        except Exception as error:
            return None, getattr(error, "strerror", None) or type(error).__name__


def _port_of(kernel: Any) -> Any:
    return getattr(kernel, "iopub_port", None)

"""Observe the messages between kernels and their clients on this server's websockets.

These messages show that a kernel waits in ``input()`` (its manager only reports ``busy``), and they
show a request before the kernel receives it. For kernels in other containers, they also show the
beginning and end of each request. While a kernel is shut down, this module holds its clients'
messages back.

:mod:`.websocket_handlers` reports the messages of the server's websocket handlers to this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any

from .kernel_messages import LONGEST_STATUS, read
from .request_types import USER_REQUESTS
from .requests_by_kernel import Requests

#: The messages of a client that matter here.
INCOMING = USER_REQUESTS | {"input_reply"}

#: The messages of a kernel that matter here.
OUTGOING = frozenset(
    {"status", "execute_input", "execute_reply", "input_request", "shutdown_reply"}
)

#: A page that opens asks its widgets for their state. This is no use by a person.
_SENT_BY_PAGES = frozenset({"request_state", "request_states"})

#: How many messages, and bytes, of its clients wait while a kernel is shut down. When more has
#: arrived, the next message of each connection stays in its socket.
MOST_HELD = 1000
MOST_HELD_BYTES = 16 * 1024 * 1024

#: Seconds that a held message may take to reach the kernel before the next one is forwarded.
FORWARD_SECONDS = 5.0

Forward = Callable[[], Any]


class HeldMessages:
    """Messages from clients, held back while their kernel is shut down. If the shutdown does not
    end the kernel, they are forwarded to it.

    ``holders`` is the number of shutdowns in progress, which may overlap. At zero, the messages are
    forwarded.
    """

    def __init__(self) -> None:
        self.forwards: deque[Forward] = deque()
        self.holders = 0
        self.is_forwarding = False
        self._bytes = 0
        self._end: asyncio.Future[None] | None = None

    def add(self, message: Any, forward: Forward) -> asyncio.Future[None] | None:
        """Take one message. If too many messages are held, this returns a future that ends when
        they have been forwarded. A handler that returns this future to tornado gets no further
        message before that."""
        self.forwards.append(forward)
        self._bytes += len(message)
        if len(self.forwards) < MOST_HELD and self._bytes < MOST_HELD_BYTES:
            return None
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
        return self._end

    def clear(self) -> None:
        """Drop the messages: their kernel is gone."""
        self.forwards.clear()

    def end(self) -> None:
        """The connections may deliver their next messages."""
        if self._end is not None and not self._end.done():
            self._end.set_result(None)


class WebsocketClients:
    """Follows the requests of this server's clients."""

    def __init__(self, requests: Requests | None = None) -> None:
        self.requests = requests or Requests()
        self._connections: dict[str, set[int]] = {}
        self._held: dict[str, HeldMessages] = {}
        self._late: set[asyncio.Future[Any]] = set()

    def request_sent_at(self, kernel_id: str) -> datetime | None:
        """When a client of this server last sent the kernel a request that counts."""
        known = self.requests.known(kernel_id)
        return known.sent_at if known is not None else None

    def connections(self, kernel_id: str) -> int:
        """The number of clients that are connected to the kernel through this server."""
        return len(self._connections.get(kernel_id, ()))

    def keep_only(self, kernel_ids: Collection[str]) -> None:
        """Forget the kernels that are not there any more."""
        self.requests.keep_only(kernel_ids)

    @contextlib.contextmanager
    def held_back(self, kernel_id: str) -> Iterator[HeldMessages]:
        """Hold back what clients send to the kernel, while the body runs. Then forward the messages
        that are still held, in their order. The caller clears them if the kernel is gone."""
        held = self._held.setdefault(kernel_id, HeldMessages())
        held.holders += 1
        try:
            yield held
        finally:
            held.holders -= 1
            if not held.is_forwarding:
                self._forward(kernel_id, held)

    def _forward(self, kernel_id: str, held: HeldMessages) -> None:
        """Forward the held messages until another shutdown holds them. A message that arrives
        meanwhile waits behind them. Some handlers forward a message in a coroutine: the next
        message waits for its end, so that the kernel receives them in order."""
        while held.forwards and not held.holders:
            sent = None
            with contextlib.suppress(Exception):  # its client may have left meanwhile
                sent = held.forwards.popleft()()
            if inspect.isawaitable(sent):
                held.is_forwarding = True
                task = asyncio.ensure_future(self._forward_after(sent, kernel_id, held))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return
        if not held.holders:
            del self._held[kernel_id]
            held.end()

    async def _forward_after(self, sent: Any, kernel_id: str, held: HeldMessages) -> None:
        """Wait for a message that a handler forwards, for at most ``FORWARD_SECONDS``. Then forward
        the next one."""
        sending = asyncio.ensure_future(sent)
        self._late.add(sending)
        sending.add_done_callback(self._late.discard)
        await asyncio.wait({sending}, timeout=FORWARD_SECONDS)
        if sending.done() and not sending.cancelled():
            sending.exception()  # its client may have left meanwhile
        held.is_forwarding = False
        self._forward(kernel_id, held)

    def pass_on(self, kernel_id: str, message: Any, forward: Forward) -> Any:
        """Note a message from a client, and forward it to the kernel unless it is held back."""
        with contextlib.suppress(Exception):  # the message may be malformed; the host handles it
            self.note_incoming(kernel_id, message)
        held = self._held.get(kernel_id)
        if held is None:
            return forward()
        return held.add(message, forward)

    def note_incoming(self, kernel_id: str, raw: Any) -> None:
        """A message from a client to the kernel."""
        message = read(raw, INCOMING)
        if message is None:
            return
        requests = self.requests.of(kernel_id)
        if message.kind == "input_reply":
            requests.input_answered(message.parent_id)
        elif not (message.kind == "comm_msg" and _is_sent_by_a_page(message.content)):
            requests.sent(message.header)

    def note_outgoing(self, kernel_id: str, raw: Any) -> None:
        """A message from the kernel to a client."""
        message = read(raw, OUTGOING, LONGEST_STATUS)
        if message is None:
            return
        requests = self.requests.of(kernel_id)
        if message.kind == "status":
            requests.has_status(str(message.content.get("execution_state")), message.parent)
        elif message.kind == "execute_input":
            requests.runs_cell(message.parent)
        elif message.kind == "execute_reply":
            requests.has_finished(message.parent_id)
        elif message.kind == "input_request":
            requests.asks_for_input(message.parent_id, str(message.header.get("msg_id") or ""))
        else:
            requests.ended()

    def opened(self, kernel_id: str, connection: int) -> None:
        """A client has opened ``connection`` to the kernel."""
        self._connections.setdefault(kernel_id, set()).add(connection)
        self.requests.of(kernel_id).has_clients = True
        self.requests.changed(kernel_id)

    def closed(self, kernel_id: str, connection: int) -> None:
        """A client's ``connection`` to the kernel has closed."""
        connections = self._connections.get(kernel_id, set())
        connections.discard(connection)
        known = self.requests.known(kernel_id)
        if not connections:
            self._connections.pop(kernel_id, None)
            if known is not None:
                known.last_client_left()
        self.requests.changed(kernel_id)


def _is_sent_by_a_page(content: Any) -> bool:
    data = content.get("data")
    return isinstance(data, dict) and data.get("method") in _SENT_BY_PAGES

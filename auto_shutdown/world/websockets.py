"""What passes between a kernel and its clients, where this server carries it.

The one place where ``input()`` shows (to the kernel's manager such a kernel is busy, and would be
for ever), where a request is known before its kernel knows of it, and where one can be held back
from a kernel that is being shut down.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timezone
from typing import Any

from tornado.websocket import WebSocketHandler

from ..core.marks import BUSY, COMING_UP
from .iopub import COUNTS

#: Where jupyter_server (from 2.0) keeps the class of its websocket connections to kernels, made
#: to be replaced.
CONNECTION_CLASS = "kernel_websocket_connection_class"

#: Message types as they stand in a header. In what a cell says of itself the quotes are escaped.
_ASKING = tuple(f'"{name}"' for name in sorted(COUNTS - {"comm_msg"}))
_COMM = '"comm_msg"'
_CELL = '"execute_request"'

#: A page that opens asks its widgets for their state; nobody moved one.
_BY_ITSELF = '"request_state'

Forward = Callable[[], Any]


class WebsocketClients:
    """Knows which kernels wait for an answer to ``input()``, and when each was last asked."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._asked: dict[str, datetime] = {}
        self._given: set[str] = set()
        self._held: dict[str, list[Forward]] = {}
        self._late: set[asyncio.Future[Any]] = set()

    def watch(self, web_app: Any) -> None:
        """From now on, for connections that open. Where a server has neither a connection class
        nor the handlers of older ones, nothing is known."""
        base = web_app.settings.get(CONNECTION_CLASS)
        if isinstance(base, type):
            web_app.settings[CONNECTION_CLASS] = self._observed_connection(base)
            return
        for rule in _rules(web_app.default_router):
            target = rule.target
            if (
                isinstance(target, type)
                and issubclass(target, WebSocketHandler)
                and "channels" in _pattern(rule)
            ):
                rule.target = self._observed_handler(target)

    def waits(self, kernel_id: str) -> bool:
        return kernel_id in self._waiting

    def asked_at(self, kernel_id: str) -> datetime | None:
        """When a client of this server last asked it for something that counts."""
        return self._asked.get(kernel_id)

    def gave_cell(self, kernel_id: str) -> bool:
        """Whether a client of this server gave it a cell since it was last seen to have come up."""
        return kernel_id in self._given

    def seen(self, kernel_id: str, state: str) -> None:
        """It is in that state: what it can no longer wait for, or be about to begin, is over."""
        if state != BUSY:
            self._waiting.discard(kernel_id)
        if state not in COMING_UP:
            self._given.discard(kernel_id)

    def attend(self, kernel_ids: Collection[str]) -> None:
        """These kernels there are, and no others any more."""
        for gone in [kernel_id for kernel_id in self._asked if kernel_id not in kernel_ids]:
            del self._asked[gone]
        self._given.intersection_update(kernel_ids)

    @contextlib.contextmanager
    def held_back(self, kernel_id: str) -> Iterator[list[Forward]]:
        """What clients send to that kernel waits. At the end it goes on its way after all, but
        for what was taken out of the list: where the kernel is gone, there is nowhere to go."""
        held = self._held.setdefault(kernel_id, [])
        try:
            yield held
        finally:
            del self._held[kernel_id]
            for forward in held:
                with contextlib.suppress(Exception):  # its client may have left meanwhile
                    sent = forward()
                    if inspect.isawaitable(sent):
                        self._late.add(task := asyncio.ensure_future(sent))
                        task.add_done_callback(self._late.discard)

    def _pass_on(self, kernel_id: str, message: Any, forward: Forward) -> Any:
        with contextlib.suppress(Exception):
            self.note_incoming(kernel_id, message)
        held = self._held.get(kernel_id)
        if held is None:
            return forward()
        held.append(forward)
        return None

    def _observed_connection(self, base: Any) -> type:
        clients = self

        class Observed(base):  # type: ignore[misc]
            """As the host's own, and tells of ``input()`` and of requests."""

            def handle_outgoing_message(self, *message: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_outgoing(self.kernel_id, *message)
                return super().handle_outgoing_message(*message, **more)

            def handle_incoming_message(self, message: Any, *rest: Any, **more: Any) -> Any:
                onward = super().handle_incoming_message
                return clients._pass_on(
                    getattr(self, "kernel_id", ""), message, lambda: onward(message, *rest, **more)
                )

        return _named_as(base, Observed)

    def _observed_handler(self, base: Any) -> type:
        """The same for the websocket handlers of jupyter_server 2.0.0rc3 and before."""
        clients = self

        class Observed(base):  # type: ignore[misc]
            """As the host's own, and tells of ``input()`` and of requests."""

            def write_message(self, message: Any, *rest: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_outgoing(self.kernel_id, message)
                return super().write_message(message, *rest, **more)

            def on_message(self, message: Any) -> Any:
                onward = super().on_message
                return clients._pass_on(
                    getattr(self, "kernel_id", ""), message, lambda: onward(message)
                )

        return _named_as(base, Observed)

    def note_outgoing(self, kernel_id: str, *message: Any) -> None:
        """A message from kernel to client: of a local kernel its channel and parts, else the text
        of the whole. (What a kernel prints stands in it with its quotes escaped.)"""
        if len(message) > 1:
            channel = message[0]
            name = channel if isinstance(channel, str) else getattr(channel, "channel", "")
            asks = name == "stdin"
        elif isinstance(message[0], bytes):
            asks = b'"input_request"' in message[0]
        else:
            asks = '"input_request"' in message[0]
        if asks:
            self._waiting.add(kernel_id)

    def note_incoming(self, kernel_id: str, message: Any) -> None:
        """A message from client to kernel. An answer ends the waiting; so does another cell, for
        it cannot be told whether that waits behind it (then the kernel only counts as busy)."""
        asks = any(_says(message, name) for name in _ASKING) or (
            _says(message, _COMM) and not _says(message, _BY_ITSELF)
        )
        if asks:
            self._asked[kernel_id] = datetime.now(timezone.utc)
            if _says(message, _CELL):
                self._given.add(kernel_id)
        if kernel_id in self._waiting and any(
            _says(message, name) for name in ("input_reply", "execute_request")
        ):
            self._waiting.discard(kernel_id)


def _says(message: Any, text: str) -> bool:
    return (text.encode() if isinstance(message, bytes) else text) in message


def _named_as(base: Any, observed: type) -> type:
    observed.__name__, observed.__qualname__ = base.__name__, base.__qualname__
    return observed


def _rules(router: Any) -> Iterator[Any]:
    """All rules below a router of tornado's."""
    for rule in getattr(router, "rules", ()):
        yield rule
        yield from _rules(rule.target)


def _pattern(rule: Any) -> str:
    return str(getattr(getattr(rule.matcher, "regex", None), "pattern", ""))

"""What passes between a kernel and its clients, where this server carries it: the one place where
``input()`` shows. To the kernel's manager such a kernel is busy, and would be for ever."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tornado.websocket import WebSocketHandler

#: Where jupyter_server (from 2.0) keeps the class of its websocket connections to kernels, made
#: to be replaced.
CONNECTION_CLASS = "kernel_websocket_connection_class"


class Clients:
    """Knows which kernels wait for an answer to ``input()``."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()

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

    def forget(self, kernel_id: str) -> None:
        """It is busy no more, or gone."""
        self._waiting.discard(kernel_id)

    def _observed_connection(self, base: Any) -> type:
        clients = self

        class Observed(base):  # type: ignore[misc]
            """As the host's own, and tells of ``input()``."""

            def handle_outgoing_message(self, *message: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_outgoing(self.kernel_id, *message)
                return super().handle_outgoing_message(*message, **more)

            def handle_incoming_message(self, *message: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_incoming(self.kernel_id, message[0])
                return super().handle_incoming_message(*message, **more)

        return _named_as(base, Observed)

    def _observed_handler(self, base: Any) -> type:
        """The same for the websocket handlers of jupyter_server 2.0.0rc3 and before."""
        clients = self

        class Observed(base):  # type: ignore[misc]
            """As the host's own, and tells of ``input()``."""

            def write_message(self, message: Any, *rest: Any, **more: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_outgoing(self.kernel_id, message)
                return super().write_message(message, *rest, **more)

            def on_message(self, message: Any) -> Any:
                with contextlib.suppress(Exception):
                    clients.note_incoming(self.kernel_id, message)
                return super().on_message(message)

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
        if kernel_id not in self._waiting:
            return
        names = ("input_reply", "execute_request")
        if isinstance(message, bytes):
            answered = any(name.encode() in message for name in names)
        else:
            answered = any(name in str(message) for name in names)
        if answered:
            self._waiting.discard(kernel_id)


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

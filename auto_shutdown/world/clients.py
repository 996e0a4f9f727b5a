"""What passes between a kernel and its clients, where this server carries it: the one place where
``input()`` shows. To the kernel's manager such a kernel is busy, and would be for ever."""

from __future__ import annotations

import contextlib
from collections.abc import MutableMapping
from typing import Any

#: Where jupyter_server (from 2.0) keeps the class of its websocket connections to kernels, made
#: to be replaced.
CONNECTION_CLASS = "kernel_websocket_connection_class"


class Clients:
    """Knows which kernels wait for an answer to ``input()``."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()

    def watch(self, settings: MutableMapping[str, Any]) -> None:
        """From now on, for connections that open. ``settings`` are the web application's; where
        there is no such class (jupyter_server before 2.0), nothing is known."""
        base = settings.get(CONNECTION_CLASS)
        if isinstance(base, type):
            settings[CONNECTION_CLASS] = self._observed(base)

    def waits(self, kernel_id: str) -> bool:
        return kernel_id in self._waiting

    def forget(self, kernel_id: str) -> None:
        """It is busy no more, or gone."""
        self._waiting.discard(kernel_id)

    def _observed(self, base: Any) -> type:
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

        Observed.__name__, Observed.__qualname__ = base.__name__, base.__qualname__
        return Observed

    def note_outgoing(self, kernel_id: str, *message: Any) -> None:
        """A message from kernel to client: of a local kernel its channel and parts, of one behind
        a gateway its text."""
        if len(message) > 1:
            channel = message[0]
            asks = (channel if isinstance(channel, str) else getattr(channel, "channel", "")) == (
                "stdin"
            )
        else:
            asks = isinstance(message[0], str) and '"input_request"' in message[0]
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

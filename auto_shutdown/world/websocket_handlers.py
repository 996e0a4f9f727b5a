"""Observe the websocket handlers of kernels from the start of the server on.

A client may connect before the rest of this extension is loaded. Its connection is observed only if
the handler was replaced before. So this module is imported with the extension, and imports
:mod:`.websockets` when the first client connects.

It observes the websocket handler and not the connection class, because other extensions replace
that class, and some do not call the methods of jupyter_server's class.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tornado.websocket import WebSocketHandler

if TYPE_CHECKING:
    from .websockets import WebsocketClients


class WebsocketHandlers:
    """The websocket handlers of one server, which report each message to ``clients``."""

    def __init__(self, clients: WebsocketClients | None = None) -> None:
        self._clients = clients
        self._observes = True

    @property
    def clients(self) -> WebsocketClients:
        """The clients that have connected so far."""
        if self._clients is None:
            from .websockets import WebsocketClients

            self._clients = WebsocketClients()
        return self._clients

    def watch(self, web_app: Any) -> None:
        """Observe the handlers of kernel websockets, except those that are observed already. A
        server without them is not observed."""
        for rule in _rules(web_app.default_router):
            target = rule.target
            if (
                isinstance(target, type)
                and issubclass(target, WebSocketHandler)
                and not hasattr(target, "is_observed_by_auto_shutdown")
                and "kernels" in _pattern(rule)
                and "channels" in _pattern(rule)
            ):
                rule.target = self._observed(target)

    def stop(self) -> None:
        """Observe nothing any more: this extension does not run."""
        self._observes = False

    def _observed(self, base: Any) -> type:
        handlers = self

        class Observed(base):  # type: ignore[misc]
            """The host's own handler, which reports each message that it carries."""

            is_observed_by_auto_shutdown = True

            def open(self, *args: Any, **more: Any) -> Any:
                if handlers._observes:
                    with contextlib.suppress(Exception):
                        handlers.clients.opened(self.kernel_id, id(self))
                return super().open(*args, **more)

            def on_close(self, *args: Any, **more: Any) -> Any:
                if handlers._observes:
                    with contextlib.suppress(Exception):
                        handlers.clients.closed(self.kernel_id, id(self))
                return super().on_close(*args, **more)

            def write_message(self, message: Any, *rest: Any, **more: Any) -> Any:
                if handlers._observes:
                    with contextlib.suppress(Exception):
                        handlers.clients.note_outgoing(self.kernel_id, message)
                return super().write_message(message, *rest, **more)

            def on_message(self, message: Any) -> Any:
                forward = super().on_message
                if not handlers._observes:
                    return forward(message)
                kernel_id = getattr(self, "kernel_id", "")
                return handlers.clients.pass_on(kernel_id, message, lambda: forward(message))

        Observed.__name__, Observed.__qualname__ = base.__name__, base.__qualname__
        return Observed


def _rules(router: Any) -> Iterator[Any]:
    """All rules below a router of tornado's."""
    for rule in getattr(router, "rules", ()):
        yield rule
        yield from _rules(rule.target)


def _pattern(rule: Any) -> str:
    return str(getattr(getattr(rule.matcher, "regex", None), "pattern", ""))

"""Replace the server's websocket handlers of kernels, so that this extension sees their messages.

The handlers must be replaced before a client connects, and a client may connect before the rest of
this extension is loaded. So this module is imported with the extension, and imports
:mod:`.websockets` only when the first client connects.

It replaces the websocket handler and not the connection class. Other extensions replace that class,
and some of their classes do not call the methods of jupyter_server's class.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tornado.websocket import WebSocketHandler

if TYPE_CHECKING:
    from ..core.faults import Fault
    from .websockets import WebsocketClients

#: The session ids of this extension's own connections begin with this.
OWN_SESSION_PREFIX = "auto-shutdown-"

#: In the pattern of a rule: the API of kernels, and not that of kernelspecs.
_OF_KERNELS = re.compile(r"api/kernels(?!pecs)")


class WebsocketHandlers:
    """The websocket handlers of one server, which report each message to ``clients``."""

    def __init__(self, clients: WebsocketClients | None = None) -> None:
        self._clients = clients
        self._observes = True
        self._finds_none = False

    @property
    def clients(self) -> WebsocketClients:
        """The clients that have connected so far."""
        if self._clients is None:
            from .websockets import WebsocketClients

            self._clients = WebsocketClients()
        return self._clients

    def _clients_or_none(self) -> WebsocketClients | None:
        """The clients; None if their module cannot be imported now (no file descriptors, or the
        package is being replaced). The next message tries again."""
        try:
            return self.clients
        except Exception:
            return None

    def watch(self, web_app: Any) -> None:
        """Replace each handler of kernel websockets by a subclass that reports to ``clients``, once
        each, and note whether there was any (``faults``). Call it again when other extensions may
        have added handlers. Raises any error if a router is not one of tornado's."""
        serves_kernels = is_observed = False
        for rule in _rules(web_app.default_router):
            target, pattern = rule.target, _pattern(rule)
            serves_kernels = serves_kernels or bool(_OF_KERNELS.search(pattern))
            if not (
                isinstance(target, type)
                and issubclass(target, WebSocketHandler)
                and "kernels" in pattern
                and "channels" in pattern
            ):
                continue
            if not hasattr(target, "is_observed_by_auto_shutdown"):
                rule.target = self._observed(target)
            is_observed = True
        self._finds_none = serves_kernels and not is_observed

    def faults(self, now: datetime) -> list[Fault]:
        """A fault if this server serves kernels, and none of its handlers is a kernel websocket. A
        server without kernels has nothing to observe."""
        if not self._finds_none:
            return []
        from ..core.faults import Fault
        from ..core.translatable import sentence

        message = sentence(
            "The websockets of this server's kernels are not observed: it has no handler for them "
            "that auto_shutdown knows. Cells in other containers, input() and the requests that "
            "arrive during a shutdown are not seen."
        )
        remedy = sentence(
            "Look for an extension that replaces the handler of api/kernels/…/channels, and report "
            "this. Each kernel's shell is still asked before a shutdown."
        )
        return [Fault("websockets", "NotObserved", message, remedy, now)]

    def stop(self) -> None:
        """Observe nothing any more: this extension does not run."""
        self._observes = False

    def _reports(self, connection: Any) -> bool:
        """Whether to report what a connection carries: not after ``stop``, and not if it is this
        extension's own."""
        return self._observes and not _is_own(connection)

    def _observed(self, base: Any) -> type:
        handlers = self

        class Observed(base):  # type: ignore[misc]
            """The host's own handler, which reports each message that it carries."""

            is_observed_by_auto_shutdown = True

            def open(self, *args: Any, **more: Any) -> Any:
                if handlers._reports(self):
                    with contextlib.suppress(Exception):
                        handlers.clients.opened(self.kernel_id, id(self))
                return super().open(*args, **more)

            def on_close(self, *args: Any, **more: Any) -> Any:
                if handlers._reports(self):
                    with contextlib.suppress(Exception):
                        handlers.clients.closed(self.kernel_id, id(self))
                return super().on_close(*args, **more)

            def write_message(self, message: Any, *rest: Any, **more: Any) -> Any:
                if handlers._reports(self):
                    with contextlib.suppress(Exception):
                        handlers.clients.note_outgoing(self.kernel_id, message)
                return super().write_message(message, *rest, **more)

            def on_message(self, message: Any) -> Any:
                forward = super().on_message
                clients = handlers._clients_or_none() if handlers._reports(self) else None
                if clients is None:
                    return forward(message)
                kernel_id = getattr(self, "kernel_id", "")
                return clients.pass_on(kernel_id, message, lambda: forward(message))

        Observed.__name__, Observed.__qualname__ = base.__name__, base.__qualname__
        return Observed


def _is_own(handler: Any) -> bool:
    """Whether this extension opened the connection of ``handler`` to ask the kernel. Such a
    connection does not count as a client, and its question reaches the kernel also while the
    messages of clients are held back."""
    try:
        session_id = handler.request.query_arguments["session_id"][-1]
    except (AttributeError, LookupError):
        return False
    return bool(session_id.startswith(OWN_SESSION_PREFIX.encode()))


def _rules(router: Any) -> Iterator[Any]:
    """All rules below a router of tornado's."""
    for rule in getattr(router, "rules", ()):
        yield rule
        yield from _rules(rule.target)


def _pattern(rule: Any) -> str:
    return str(getattr(getattr(rule.matcher, "regex", None), "pattern", ""))

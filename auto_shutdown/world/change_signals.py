"""Change signals: start a pass as soon as something changes in this server.

Without change signals the report could be a minute old, until the next poll. So a pass begins when

- a request to this server has changed a kernel, a session or a terminal (with any manager, also a
  remote one, because every such request passes this server);
- the server emits the event that a kernel was started, restarted or shut down (an extension may
  call the kernel manager without a request);
- the messages of a kernel show that it begins or ends its work (kernel_requests.py);
- a document was saved (reported_activity.py).

A change signal only starts a pass; the pass then reads what has changed. A change without a change
signal is found at the next poll. Change signals are no evidence of activity: core/signals.py has
the names of that evidence, which decides what is idle.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

#: The event of jupyter_server 2.1 and newer about its kernels.
KERNEL_EVENT = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"

#: Requests that change what is observed.
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OBSERVED = re.compile(r"/api/(kernels|sessions|terminals)(/|$)")


class ChangeSignals:
    """Calls ``on_change`` on the server's event loop for each signal."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    def watch_requests(self, web_app: Any) -> None:
        """Watch all requests of ``web_app`` from now on, by wrapping its log function."""
        log = web_app.settings.get("log_function")
        if log is None:
            return

        def log_and_note(handler: Any) -> None:
            log(handler)
            with contextlib.suppress(Exception):  # a failure here must not reach the client
                self.note_request(handler)

        web_app.settings["log_function"] = log_and_note

    def note_request(self, handler: Any) -> None:
        """``handler`` (tornado's) has answered a request."""
        request = handler.request
        if request.method in CHANGING and OBSERVED.search(request.path):
            self._on_change()

    def listen(self, event_logger: Any) -> None:
        """Listen to the server's events about kernels. Raises the exception of ``event_logger`` if
        the server has no such event."""

        async def on_event(logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
            self._on_change()

        event_logger.add_listener(schema_id=KERNEL_EVENT, listener=on_event)

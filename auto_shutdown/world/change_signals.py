"""Signals of this server that something changed, so that a pass looks at once.

A report that waits for the next poll is up to a minute old. So a pass begins as soon as

- a request to this server has changed a kernel, a session or a terminal (any manager, also a remote
  one: every such request passes here);
- the server's own event tells that a kernel was started, restarted or shut down (an extension may
  call its managers without a request);
- a kernel begins or ends its work, as its messages tell (requests.py);
- a document was saved (heartbeats.py).

A signal only says *that* something changed. The pass reads what, and the poll finds what no signal
told of.
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
        """Watch the requests of ``web_app`` from now on, by the function that logs each."""
        log = web_app.settings.get("log_function")
        if log is None:
            return

        def log_and_note(handler: Any) -> None:
            log(handler)
            with contextlib.suppress(Exception):  # of no interest to the client of the request
                self.note_request(handler)

        web_app.settings["log_function"] = log_and_note

    def note_request(self, handler: Any) -> None:
        """A request was answered by ``handler`` (tornado's)."""
        request = handler.request
        if request.method in CHANGING and OBSERVED.search(request.path):
            self._on_change()

    def listen(self, event_logger: Any) -> None:
        """Listen to the server's events about kernels. Raises what ``event_logger`` raises where
        the server has no such event."""

        async def on_event(logger: Any, schema_id: str, data: Mapping[str, Any]) -> None:
            self._on_change()

        event_logger.add_listener(schema_id=KERNEL_EVENT, listener=on_event)

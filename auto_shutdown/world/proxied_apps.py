"""Use of applications behind jupyter-server-proxy (Voila, Streamlit, TensorBoard, Dash).

Such an application runs in the server's own app, and a person may use it for hours without a kernel
or a terminal. jupyter-server-proxy records the time of each request and websocket message that it
carries: version 4.6 and newer in ``last_activity_times``, older versions in ``api_last_activity``,
which the polls of every page change as well. So this module wraps the method of
jupyter-server-proxy that records the time, in every version.

Most pages of such applications poll. Only a person makes the request that opens a page (the browser
marks it with ``Sec-Fetch-Mode: navigate``), so that request is strong evidence. Every other request
is weak evidence, like output: it counts for at most ``output_only_minutes`` after the last strong
evidence.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime, timezone
from typing import Any

from ..core.signals import Signal

#: The entry of jupyter-server-proxy in ``last_activity_times``.
PROXY_ENTRY = "jupyter-server-proxy"

#: Where a server's web application keeps its ProxiedApps.
_SETTING = "auto_shutdown_proxied_apps"


class ProxiedApps:
    """Knows when an application of this server was last used, by signal."""

    def __init__(self) -> None:
        self._used: dict[str, datetime] = {}
        self.is_watching = False

    @property
    def used(self) -> Mapping[str, datetime]:
        return dict(self._used)

    def watch(self, settings: MutableMapping[str, Any]) -> None:
        """Watch from now on, where this server has loaded jupyter-server-proxy. ``settings`` are
        those of the web application."""
        handlers = sys.modules.get("jupyter_server_proxy.handlers")
        base = getattr(handlers, "ProxyHandler", None)
        if base is None or not hasattr(base, "_record_activity"):
            return
        settings[_SETTING] = self
        self.is_watching = True
        if not hasattr(base._record_activity, "__wrapped__"):
            base._record_activity = _observed(base._record_activity)

    def note(self, headers: Mapping[str, str]) -> None:
        """Note a request with ``headers`` that jupyter-server-proxy has passed on, or a message on
        the websocket that this request opened."""
        opens_a_page = headers.get("Sec-Fetch-Mode") == "navigate"
        signal = Signal.PROXIED_PAGE if opens_a_page else Signal.PROXIED_APP
        self._used[signal] = datetime.now(timezone.utc)


def _observed(record: Any) -> Any:
    """``ProxyHandler._record_activity``, extended: it also notes the request in ``ProxiedApps``. A
    request that the administrator has excluded (``update_last_activity``) is not noted."""

    @functools.wraps(record)
    def record_and_note(handler: Any) -> Any:
        before = _recorded(handler.settings)
        result = record(handler)
        with contextlib.suppress(Exception):  # a failure here must not reach the client
            apps = handler.settings.get(_SETTING)
            if apps is not None and _recorded(handler.settings) != before:
                apps.note(handler.request.headers)
        return result

    return record_and_note


def _recorded(settings: Mapping[str, Any]) -> tuple[object, object]:
    times = settings.get("last_activity_times")
    entry = times.get(PROXY_ENTRY) if isinstance(times, Mapping) else None
    return settings.get("api_last_activity"), entry

"""The handlers of the HTTP contract (rest-api.yml). Each handler reads the request, calls the
controller and writes the answer; no rule lives here."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import url_path_join
from tornado import web

from ..core.signals import Signal
from .base_handler import Handler, throttled
from .request_values import RequestError, minutes, note, resource
from .throttle import CHECK, READ, WRITE

#: The most entries of the history in one answer.
HISTORY_LIMIT = 1000


class StatusHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        if self.get_query_argument("panel", "true") != "false":
            self.controller.panel_asked()
        self.answer(self.controller.report())


class CheckHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(CHECK)
    async def post(self) -> None:
        dry_run = self.body().get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise RequestError("dry_run must be true or false.", "dry_run", dry_run)
        self.answer(await self.controller.check(dry_run=dry_run, list_apps=True))


class SettingsHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.answer(self.controller.preferences.view())

    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def patch(self) -> None:
        self.answer(await self.controller.requests.patch_settings(self.body()))


class KeepAliveHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        self.answer({"keep_alive": self.controller.requests.keep_alives()})

    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def put(self) -> None:
        body, requests = self.body(), self.controller.requests
        ref = resource(body.get("kind"), body.get("id"), allow_all=True)
        reason = note(body.get("note", ""))
        duration = minutes(body.get("minutes"), requests.max_keep_alive_minutes)
        self.answer({"keep_alive": await requests.keep_alive(ref, duration, reason)})

    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def delete(self) -> None:
        kind = self.get_query_argument("kind", None)
        ref = resource(kind, self.get_query_argument("id", None), allow_all=True)
        self.answer({"keep_alive": await self.controller.requests.keep_alive(ref, None)})


class RemoveHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def post(self) -> None:
        body = self.body()
        ref = resource(body.get("kind"), body.get("id"), allow_all=False)
        self.answer(await self.controller.requests.remove(ref))


class ActivityHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def post(self) -> None:
        body = self.body()
        ref = resource(body.get("kind"), body.get("id"), allow_all=True)
        signal = body.get("signal", Signal.PRESENCE)
        if signal not in (Signal.PRESENCE, Signal.HEARTBEAT):
            raise RequestError("signal must be presence or heartbeat.", "signal", signal)
        await self.controller.requests.note_activity(ref, signal)
        self.set_status(204)
        self.finish()


class HistoryHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(READ)
    async def get(self) -> None:
        text = self.get_query_argument("limit", "100")
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not 1 <= limit <= HISTORY_LIMIT:
            message = f"limit must be a whole number from 1 to {HISTORY_LIMIT}."
            raise RequestError(message, "limit", text, HISTORY_LIMIT)
        self.answer({"history": await self.controller.requests.read_history(limit)})


class StoppedHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(READ)
    async def get(self) -> None:
        session_id, requests = self.get_query_argument("id", None), self.controller.requests
        if session_id is None:
            self.answer(await requests.stopped())
        else:
            self.answer(await requests.stopped_session(session_id))

    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def delete(self) -> None:
        await self.controller.requests.forget_stopped(self.get_query_argument("id", ""))
        self.set_status(204)
        self.finish()


ROUTES = {
    "status": StatusHandler,
    "check": CheckHandler,
    "settings": SettingsHandler,
    "keep-alive": KeepAliveHandler,
    "remove": RemoveHandler,
    "activity": ActivityHandler,
    "history": HistoryHandler,
    "stopped": StoppedHandler,
}


def routes(base_url: str = "") -> list[tuple[str, type[Handler]]]:
    """The pairs of URL pattern and handler for tornado, all below ``base_url``/auto-shutdown/."""
    return [
        (url_path_join(base_url, "auto-shutdown", path) + "/?", handler)
        for path, handler in ROUTES.items()
    ]

"""The HTTP contract (rest-api.yml), and no logic: each handler reads, calls the controller, and
writes. Requests here never count as activity of the server."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from ..config.settings import SettingError, json_safe
from ..core.model import EVERYTHING, Kind, Ref
from ..core.signals import Signal
from ..core.words import printable
from ..cycle.refused import RefusedError
from ..state.store import StoreError
from .startup import NotStarted, why_not_started
from .throttle import CHECK, READ, WRITE, Throttle, TooManyRequestsError

if TYPE_CHECKING:
    from ..cycle.controller import Controller

#: Where the controller stands in the web application's settings once it has started.
CONTROLLER = "auto_shutdown_controller"

#: Where the throttle of all clients stands there.
THROTTLE = "auto_shutdown_throttle"

HISTORY_LIMIT = 1000

#: Ids of kernels, terminals and apps are far shorter.
LONGEST_ID = 512

#: The longest note on a keep-alive, in characters.
MOST_NOTE = 200

#: A body is parsed on the event loop; the longest settings that are allowed fit in.
MOST_BYTES = 256 * 1024


Method = Callable[[Any], Awaitable[None]]


class RequestError(Exception):
    """A request that is wrong in itself (400)."""

    def __init__(self, message: str, field: str, value: Any, bound: Any = None) -> None:
        super().__init__(message)
        self.answer = {"message": message, "field": field, "value": json_safe(value)}
        if bound is not None:
            self.answer["bound"] = bound


class UnavailableError(Exception):
    """The extension does not watch (503): it is starting, or it could not start."""

    def __init__(self, why: NotStarted) -> None:
        super().__init__(why.message)
        self.answer = {"message": why.message, "remedy": why.remedy}
        self.retry_seconds = why.retry_seconds


#: Errors whose answer says all there is to say.
ANSWERED = (
    RequestError,
    SettingError,
    RefusedError,
    UnavailableError,
    TooManyRequestsError,
)


class Handler(APIHandler):
    """What all handlers have in common: authorisation's resource, no tracking, errors as JSON."""

    auth_resource = "auto_shutdown"
    _track_activity = False

    @property
    def controller(self) -> Controller:
        found: Controller | None = self.settings.get(CONTROLLER)
        if found is None:
            raise UnavailableError(why_not_started(self.settings))
        return found

    def body(self) -> dict[str, Any]:
        """The request's JSON object; an empty body is an empty one."""
        text = self.request.body.strip()
        if len(text) > MOST_BYTES:
            raise web.HTTPError(413, f"The body is longer than {MOST_BYTES} bytes.")
        try:
            found = json.loads(text.decode("utf-8")) if text else {}
        except (ValueError, RecursionError):
            raise RequestError("The body is not JSON.", "body", None) from None
        if not isinstance(found, dict):
            raise RequestError("The body must be a JSON object.", "body", None)
        return found

    def answer(self, value: Any) -> None:
        self.finish(json.dumps(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error answers ``{"message", "remedy"?, "field"?, "value"?, "bound"?}``."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        answer: dict[str, Any]
        if isinstance(error, RequestError):
            status_code, answer = 400, error.answer
        elif isinstance(error, UnavailableError):
            status_code, answer = 503, error.answer
            if error.retry_seconds is not None:
                self.set_header("Retry-After", str(error.retry_seconds))
        elif isinstance(error, TooManyRequestsError):
            status_code, answer = 429, {"message": str(error), "remedy": error.remedy}
            self.set_header("Retry-After", str(error.seconds))
        elif isinstance(error, SettingError):
            status_code, answer = (403 if error.locked else 400), error.to_json()
        elif isinstance(error, RefusedError):
            status_code = error.status
            answer = {"message": str(error), "field": error.field, "value": error.value}
        elif isinstance(error, StoreError):
            status_code, answer = 507, {"message": str(error), "remedy": error.remedy}
        elif isinstance(error, web.HTTPError):
            # With arguments it is a text of tornado's, for its log.
            text = None if error.args else error.log_message
            answer = {"message": text or self._reason}
        else:
            answer = {"message": "Unexpected error: see the server's log."}
        self.set_status(status_code)
        self.set_header("Content-Type", "application/json")
        self.answer(answer)

    def log_exception(self, *exc_info: Any) -> None:
        """An error that is answered in full is no error in the server's log."""
        if not isinstance(exc_info[1], ANSWERED):
            super().log_exception(*exc_info)


def throttled(kind: str) -> Callable[[Method], Method]:
    """Bound how often, and how many times at once, a client may call a method."""

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        async def counted(handler: Any) -> None:
            throttle = handler.settings.get(THROTTLE)
            if throttle is None:
                throttle = handler.settings[THROTTLE] = Throttle()
            with throttle.request(handler.request.remote_ip or "", kind):
                await method(handler)

        return counted

    return decorate


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
        body = self.body()
        ref = _ref(body.get("kind"), body.get("id"), allow_all=True)
        requests, note = self.controller.requests, _note(body.get("note", ""))
        minutes = _minutes(body.get("minutes"), requests.max_keep_alive_minutes)
        self.answer({"keep_alive": await requests.keep_alive(ref, minutes, note)})

    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def delete(self) -> None:
        kind, name = self.get_query_argument("kind", None), self.get_query_argument("id", None)
        ref = _ref(kind, name, allow_all=True)
        self.answer({"keep_alive": await self.controller.requests.keep_alive(ref, None)})


class RemoveHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def post(self) -> None:
        body = self.body()
        ref = _ref(body.get("kind"), body.get("id"), allow_all=False)
        self.answer(await self.controller.requests.remove(ref))


class ActivityHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(WRITE)
    async def post(self) -> None:
        body = self.body()
        ref = _ref(body.get("kind"), body.get("id"), allow_all=True)
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


def _ref(kind: Any, name: Any, allow_all: bool) -> Ref:
    kinds = [k.value for k in Kind if allow_all or k is not Kind.ALL]
    if kind not in kinds:
        raise RequestError(f"kind must be one of {', '.join(kinds)}.", "kind", kind)
    if kind == Kind.ALL.value:
        return EVERYTHING
    if not isinstance(name, str) or not name:
        raise RequestError("id must be the id of that resource.", "id", name)
    if len(name) > LONGEST_ID:
        message = f"id is longer than {LONGEST_ID} characters."
        raise RequestError(message, "id", f"{name[:40]}…", LONGEST_ID)
    return Ref(Kind(kind), name)


def _minutes(value: Any, most: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < value <= most:  # false for what is not a number, too
        message = f"minutes must be a number above 0 and at most {most:g}."
        raise RequestError(message, "minutes", value, most)
    return float(value)


def _note(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_NOTE:
        message = f"note must be a text of at most {MOST_NOTE} characters."
        raise RequestError(message, "note", value, MOST_NOTE)
    return printable(" ".join(value.split()))


class StoppedHandler(Handler):
    @web.authenticated
    @authorized
    @throttled(READ)
    async def get(self) -> None:
        name, requests = self.get_query_argument("id", None), self.controller.requests
        if name is None:
            self.answer(await requests.stopped())
        else:
            self.answer(await requests.stopped_session(name))

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
    """The routes below ``auto-shutdown/``."""
    return [
        (url_path_join(base_url, "auto-shutdown", path) + "/?", handler)
        for path, handler in ROUTES.items()
    ]

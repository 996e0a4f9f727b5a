"""The base class of all handlers of the HTTP contract: authorisation, bodies, errors, the throttle.

Requests to these handlers never count as activity of the server.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from jupyter_server.base.handlers import APIHandler
from tornado import web

from ..config.settings import SettingError
from ..core.translatable import parts_of, sentence
from ..cycle.refused import RefusedError
from ..state.store import StoreError
from .request_values import RequestError
from .startup import NotStarted, why_not_started
from .throttle import Throttle, TooManyRequestsError

if TYPE_CHECKING:
    from ..cycle.controller import Controller

#: The key of the web application's settings under which a started extension stores its controller.
CONTROLLER = "auto_shutdown_controller"

#: The key of the web application's settings that holds the one throttle for all clients.
THROTTLE = "auto_shutdown_throttle"

#: The longest body, in bytes. A body is parsed on the event loop, so a long one would block the
#: server. The longest settings that are allowed are shorter.
MOST_BYTES = 256 * 1024

Method = Callable[[Any], Awaitable[None]]


class UnavailableError(Exception):
    """The extension does not run (status 503): it is still starting, or it could not start."""

    def __init__(self, reason: NotStarted) -> None:
        super().__init__(reason.message)
        self.answer: dict[str, Any] = {"message": reason.message, "remedy": reason.remedy}
        self.retry_seconds = reason.retry_seconds


#: Errors that the answer explains in full, so that the server's log need not mention them.
EXPLAINED_ERRORS = (
    RequestError,
    SettingError,
    RefusedError,
    UnavailableError,
    TooManyRequestsError,
)


class Handler(APIHandler):
    """The base class of all handlers here. The server asks its Authorizer about the name
    ``auth_resource``."""

    auth_resource = "auto_shutdown"
    _track_activity = False

    @property
    def controller(self) -> Controller:
        """The controller. Raises UnavailableError before it has started."""
        controller: Controller | None = self.settings.get(CONTROLLER)
        if controller is None:
            raise UnavailableError(why_not_started(self.settings))
        return controller

    def body(self) -> dict[str, Any]:
        """The request's JSON object; ``{}`` for an empty body. Raises RequestError (status 400), or
        HTTPError with status 413 for a body longer than MOST_BYTES."""
        text = self.request.body.strip()
        if len(text) > MOST_BYTES:
            raise web.HTTPError(413, f"The body is longer than {MOST_BYTES} bytes.")
        try:
            value = json.loads(text.decode("utf-8")) if text else {}
        except (ValueError, RecursionError):
            raise RequestError("The body is not JSON.", "body", None) from None
        if not isinstance(value, dict):
            raise RequestError("The body must be a JSON object.", "body", None)
        return value

    def answer(self, value: Any) -> None:
        """Finish the request with ``value`` as JSON."""
        self.finish(json.dumps(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error with ``{"message", "message_parts", "remedy"?, "remedy_parts"?, "field"?,
        "value"?, "bound"?}``."""
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
            if error.remedy:
                answer["remedy"] = error.remedy
        elif isinstance(error, StoreError):
            status_code, answer = 507, {"message": str(error), "remedy": error.remedy}
        elif isinstance(error, web.HTTPError):
            # tornado's own errors have arguments: their text is a format string for the log.
            text = None if error.args else error.log_message
            answer = {"message": text or self._reason}
        else:
            answer = {"message": sentence("Unexpected error: see the server's log.")}
        for name in ("message", "remedy"):
            if answer.get(name):
                answer[f"{name}_parts"] = parts_of(answer[name])
        self.set_status(status_code)
        self.set_header("Content-Type", "application/json")
        self.answer(answer)

    def log_exception(self, *exc_info: Any) -> None:
        """Log an error to the server's log, unless the answer explains it in full."""
        if not isinstance(exc_info[1], EXPLAINED_ERRORS):
            super().log_exception(*exc_info)


def throttled(kind: str) -> Callable[[Method], Method]:
    """Limit how often, and how many times at once, a client may call the decorated method. ``kind``
    is a key of ``throttle.RATES``, and the attribute ``throttle_kind`` of the decorated method. A
    request above the limit gets status 429."""

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        async def throttled_method(handler: Any) -> None:
            throttle = handler.settings.get(THROTTLE)
            if throttle is None:
                throttle = handler.settings[THROTTLE] = Throttle()
            with throttle.request(handler.request.remote_ip or "", kind):
                await method(handler)

        throttled_method.throttle_kind = kind  # type: ignore[attr-defined]
        return throttled_method

    return decorate

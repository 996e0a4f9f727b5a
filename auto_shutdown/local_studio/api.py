"""The HTTP server of the SageMaker API: the operations that moto lacks, then moto's own server.

Every request is validated against botocore's service model before it is handled, and so is every
answer that does not come from moto. Faults can be switched on for an operation.
"""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationNotFoundError, ServiceModel
from botocore.validate import ParamValidator
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sagemaker.models import sagemaker_backends
from werkzeug.serving import WSGIRequestHandler, make_server

from .logs_insights import LogsInsights
from .operations import Operations
from .rates import Rates
from .resources import ACCOUNT, ApiError, Apps, NotOursError
from .tracking_servers import TrackingServers
from .trail import Trail

Environ = dict[str, Any]
Start = Callable[..., Any]


@dataclass
class Fault:
    """A fault of one operation, for the next ``times`` requests (None: until it is removed).

    ``latency`` delays the answer by that many seconds. ``code``, ``message`` and ``status`` answer
    with an error. ``hang`` waits for that many seconds and then answers with garbage. ``garbage``
    answers with a body that is not JSON. ``app_name`` limits the fault to requests for that app.
    ``every`` limits it to every n-th request. ``seen`` counts the requests so far.
    """

    operation: str
    code: str | None = None
    message: str = "injected"
    status: int = 400
    latency: float = 0.0
    hang: float = 0.0
    garbage: bool = False
    times: int | None = None
    app_name: str | None = None
    every: int = 1
    seen: int = 0


@dataclass(frozen=True)
class Call:
    """One request that the server received. ``at`` is a Unix time in seconds."""

    operation: str
    request: dict[str, Any]
    at: float


@dataclass
class Api:
    """The server. ``side`` maps further paths, for this Studio's own use, to functions that return
    their JSON. ``further`` maps the names of operations that replace moto's to their handlers.
    ``rates`` limits the requests a second; None means no limit."""

    apps: Apps
    region: str = "us-west-2"
    side: dict[str, Callable[[], Any]] = field(default_factory=dict)
    further: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    rates: Rates | None = None

    def __post_init__(self) -> None:
        self._model = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._fill()
        self._lock = threading.Lock()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.invalid_answers: list[str] = []
        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def _fill(self) -> None:
        self.trail = Trail(self.region)
        self.operations = Operations(self.apps, self.region, self._find_domain, self.trail)
        self._tracking_servers = TrackingServers(self.region)
        #: Operations of services other than SageMaker, by the request's X-Amz-Target.
        self.others: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            **self.trail.others,
            **LogsInsights(self.region).others,
        }

    def empty(self) -> None:
        """Delete all state except moto's own, which ``POST /moto-api/reset`` deletes."""
        self.apps.forget()
        self._fill()
        self.faults.clear()
        self.calls.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def count(self, operation: str) -> int:
        """How many requests for ``operation`` have arrived."""
        return sum(call.operation == operation for call in self.calls)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _find_domain(self, domain_id: str) -> Any:
        return sagemaker_backends[ACCOUNT][self.region].domains.get(domain_id)

    # -- one request -------------------------------------------------------------------------

    def _serve(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path in self.side:
            return _send(start, 200, self.side[path]())
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        short = target.rpartition("cloudtrail.v20131101.")[2]
        other = self.others.get(short)
        if other is None and not target.startswith("SageMaker."):
            return self._pass_on(environ, start)
        operation = target.rpartition(".")[2]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        try:
            request = json.loads(body or b"{}")
            self.calls.append(Call(operation, request, time.time()))
            if self.rates is not None:
                self.rates.check(operation)
            broken = self._inject(operation, request)
            if broken is not None:
                start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
                return [broken]
            if other is not None:
                return _send(start, 200, other(request))
            self._check_request(operation, request)
            handler = (
                self.operations.table.get(operation)
                or self._tracking_servers.table.get(operation)
                or self.further.get(operation)
            )
            if handler is None:
                return self._pass_on(environ, start, body)
            answer = handler(request)
            self._check_answer(operation, answer)
        except NotOursError:
            return self._pass_on(environ, start, body)
        except ApiError as error:
            return _send(start, error.status, {"__type": error.code, "message": str(error)})
        except Exception as error:
            self.invalid_answers.append(f"{operation}: {error!r}")
            return _send(start, 500, {"__type": "InternalFailure", "message": repr(error)})
        return _send(start, 200, answer)

    def _pass_on(self, environ: Environ, start: Start, body: bytes = b"") -> Iterable[bytes]:
        if body:
            environ["wsgi.input"] = io.BytesIO(body)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def _inject(self, operation: str, request: dict[str, Any]) -> bytes | None:
        with self._lock:
            fault = next((f for f in self.faults if _applies(f, operation, request)), None)
            if fault is None:
                return None
            fault.seen += 1
            if fault.seen % fault.every:
                return None
            if fault.times is not None:
                fault.times -= 1
        time.sleep(fault.latency + fault.hang)
        if fault.hang or fault.garbage:
            return b"\x00<html>this is not JSON"
        if fault.code is not None:
            raise ApiError(fault.code, fault.message, fault.status)
        return None

    def _check_request(self, operation: str, request: dict[str, Any]) -> None:
        try:
            shape = self._model.operation_model(operation).input_shape
        except OperationNotFoundError:
            raise ApiError("UnknownOperationException", operation) from None
        if shape is None:
            return
        report = ParamValidator().validate(request, shape)
        if report.has_errors():
            raise ApiError("ValidationException", report.generate_report())

    def _check_answer(self, operation: str, answer: dict[str, Any]) -> None:
        shape = self._model.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}, f"{operation} has no answer"
            return
        unknown = set(answer) - set(shape.members)
        assert not unknown, f"{operation} has no members {unknown}"
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), report.generate_report()


class _Quiet(WSGIRequestHandler):
    """Prints no line for each request, because these lines would hide the demo's output. Tests read
    ``Api.calls``."""

    def log_request(self, *_: Any) -> None:
        pass


def _applies(fault: Fault, operation: str, request: dict[str, Any]) -> bool:
    return (
        fault.operation == operation
        and fault.times != 0
        and fault.app_name in (None, request.get("AppName"))
    )


def _send(start: Start, status: int, answer: Any) -> list[bytes]:
    body = json.dumps(answer).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
    start(f"{status} {'OK' if status == 200 else 'Error'}", headers)
    return [body]


def denied(action: str, arn: str) -> str:
    """The message of a real AccessDeniedException for ``action`` on ``arn``."""
    role = f"arn:aws:sts::{ACCOUNT}:assumed-role/StudioRole/SageMaker"
    return (
        f"User: {role} is not authorized to perform: {action} on resource: {arn} because no "
        f"identity-based policy allows the {action} action"
    )

"""Paced calls of the AWS API.

All callers of an account share SageMaker's rates. They are undocumented for Studio and low: about 2
lists, 5 descriptions and 1 deletion a second. At these rates, botocore's own retries give up in the
middle of a long list (measured: after 3,600 of 10,000 apps). Therefore this module spaces the calls
beforehand. If a call is throttled nevertheless, because others use the account, too, it waits,
repeats the call, and increases the spacing for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..world.aws_errors import CREDENTIALS, THROTTLED, UNREACHABLE, read_error
from .errors import CallError, OutOfTimeError
from .remedies import GLOBAL_HOSTS, iam_action, remedy_of

#: Seconds between the starts of two calls, by the first word of SageMaker's operations. Slightly
#: more than the rates require, because calls arrive with jitter.
SPACING: Mapping[str, float] = {
    "list": 0.51,
    "describe": 0.205,
    "delete": 1.05,
    "create": 1.05,
    "update": 1.05,
}
#: Seconds between two calls of other services, and of CloudTrail.
OTHER_SPACING = 0.1
LOOKUP_SPACING = 0.51

#: After a delay (a slow answer, a busy machine), at most so many calls follow without spacing to
#: catch up, because AWS accumulates unused calls for a moment. After a throttled call, no call
#: catches up until AWS has answered so many calls.
MADE_UP = 4
CALM_CALLS = 50

#: The waits before each repetition of a throttled call in seconds; after the last one it fails. A
#: refused call does not count for the rate, and the next slot is half a second away at most, so the
#: first waits are short.
BACK_OFF = (0.05, 0.1, 0.2, 0.4, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)

#: If a call is throttled more often than this in a row, others use the rate, too.
EARLY = 2

#: Then the spacing is multiplied by ``WIDER``, up to ``WIDEST`` times the usual. Each answered call
#: multiplies it by ``NARROWER``.
WIDER = 1.2
WIDEST = 8.0
NARROWER = 0.97

#: How often a call is sent if no answer comes or the service fails.
ATTEMPTS = 3
FAILING = frozenset({"InternalFailure", "InternalServerError", "ServiceUnavailable", "500", "503"})

CONNECT_SECONDS = 5
READ_SECONDS = 30


@dataclass
class _Lane:
    """The calls that share one rate. ``next_at``: when the next call may start. ``strict``: the
    number of calls that AWS must answer before late calls may catch up."""

    spacing: float
    next_at: float
    factor: float = 1.0
    strict: int = 0


@dataclass
class Pace:
    """Spaces the calls of one account and region; several threads may share it. ``until`` is the
    instant of ``monotonic`` at which the run has to end; a wait that would pass it raises
    OutOfTimeError. ``speed`` divides every wait."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    until: float | None = None
    speed: float = 1.0
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, service: str, method: str, again: bool = False) -> None:
        """Wait until the call may be made. ``again``: the call was throttled and has waited
        already."""
        with self._lock:
            lane = self._lane(service, method)
            spacing = lane.spacing * lane.factor / self.speed
            now = self.monotonic()
            # A longer delay is a pause, after which calls do not catch up.
            may_catch_up = not lane.strict and now - lane.next_at <= MADE_UP * spacing
            planned = lane.next_at if may_catch_up else max(lane.next_at, now)
            planned = now if again else planned
            lane.next_at = planned + spacing
        self.rest(planned - now)

    def rest(self, seconds: float) -> None:
        """Wait for ``seconds``. Raises OutOfTimeError if the run would be over by then."""
        if self.until is not None and self.monotonic() + max(seconds, 0.0) > self.until:
            raise OutOfTimeError("The time of this run is over; the next run continues.")
        if seconds > 0:
            self.sleep(seconds)

    def stop(self) -> None:
        """End the run: every wait raises OutOfTimeError from now on."""
        self.until = float("-inf")

    def back_off(self, service: str, method: str, times: int) -> None:
        """Wait after a call was throttled; ``times`` counts from 1."""
        with self._lock:
            lane = self._lane(service, method)
            lane.strict = CALM_CALLS
            if times > EARLY:
                lane.factor = min(lane.factor * WIDER, WIDEST)
        self.rest(BACK_OFF[times - 1] / self.speed)

    def answered(self, service: str, method: str) -> None:
        with self._lock:
            lane = self._lane(service, method)
            lane.strict = max(0, lane.strict - 1)
            lane.factor = max(1.0, lane.factor * NARROWER)

    def _lane(self, service: str, method: str) -> _Lane:
        word = method.split("_")[0]
        name = f"{service} {word}" if service == "sagemaker" else service
        if name not in self._lanes:
            spacing = SPACING.get(word, OTHER_SPACING) if service == "sagemaker" else OTHER_SPACING
            if service == "cloudtrail":
                spacing = LOOKUP_SPACING
            self._lanes[name] = _Lane(spacing, self.monotonic())
        return self._lanes[name]


class Aws:
    """The AWS API of one region; several threads may use it. ``session`` is boto3's (None: a new
    one, with the credentials that the AWS command line would take). ``calls`` counts the requests
    sent by operation."""

    def __init__(self, region: str, session: Any = None, pace: Pace | None = None) -> None:
        self.region = region
        self.pace = pace or Pace()
        self.calls: dict[str, int] = {}
        self._session = session
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        """Call ``method`` (boto3's name) of ``service``, at the pace of the account. A call that is
        throttled or gets no answer is repeated. Raises CallError, OutOfTimeError."""
        throttled = failed = 0
        while True:
            self.pace.wait(service, method, again=throttled > 0)
            try:
                return self.send(service, method, **request)
            except CallError as error:
                refusal = error
            if refusal.code in THROTTLED and throttled < len(BACK_OFF):
                throttled += 1
                self.pace.back_off(service, method, throttled)
            elif refusal.code in UNREACHABLE | FAILING and failed < ATTEMPTS - 1:
                failed += 1
                self.pace.rest(failed / self.pace.speed)
            else:
                raise refusal

    def send(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        """Send one request now, and only once. The caller has waited for the pace
        (:meth:`Pace.wait`). Raises CallError."""
        with self._lock:
            self.calls[method] = self.calls.get(method, 0) + 1
        try:
            answer: dict[str, Any] = getattr(self._client(service), method)(**request)
        except Exception as error:
            code, text = read_error(error)
            if code in CREDENTIALS:
                self._clients.clear()
        else:
            self.pace.answered(service, method)
            return answer
        # Outside of the handler: a traceback would print AWS's text, which can quote secrets.
        raise self._error(service, method, code, text)

    def pages(self, service: str, method: str, member: str, **request: Any) -> Any:
        """The entries ``member`` of all pages. Raises CallError as ``answers`` does, and if a page
        lacks the member."""
        for page in self.answers(service, method, **request):
            if member not in page:
                raise self._error(service, method, "BadAnswer", "")
            yield from page[member]

    def answers(self, service: str, method: str, **request: Any) -> Any:
        """The answer with each page. Raises CallError if a token is repeated, because an incomplete
        list must not count as complete, and the reading would never end."""
        seen: set[str] = set()
        while True:
            page = self.call(service, method, **request)
            yield page
            token = page.get("NextToken")
            if not token:
                return
            if token in seen:
                raise self._error(service, method, "RepeatedToken", "")
            seen.add(token)
            request["NextToken"] = token

    def _error(self, service: str, method: str, code: str, text: str) -> CallError:
        message = f"{iam_action(service, method)} failed in {self.region}: {code}."
        return CallError(code, message, remedy_of(code, text, service, method, self.region), text)

    def _client(self, service: str) -> Any:
        found = self._clients.get(service)
        if found is None:
            with _MAKING_CLIENT:
                found = self._clients.get(service) or self._make_client(service)
                self._clients[service] = found
        return found

    def _make_client(self, service: str) -> Any:
        if self._session is None:
            from boto3.session import Session

            self._session = Session()
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        # Budgets and Cost Explorer have one endpoint.
        region = "us-east-1" if service in GLOBAL_HOSTS else self.region
        return self._session.client(service, region_name=region, config=config)


#: Threads may share boto3's clients, but not the session that creates them.
_MAKING_CLIENT = threading.Lock()

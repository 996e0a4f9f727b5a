"""Paced calls of the AWS API.

SageMaker's rates are the account's, undocumented for Studio, and low: about 2 lists, 5 descriptions
and 1 deletion a second. botocore's own retries give up at such a rate in the middle of a long list
(measured: after 3,600 of 10,000 apps). So the calls are spaced beforehand, and a call that is
throttled all the same (others use the account, too) waits and is made again, and the spacing grows
for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..world.aws_errors import CREDENTIALS, THROTTLED, UNREACHABLE, read_error, remedy
from .errors import CallError, OutOfTimeError

#: Seconds between the starts of two calls, by the first word of SageMaker's operations.
SPACING: Mapping[str, float] = {
    "list": 0.52,
    "describe": 0.21,
    "delete": 1.1,
    "create": 1.1,
    "update": 1.1,
}
#: The same for operations of other services.
OTHER_SPACING = 0.1
LOOKUP_SPACING = 0.52

#: A throttled call waits for these seconds in turn, and then fails.
BACK_OFF = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)

#: After a throttled call the spacing is so much wider, at most so many times the usual.
WIDER = 1.5
WIDEST = 8.0

#: So many calls without throttling bring the usual spacing back.
CALM_CALLS = 20

#: An answer that never came, or an error of the service, is tried so often.
ATTEMPTS = 3
FAILING = frozenset({"InternalFailure", "InternalServerError", "ServiceUnavailable", "500", "503"})

CONNECT_SECONDS = 5
READ_SECONDS = 30


@dataclass
class _Lane:
    """The calls that share one rate."""

    spacing: float
    next_at: float = 0.0
    factor: float = 1.0
    calm: int = 0


@dataclass
class Pace:
    """Spaces the calls of one account and region. ``until`` is the instant of ``monotonic`` at
    which the run has to end; a wait that would pass it raises OutOfTimeError. ``speed`` divides
    every wait (tests)."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    until: float | None = None
    speed: float = 1.0
    _lanes: dict[str, _Lane] = field(default_factory=dict)

    def wait(self, service: str, method: str) -> None:
        """Return when the call may be made."""
        lane = self._lane(service, method)
        spacing = lane.spacing * lane.factor / self.speed
        self.rest(lane.next_at - self.monotonic())
        now = self.monotonic()
        # From the planned instant, so that late wake-ups do not add up; but no burst after a pause.
        planned = lane.next_at if now - lane.next_at < spacing else now
        lane.next_at = planned + spacing

    def rest(self, seconds: float) -> None:
        """Wait. Raises OutOfTimeError where the run would be over by then."""
        if self.until is not None and self.monotonic() + max(seconds, 0.0) > self.until:
            raise OutOfTimeError("The time of this run is over; the next one goes on.")
        if seconds > 0:
            self.sleep(seconds)

    def throttled(self, service: str, method: str) -> None:
        lane = self._lane(service, method)
        lane.factor, lane.calm = min(lane.factor * WIDER, WIDEST), 0

    def answered(self, service: str, method: str) -> None:
        lane = self._lane(service, method)
        lane.calm += 1
        if lane.calm >= CALM_CALLS and lane.factor > 1.0:
            lane.factor, lane.calm = max(1.0, lane.factor / WIDER), 0

    def _lane(self, service: str, method: str) -> _Lane:
        word = method.split("_")[0]
        name = f"{service} {word}" if service == "sagemaker" else service
        if name not in self._lanes:
            spacing = SPACING.get(word, OTHER_SPACING) if service == "sagemaker" else OTHER_SPACING
            if service == "cloudtrail":
                spacing = LOOKUP_SPACING
            self._lanes[name] = _Lane(spacing)
        return self._lanes[name]


class Aws:
    """The AWS API of one region. ``session`` is boto3's (None: a new one, with the credentials that
    the AWS command line would take). ``calls`` counts the requests sent by operation."""

    def __init__(self, region: str, session: Any = None, pace: Pace | None = None) -> None:
        self.region = region
        self.pace = pace or Pace()
        self.calls: dict[str, int] = {}
        self._session = session
        self._clients: dict[str, Any] = {}

    def call(self, service: str, method: str, **request: Any) -> dict[str, Any]:
        """Call ``method`` (boto3's name) of ``service``. Raises CallError, OutOfTimeError."""
        throttled = failed = 0
        while True:
            self.pace.wait(service, method)
            self.calls[method] = self.calls.get(method, 0) + 1
            try:
                answer: dict[str, Any] = getattr(self._client(service), method)(**request)
            except Exception as error:
                code, text = read_error(error)
                if code in THROTTLED and throttled < len(BACK_OFF):
                    self.pace.throttled(service, method)
                    self.pace.rest(BACK_OFF[throttled] / self.pace.speed)
                    throttled += 1
                    continue
                if (code in UNREACHABLE or code in FAILING) and failed < ATTEMPTS - 1:
                    failed += 1
                    self.pace.rest(failed / self.pace.speed)
                    continue
                if code in CREDENTIALS:
                    self._clients.clear()
            else:
                self.pace.answered(service, method)
                return answer
            # Outside of the handler: a traceback would print AWS's text, which can quote secrets.
            raise self._error(service, method, code, text)

    def pages(self, service: str, method: str, member: str, **request: Any) -> Any:
        """The entries ``member`` of all pages. A page without the member, and a token that comes
        twice, raise CallError: what is unknown must not be taken for the end of the list."""
        seen: set[str] = set()
        while True:
            page = self.call(service, method, **request)
            if member not in page:
                raise self._error(service, method, "BadAnswer", "")
            yield from page[member]
            token = page.get("NextToken")
            if not token:
                return
            if token in seen:
                raise self._error(service, method, "RepeatedToken", "")
            seen.add(token)
            request["NextToken"] = token

    def _error(self, service: str, method: str, code: str, text: str) -> CallError:
        operation = "".join(word.capitalize() for word in method.split("_"))
        action = _IAM_ACTION.get(method) or f"{_IAM_PREFIX.get(service, service)}:{operation}"
        advice = remedy(code, text, action, "the resource (or *)", self.region)
        advice = advice.replace("the execution role's policy", "the policy of whoever runs this")
        return CallError(code, f"{action} failed in {self.region}: {code}.", advice, text)

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            if self._session is None:
                from boto3.session import Session

                self._session = Session()
            from botocore.config import Config

            config = Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": 1, "mode": "standard"},
            )
            # Budgets and Cost Explorer are at home in one region.
            region = "us-east-1" if service in _GLOBAL else self.region
            self._clients[service] = self._session.client(
                service, region_name=region, config=config
            )
        return self._clients[service]


_GLOBAL = frozenset({"budgets", "ce"})

#: Where IAM's action is not named like the operation.
_IAM_ACTION = {"describe_budgets": "budgets:ViewBudget"}

#: Where the prefix of a service's actions is not boto3's name of it.
_IAM_PREFIX = {"resourcegroupstaggingapi": "tag", "service-quotas": "servicequotas"}

"""Faults of each call to SageMaker: errors, delays, garbage, broken connections."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from morning import SHORT_LIMITS, BareStudio, Morning, Verdict, morning_with_fault
from wire import Wire

from auto_shutdown.local_studio.api import Fault, denied

#: Code, HTTP status and text, as SageMaker or a proxy before it sends them.
ERRORS = (
    ("AccessDeniedException", 400, denied("sagemaker:DeleteApp", "arn:x")),
    ("ExpiredTokenException", 400, "The security token included in the request is expired"),
    ("ExpiredToken", 403, "expired"),
    ("IncompleteSignature", 400, "incomplete"),
    ("InternalFailure", 500, "internal"),
    ("InternalServerException", 500, "internal"),
    ("InvalidClientTokenId", 403, "invalid"),
    ("InvalidSignatureException", 403, "Signature expired"),
    ("OptInRequired", 403, "subscribe"),
    ("RequestExpired", 400, "expired"),
    ("RequestLimitExceeded", 503, "slow down"),
    ("ResourceInUse", 400, "in use"),
    ("ResourceLimitExceeded", 400, "limit"),
    ("ServiceUnavailable", 503, "unavailable"),
    ("Throttling", 400, "Rate exceeded"),
    ("ThrottlingException", 400, "Rate exceeded"),
    ("UnknownOperationException", 400, "unknown"),
    ("UnrecognizedClientException", 400, "The security token is invalid."),
    ("ValidationException", 400, "1 validation error detected"),
    ("NeverHeardOf", 418, "tea"),
)

#: Answers of DeleteApp that mean "already gone". Here they are wrong, so the product tries again.
GONE = (
    ("ResourceNotFound", 400, "App does not exist."),
    ("ValidationException", 400, "App is already being deleted."),
)

CALLS = ("ListApps", "DeleteApp")

Step = Callable[[Morning], object]

#: A name, and how the fault starts and ends.
Try = tuple[str, Step, Step]


def _clear(morning: Morning) -> None:
    morning.studio.api.faults.clear()
    morning.wire.turn("whole")


def _faults(*faults: Fault) -> Step:
    def switch_on(morning: Morning) -> None:
        morning.studio.api.faults += faults

    return switch_on


def _error(operation: str, code: str, status: int, text: str) -> Step:
    return _faults(Fault(operation, code, text, status))


def _storm() -> Step:
    return _faults(*(Fault(call, "ThrottlingException", "Rate exceeded") for call in CALLS))


def _new_credentials(morning: Morning) -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="new", AWS_SECRET_ACCESS_KEY="new")
    _clear(morning)


def _rows() -> dict[str, list[Try]]:
    """The tries, by the title of their row."""
    rows: dict[str, list[Try]] = {}
    for call in CALLS:
        errors = ERRORS + (GONE if call == "DeleteApp" else ())
        rows[f"{call} answers any of {len(errors)} errors"] = [
            (f"{call}-{number}-{code}", _error(call, code, status, text), _clear)
            for number, (code, status, text) in enumerate(errors)
        ]
    rows["A storm of throttling, on every call"] = [("storm", _storm(), _clear)]
    rows["Each call takes longer than its time limit"] = [
        (f"{call}-latency", _faults(Fault(call, latency=1.5)), _clear) for call in CALLS
    ]
    rows["A call hangs, and answers garbage in the end"] = [
        (f"{call}-hang", _faults(Fault(call, hang=5.0)), _clear) for call in CALLS
    ]
    rows["A body that is no JSON, under status 200"] = [
        (f"{call}-garbage", _faults(Fault(call, garbage=True)), _clear) for call in CALLS
    ]
    rows["Connections half open, reset, cut off in an answer, refused"] = [
        (f"wire-{mode}", partial(_turn, mode), _clear) for mode in Wire.MODES
    ]
    rows["Credentials expire, and come back renewed"] = [
        (
            f"credentials-{call}",
            _error(call, "ExpiredTokenException", 400, "expired"),
            _new_credentials,
        )
        for call in CALLS
    ]
    return rows


def _turn(mode: str, morning: Morning) -> None:
    morning.wire.turn(mode)


ROWS = _rows()


async def run(try_: Try, root: Path, studio: BareStudio) -> Verdict:
    """One try. The product's time limits for calls are short while the fault lasts."""
    name, start_fault, end_fault = try_
    morning = Morning(root / name, studio, name)
    own_limits = {limit: getattr(*limit) for limit in SHORT_LIMITS}

    def start(morning: Morning) -> None:
        morning.set_call_limits(SHORT_LIMITS)
        start_fault(morning)

    def end(morning: Morning) -> None:
        end_fault(morning)
        morning.set_call_limits(own_limits)

    try:
        return await morning_with_fault(morning, start, end)
    finally:
        morning.set_call_limits(own_limits)

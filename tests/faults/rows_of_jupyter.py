"""Faults of Jupyter's own parts: its managers raise, hang, or answer what they should not."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from morning import BareStudio, Morning, Step, Verdict, morning_with_fault
from traitlets import TraitError

from auto_shutdown.world import source_reader

#: The time limits of the product while a manager hangs, in seconds. Nobody waits here so long.
#: The clock of these limits is the machine's, and not the simulated one.
SHORT_LIMITS = {"SOURCE_SECONDS": 0.3, "ABANDON_SECONDS": 1.0}

#: The faults last for more than two idle timeouts. An app whose busy kernel is not seen must stay.
FAULT_MINUTES = 30


#: A name, and how the fault starts. Every fault here ends by restoring the managers.
Try = tuple[str, Step]


def _raising(error: BaseException) -> Callable[..., Any]:
    def raise_it(*_: object) -> Any:
        raise error

    return raise_it


async def _hanging(*_: object) -> Any:
    """A call that never ends, also after the fault. The server must begin another one."""
    await asyncio.Event().wait()


def _kernels(method: str, function: Callable[..., Any]) -> Step:
    def switch_on(morning: Morning) -> None:
        setattr(morning.kernels, method, function)

    return switch_on


def _sessions(function: Callable[..., Any]) -> Step:
    def switch_on(morning: Morning) -> None:
        morning.sessions.list_sessions = function  # type: ignore[method-assign]

    return switch_on


def _model(**changes: Any) -> Step:
    """The model of the busy kernel has other values. A value of ``...`` is left out."""

    def switch_on(morning: Morning) -> None:
        (busy,) = morning.kernels.list_kernels()
        changed = {k: v for k, v in {**busy, **changes}.items() if v is not ...}
        morning.kernels.list_kernels = lambda: [changed]  # type: ignore[method-assign]

    return switch_on


def _starting(morning: Morning) -> None:
    """One starting kernel makes a local manager raise for all kernels."""
    morning.kernels.list_kernels = _raising(TraitError("starting"))  # type: ignore[method-assign]
    morning.kernels.kernel_model = _raising(KeyError("starting"))  # type: ignore[method-assign]


def _every_thread_taken(morning: Morning) -> None:
    """Another extension holds all threads of the server's default executor."""
    morning.blocked = threading.Event()
    loop = asyncio.get_running_loop()
    for _ in range(100):
        loop.run_in_executor(None, morning.blocked.wait)


def _restore(morning: Morning) -> None:
    for manager in (morning.kernels, morning.sessions):
        for method in [name for name in vars(manager) if callable(vars(manager)[name])]:
            delattr(manager, method)
    morning.blocked.set()


NO_DESCRIPTOR = OSError(errno.EMFILE, "Too many open files")

ROWS: dict[str, list[Try]] = {
    "The kernel manager raises, hangs, or answers other types": [
        ("list-emfile", _kernels("list_kernels", _raising(NO_DESCRIPTOR))),
        ("list-runtime-error", _kernels("list_kernels", _raising(RuntimeError("no loop")))),
        ("list-starting", _starting),
        ("list-hang", _kernels("list_kernels", _hanging)),
        ("list-none", _kernels("list_kernels", lambda: None)),
        ("list-text", _kernels("list_kernels", lambda: "kernels")),
        ("list-of-none", _kernels("list_kernels", lambda: [None])),
        ("ids-emfile", _kernels("list_kernel_ids", _raising(NO_DESCRIPTOR))),
    ],
    "The model of a busy kernel has values of other types": [
        ("model-id-missing", _model(id=...)),
        ("model-state-missing", _model(execution_state=...)),
        ("model-state-number", _model(execution_state=1)),
        ("model-state-unknown", _model(execution_state="dreaming")),
        ("model-activity-missing", _model(last_activity=...)),
        ("model-activity-number", _model(last_activity=1.0)),
        ("model-activity-far", _model(last_activity="9999-12-31T23:59:59.999999Z")),
        ("model-connections-text", _model(connections="many")),
        ("model-app-number", _model(app_name=7)),
    ],
    "The list of sessions raises, hangs, or has another type": [
        ("sessions-error", _sessions(_raising(RuntimeError("database is locked")))),
        ("sessions-hang", _sessions(_hanging)),
        ("sessions-none", _sessions(lambda: None)),
    ],
    "Another extension holds all threads of the server": [("threads", _every_thread_taken)],
}


async def run(try_: Try, root: Path, studio: BareStudio) -> Verdict:
    """One try. The time limits of the sources stay short until the end of the morning, because a
    call that hangs is abandoned only after the fault."""
    name, start_fault = try_
    own_limits = {limit: getattr(source_reader, limit) for limit in SHORT_LIMITS}
    morning = Morning(root / name, studio, name)
    try:
        vars(source_reader).update(SHORT_LIMITS)
        return await morning_with_fault(morning, start_fault, _restore, minutes=FAULT_MINUTES)
    finally:
        vars(source_reader).update(own_limits)
        _restore(morning)

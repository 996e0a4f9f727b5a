"""Record starts and shutdowns of kernels when they happen, not only in the next pass.

A kernel may be started, used and shut down between two passes. Its use counts for its app. So this
module wraps the methods of the server's kernel manager that start and shut down kernels. Every
kernel manager has these methods; only some emit events.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ..core.model import Departure, Kernel
from ..core.signals import Signal
from .departures import Departures
from .requests_by_kernel import Requests

#: Seconds for which a start that has not ended may still give a kernel. A gateway may take minutes.
START_SECONDS = 600.0


class KernelLifecycle:
    """Records when kernels were started, and the last state of kernels that have ended.

    ``read`` returns a kernel as its manager has it now. It sends no request to a gateway, and may
    raise. ``started`` is called with the id of each kernel that this server has started, and
    ``process_ended`` with the id of a kernel whose process has died, before the server starts the
    kernel again.
    """

    def __init__(
        self,
        manager: Any,
        requests: Requests,
        read: Callable[[str], Kernel],
        started: Callable[[str], None],
        process_ended: Callable[[str], None],
    ) -> None:
        self._manager = manager
        self._requests = requests
        self._read = read
        self._started = started
        self._process_ended = process_ended
        self._started_at: dict[str, datetime] = {}
        #: The kernels of the last look, as they were last read.
        self._last_seen: dict[str, Kernel] = {}
        #: The kernels that the last look could not read.
        self._unreadable: frozenset[str] = frozenset()
        self._departures = Departures()
        #: When the last start began, and when each start in progress began (monotonic).
        self._last_start: float | None = None
        self._starts: dict[object, float] = {}
        with contextlib.suppress(Exception):  # a manager without these methods starts no kernels
            _wrap(manager, "start_kernel", self._before_start, self._note_start, self._start_ended)
            _wrap(manager, "shutdown_kernel", self._before_its_end, self._note_end)
        with contextlib.suppress(Exception):
            _wrap(manager, "restart_kernel", lambda _kernel_id: None, self._note_restart)

    @property
    def departures(self) -> tuple[Departure, ...]:
        """The kernels that ended a short time ago, with their last use."""
        return self._departures.recent

    def look(self, kernels: Iterable[Kernel]) -> None:
        """Compare the kernels of this pass with those of the last pass. A kernel that is missing
        now has ended since then."""
        self._departures.begin_pass()
        there = {kernel.id: kernel for kernel in kernels}
        known = self._last_seen.keys() | self._started_at.keys() | self._unreadable
        for kernel_id in known - there.keys():
            self._depart(kernel_id, self._last_seen.get(kernel_id))
        for kernel_id in there:
            self._started_at.pop(kernel_id, None)
        readable = {i: kernel for i, kernel in there.items() if not kernel.unreadable}
        self._unreadable = frozenset(there.keys() - readable.keys())
        earlier = {i: kernel for i, kernel in self._last_seen.items() if i in self._unreadable}
        self._last_seen = {**earlier, **readable}

    def place(self, kernels: Iterable[Kernel]) -> None:
        """Note the apps in which the kernels of the last :meth:`look` run or may run."""
        self._last_seen.update(
            (k.id, k) for k in kernels if k.id in self._last_seen and not k.unreadable
        )

    def was_started_since(self, monotonic: float) -> bool:
        """Whether the start of a kernel has begun since that instant of the monotonic clock, or is
        in progress. A gateway's kernel is listed only when its start has ended. A start in progress
        for longer than ``START_SECONDS`` does not count."""
        if self._last_start is not None and self._last_start >= monotonic:
            return True
        oldest = time.monotonic() - START_SECONDS
        return any(begun > oldest for begun in list(self._starts.values()))

    def _before_start(self, _kernel_id: Any) -> object:
        self._last_start = time.monotonic()
        start = object()
        self._starts[start] = self._last_start
        return start

    def _start_ended(self, start: object) -> None:
        self._starts.pop(start, None)

    def _note_start(self, kernel_id: Any, *_: Any) -> None:
        if isinstance(kernel_id, str):
            self._started_at[kernel_id] = datetime.now(timezone.utc)
            self._started(kernel_id)
            self._requests.changed(kernel_id)
            self._watch_process(kernel_id)

    def _note_restart(self, _result: Any, kernel_id: Any, _: Any) -> None:
        """Somebody asked for a restart. It has ended the previous process."""
        requests = self._requests.known(kernel_id)
        if requests is not None:
            requests.was_replaced()
            self._requests.changed(kernel_id)

    def _watch_process(self, kernel_id: str) -> None:
        """Take note when the process of the kernel has ended: right before the server starts it
        again, and when it gives that up. No message and no call of the manager reports that."""
        with contextlib.suppress(Exception):  # a gateway watches the processes of its kernels
            for event, note in (
                ("restart", self._process_ended),
                ("dead", self._requests.changed),
            ):
                self._manager.add_restart_callback(kernel_id, partial(note, kernel_id), event)

    def _before_its_end(self, kernel_id: Any) -> Kernel | None:
        """The state of a kernel that is about to be shut down."""
        known = self._last_seen.get(kernel_id)
        return known if known is not None else self._read(kernel_id)

    def _note_end(self, _result: Any, kernel_id: Any, kernel: Kernel | None) -> None:
        if isinstance(kernel_id, str):
            self._depart(kernel_id, kernel)
            self._requests.changed(kernel_id)

    def _depart(self, kernel_id: str, kernel: Kernel | None) -> None:
        requests = self._requests.known(kernel_id)
        used = [self._started_at.pop(kernel_id, None)]
        if kernel is not None:
            used.append(kernel.request_at)
        if requests is not None:
            used += [requests.sent_at, requests.last_ran_at]
            if requests.unfinished:
                used.append(datetime.now(timezone.utc))
        if kernel_id in self._unreadable:
            used.append(datetime.now(timezone.utc))  # it may have worked until its end
            self._unreadable -= {kernel_id}
        at = max((instant for instant in used if instant is not None), default=None)
        self._last_seen.pop(kernel_id, None)
        if at is not None:
            anywhere = kernel is None or bool(kernel.may_be_in)
            departure = Departure(
                None if kernel is None else kernel.app, at, Signal.REQUEST, anywhere
            )
            self._departures.note(departure)


def _wrap(
    manager: Any,
    name: str,
    before: Callable[[Any], Any],
    after: Callable[[Any, Any, Any], None],
    ended: Callable[[Any], None] = lambda _known: None,
) -> None:
    """Call ``before`` with the kernel id of each call. Call ``after`` with the result, the kernel
    id and what ``before`` gave, when the call has succeeded. Call ``ended`` with what ``before``
    gave when the call has succeeded, failed or was cancelled."""
    method = getattr(manager, name)

    def noted(result: Any, kernel_id: Any, known: Any) -> Any:
        with contextlib.suppress(Exception):  # a failure here must not affect the host's own work
            after(result, kernel_id, known)
        return result

    async def waiting(result: Any, kernel_id: Any, known: Any) -> Any:
        try:
            return noted(await result, kernel_id, known)
        finally:
            ended(known)

    def wrapped(*arguments: Any, **more: Any) -> Any:
        kernel_id, known = more.get("kernel_id", arguments[0] if arguments else None), None
        with contextlib.suppress(Exception):
            known = before(kernel_id)
        try:
            result = method(*arguments, **more)
        except BaseException:
            ended(known)
            raise
        if inspect.isawaitable(result):
            return waiting(result, kernel_id, known)
        ended(known)
        return noted(result, kernel_id, known)

    setattr(manager, name, wrapped)

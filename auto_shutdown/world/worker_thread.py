"""A thread for calls that block (boto3, files, veto hooks).

This module does not use an executor: other extensions may block all threads of the server's
executor, and Python waits for the threads of an executor at exit, so that a call that hangs would
keep the server from ending. If a thread hangs in a call, another thread replaces it.

A call never begins after its caller has stopped waiting for it, because by then the reason for the
call may no longer hold.
A call that has begun must check that by itself before a step that cannot be undone
(:func:`require_caller`): it may have hung before that step.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The worker has been closed; nothing runs in it any more."""


class AbandonedError(Exception):
    """The caller of this call has stopped waiting, so the call must not go on."""


_running = threading.local()


def require_caller() -> None:
    """Raises AbandonedError in a call of a worker whose caller has stopped waiting. Does nothing in
    any other thread."""
    job = getattr(_running, "job", None)
    if job is not None and job.abandoned:
        raise AbandonedError("the caller has stopped waiting")


class Worker:
    """Runs blocking functions one after another, off the event loop, in one thread."""

    #: The number of abandoned threads that may hang at the same time. More would be a leak.
    MOST_STUCK = 3

    def __init__(self, name: str, most_stuck: int = MOST_STUCK) -> None:
        self._name = name
        self._most_stuck = most_stuck
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting: set[_Job] = set()
        self._stuck: list[_Thread] = []
        self._thread: _Thread | None = None
        self._closed = False

    async def run(self, function: Callable[[], T], seconds: float) -> T:
        """The function's result, or its exception; asyncio.TimeoutError after ``seconds``, the
        wait for its turn included, and at once while too many earlier calls hang."""
        self._prepare()
        job = _Job(function, asyncio.get_running_loop())
        self._waiting.add(job)
        self._jobs.put(job)
        try:
            await asyncio.wait((job.future,), timeout=seconds)
            if job.future.cancelled():
                raise ClosedError("the worker has been closed")
            if not job.future.done():
                self._give_up(job)
                raise asyncio.TimeoutError
            result: T = job.future.result()
            return result
        finally:
            job.abandon()
            self._waiting.discard(job)

    def close(self) -> None:
        """Let the thread end when it is done, without waiting for it. Pending calls raise
        ClosedError."""
        self._closed = True
        for job in self._waiting:
            job.abandon()
        self._jobs.put(None)

    def _prepare(self) -> None:
        if self._closed:
            raise ClosedError("the worker has been closed")
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= self._most_stuck:
            raise asyncio.TimeoutError("earlier calls have not come back yet")
        if self._thread is None:
            self._thread = _Thread(self._jobs, self._name)
            self._thread.start()

    def _give_up(self, job: _Job) -> None:
        """Replace the thread if it hangs in ``job`` and not in an earlier one."""
        thread = self._thread
        if thread is None or not thread.leave(job):
            return
        self._stuck.append(thread)
        self._thread = None
        if len(self._stuck) < self._most_stuck:
            self._prepare()  # start a new thread for the calls that wait


class _Job:
    """A function, and the future for its caller."""

    def __init__(self, function: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self._loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.abandoned = False

    def run(self) -> None:
        try:
            result = self._function()
        except Exception as error:
            # A future refuses StopIteration.
            strange = isinstance(error, StopIteration)
            self.settle(error=RuntimeError("StopIteration") if strange else error)
        except BaseException as error:
            # SystemExit, raised again on the loop, would end the server.
            self.settle(error=RuntimeError(type(error).__name__))
        else:
            self.settle(result=result)

    def settle(self, result: Any = None, error: Exception | None = None) -> None:
        """Settle the future, from any thread."""

        def settle_on_the_loop() -> None:
            if self.future.done():  # the caller has stopped waiting
                return
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop may have ended
            self._loop.call_soon_threadsafe(settle_on_the_loop)

    def abandon(self) -> None:
        """Prevent the call from beginning, or ignore its result. Call it on the loop's thread."""
        self.abandoned = True
        self.future.cancel()


class _Thread(threading.Thread):
    """Runs the jobs of the queue until it is stopped or abandoned."""

    def __init__(self, jobs: queue.SimpleQueue[_Job | None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs = jobs
        self._lock = threading.Lock()
        self._current: _Job | None = None
        self._given_up = False

    def run(self) -> None:
        while not self._given_up:
            job = self._jobs.get()
            if job is None:
                return
            with self._lock:
                if job.abandoned:
                    continue
                self._current = job
            _running.job = job
            job.run()
            _running.job = None
            with self._lock:
                self._current = None

    def leave(self, job: _Job) -> bool:
        """Abandon this thread if it runs ``job`` now; it ends when ``job`` returns."""
        with self._lock:
            self._given_up = self._current is job
            return self._given_up

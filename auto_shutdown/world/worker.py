"""A thread for calls that block: boto3's.

Not an executor: Python waits for an executor's threads at exit, and a call that hangs must not
keep the server from ending. A thread stuck in a call is given up and another takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

Job = Callable[[], None]


class Worker:
    """Runs blocking functions one after another, off the event loop."""

    #: Given-up threads that may be stuck at the same time; more would be a leak.
    MOST_STUCK = 3

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Job | None] | None = None
        self._stuck: list[threading.Thread] = []
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], T], seconds: float) -> T:
        """The function's result, or its exception; asyncio.TimeoutError after ``seconds``."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function()
            except BaseException as error:
                _tell(loop, future, error=error)
            else:
                _tell(loop, future, result=result)

        self._queue().put(job)
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError:
            self._give_up()
            raise

    def close(self) -> None:
        """Let the thread end when it is done; it is not waited for."""
        jobs, self._jobs, self._thread = self._jobs, None, None
        if jobs is not None:
            jobs.put(None)

    def _queue(self) -> queue.SimpleQueue[Job | None]:
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        if len(self._stuck) >= self.MOST_STUCK:
            raise asyncio.TimeoutError("earlier calls have not come back yet")
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            self._thread.start()
        return self._jobs

    def _give_up(self) -> None:
        if self._thread is not None:
            self._stuck.append(self._thread)
        self.close()


def _work(jobs: queue.SimpleQueue[Job | None]) -> None:
    while True:
        job = jobs.get()
        if job is None:
            return
        job()


def _tell(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    result: Any = None,
    error: BaseException | None = None,
) -> None:
    def tell() -> None:
        if future.done():  # given up by then
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop may have ended
        loop.call_soon_threadsafe(tell)

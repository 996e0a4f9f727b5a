"""An event loop in simulated time, and what takes time in a simulated server.

While no callback of the loop is ready, its time jumps to the next timer. So the waits and time
limits of the product pass in simulated time, and the speed of the machine decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, TypeVar
from unittest.mock import patch

from auto_shutdown.world.worker_thread import ClosedError, Worker

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """A selector that never waits: it lets time pass instead."""

    def __init__(self, let_pass: Callable[[timedelta], None]) -> None:
        super().__init__()
        self._let_pass = let_pass

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("The simulation waits for something that never happens.")
        if timeout > 0:
            # Clocks count microseconds. The timer must be due afterwards.
            self._let_pass(timedelta(microseconds=max(math.ceil(timeout * 1e6), 1)))
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """``now`` returns the simulated monotonic seconds. ``let_pass`` advances them."""

    def __init__(self, now: Callable[[], float], let_pass: Callable[[timedelta], None]) -> None:
        super().__init__(_Selector(let_pass))
        self._now = now

    def time(self) -> float:
        return self._now()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """The result of ``main``. Afterwards the loop is closed."""
        try:
            with patch("time.monotonic", self._now):
                return self.run_until_complete(main)
        finally:
            self.close()


class Luck:
    """Decides what is slow, and for how long. ``seed`` determines everything. It changes nothing
    else in the simulation."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"luck {seed}")
        self._locks: dict[Worker, asyncio.Lock] = {}

    async def delay(self, probability: float, longest: float) -> bool:
        """Let up to ``longest`` seconds pass, with this probability. Returns whether they did."""
        is_slow = self._rng.random() < probability
        await asyncio.sleep(self._rng.uniform(0, longest) if is_slow else 0)
        return is_slow

    @contextlib.contextmanager
    def instead_of_threads(self, slow_calls: float, longest: float) -> Iterator[None]:
        """Run the calls of the product's worker threads on the loop, one after another for each
        worker. The part ``slow_calls`` of them takes up to ``longest`` seconds."""

        async def run(worker: Worker, function: Callable[[], T], seconds: float) -> T:
            async def in_turn() -> T:
                async with self._locks.setdefault(worker, asyncio.Lock()):
                    await self.delay(slow_calls, longest)
                    return function()

            if worker._closed:
                raise ClosedError("the worker has been closed")
            return await asyncio.wait_for(in_turn(), seconds)

        with patch.object(Worker, "run", run):
            yield

"""The thread of the SageMaker calls: calls that hang, calls without a waiting caller, and the end
of the thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import NoReturn

import pytest
from waiting import eventually

from auto_shutdown.world.worker_thread import ClosedError, Worker

NAME = "worker-under-test"
SOON = 5.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker(NAME)
    yield found
    found.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """A function that waits for the gate hangs until the test ends."""
    found = threading.Event()
    yield found
    found.set()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


async def until_none_is_left() -> None:
    await eventually(lambda: not threads(), "all threads end")


async def test_calls_run_in_one_thread_in_order(worker: Worker) -> None:
    running, most = 0, 0
    idents: set[int] = set()

    def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        idents.add(threading.get_ident())
        time.sleep(0.002)
        running -= 1
        return number

    jobs = [worker.run(partial(work, n), SOON) for n in range(10)]
    assert await asyncio.gather(*jobs) == list(range(10))
    assert most == 1
    assert len(idents) == 1
    assert idents != {threading.get_ident()}


def _raise(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("x"), ValueError),
        (asyncio.TimeoutError(), asyncio.TimeoutError),
        (StopIteration(), RuntimeError),
        # Raised again on the loop, these would end the server.
        (SystemExit(3), RuntimeError),
        (KeyboardInterrupt(), RuntimeError),
    ],
)
async def test_an_exception_reaches_the_caller_and_the_thread_continues(
    raised: BaseException, expected: type[Exception], worker: Worker
) -> None:
    ident = await worker.run(threading.get_ident, SOON)
    with pytest.raises(expected):
        await worker.run(lambda: _raise(raised), SOON)
    assert await worker.run(threading.get_ident, SOON) == ident


async def test_hanging_call_does_not_block_the_call_behind_it(
    worker: Worker, gate: threading.Event
) -> None:
    async def hang() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await worker.run(gate.wait, 0.05)

    async def behind() -> str:
        await asyncio.sleep(0)
        return await worker.run(lambda: "served", SOON)

    assert (await asyncio.gather(hang(), behind()))[1] == "served"
    gate.set()
    assert await worker.run(lambda: "again", SOON) == "again"


async def test_a_call_never_begins_after_its_caller_stopped_waiting(
    worker: Worker, gate: threading.Event
) -> None:
    """A deletion that was decided long ago must not happen when the network comes back."""
    begun: list[str] = []
    hanging = asyncio.ensure_future(worker.run(gate.wait, SOON))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.TimeoutError):
        await worker.run(lambda: begun.append("timed out"), 0.02)
    cancelled = asyncio.ensure_future(worker.run(lambda: begun.append("cancelled"), SOON))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    gate.set()
    await hanging
    await worker.run(lambda: begun.append("awaited"), SOON)
    assert begun == ["awaited"]


async def test_call_that_times_out_in_the_queue_costs_no_thread(
    worker: Worker, gate: threading.Event
) -> None:
    hanging = asyncio.ensure_future(worker.run(gate.wait, SOON))
    await asyncio.sleep(0)
    for _ in range(Worker.MOST_STUCK + 2):
        with pytest.raises(asyncio.TimeoutError):
            await worker.run(lambda: None, 0.01)
    assert len(threads()) == 1
    gate.set()
    assert await hanging is True


async def test_stuck_threads_are_bounded_and_end_when_their_call_returns(
    worker: Worker, gate: threading.Event
) -> None:
    async def another_hangs() -> bool:
        """A call may time out before its thread has begun it: then no thread is stuck."""
        with pytest.raises(asyncio.TimeoutError):
            await worker.run(gate.wait, 0.01)
        assert len(threads()) <= Worker.MOST_STUCK
        return len(threads()) == Worker.MOST_STUCK

    await eventually(another_hangs, "every thread is stuck")
    for _ in range(3):
        assert await another_hangs()
    begin = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await worker.run(lambda: None, 600)  # told at once
    assert time.monotonic() - begin < 60
    gate.set()
    await until_none_is_left()
    assert await worker.run(lambda: "back", SOON) == "back"
    assert len(threads()) == 1


async def test_closing_raises_for_waiting_callers_and_ends_the_thread(
    gate: threading.Event,
) -> None:
    worker = Worker(NAME)
    begun: list[str] = []
    started = threading.Event()

    def hang() -> None:
        started.set()
        gate.wait()

    running = asyncio.ensure_future(worker.run(hang, SOON))
    queued = asyncio.ensure_future(worker.run(lambda: begun.append("queued"), SOON))
    await eventually(started.is_set, "the first call begins")
    worker.close()
    for waiting in (running, queued):
        with pytest.raises(ClosedError):
            await waiting
    with pytest.raises(ClosedError):
        await worker.run(lambda: begun.append("after"), SOON)
    gate.set()
    await until_none_is_left()
    assert begun == []


def test_hanging_call_does_not_keep_the_process_from_ending() -> None:
    code = (
        "import asyncio, threading\n"
        "from auto_shutdown.world.worker_thread import Worker\n"
        "async def main():\n"
        "    worker = Worker('w')\n"
        "    try: await worker.run(threading.Event().wait, 0.05)\n"
        "    except asyncio.TimeoutError: print('given up')\n"
        "    begun = threading.Event()\n"
        "    def hang(): begun.set(); threading.Event().wait()\n"
        "    asyncio.ensure_future(worker.run(hang, 60))\n"
        "    while not begun.is_set(): await asyncio.sleep(0)\n"
        "    worker.close()\n"
        "asyncio.run(main())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert found.stdout == "given up\n"

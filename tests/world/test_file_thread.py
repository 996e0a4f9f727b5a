"""The extension accesses files in a thread of its own, with a time limit and without the default
executor."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from auto_shutdown.world.file_thread import FileThread


async def test_results_and_errors_of_file_calls_are_returned() -> None:
    files = FileThread("test")
    assert await files.run(lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(FileNotFoundError):
        await files.run(open, "/nothing/here")
    files.close()
    with pytest.raises(OSError, match="stopping"):
        await files.run(int)


async def test_hanging_file_call_ends_with_an_error_that_names_the_timeout() -> None:
    files, free = FileThread("test", seconds=0.05), threading.Event()
    with pytest.raises(TimeoutError, match=r"did not answer within"):
        await files.run(free.wait)
    assert await files.run(int) == 0, "the next call has a thread of its own"
    free.set()
    files.close()


async def test_file_calls_work_while_the_default_executor_is_occupied() -> None:
    free = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    held = asyncio.ensure_future(asyncio.to_thread(free.wait))
    files = FileThread("test")
    try:
        assert await files.run(int) == 0
    finally:
        free.set()
        await held
        files.close()

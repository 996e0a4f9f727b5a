"""A source that raises or hangs becomes unread, and is read again when its manager works again."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from waiting import eventually

from auto_shutdown.core.model import Unread
from auto_shutdown.world import source_reader
from auto_shutdown.world.source_reader import ABANDON_SECONDS, SourceReader


class Manager:
    """A list that hangs until the test answers it. ``calls`` has the call of each read."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[tuple[str, ...]]] = []

    async def read(self) -> tuple[str, ...]:
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


class Reading:
    """The reader of one manager, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.manager = Manager()
        self._reader = SourceReader(lambda: self.now)

    async def one_pass(self) -> tuple[tuple[str, ...], dict[str, Unread]]:
        unread: dict[str, Unread] = {}
        kernels = await self._reader.read("kernels", self.manager.read, ("last",), unread)
        return kernels, unread


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_reader, "SOURCE_SECONDS", 0.01)


async def test_a_late_call_continues_without_the_pass_and_its_source_is_unread() -> None:
    reading = Reading()
    for _ in range(3):
        kernels, unread = await reading.one_pass()
        assert (kernels, unread["kernels"].code) == (("last",), "TimedOut")
        reading.now += 60
    assert len(reading.manager.calls) == 1


async def test_a_new_call_follows_when_the_late_call_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = Reading()
    await reading.one_pass()
    monkeypatch.setattr(source_reader, "SOURCE_SECONDS", 60.0)
    reading.manager.calls[0].set_result(("old",))
    reading_now = asyncio.ensure_future(reading.one_pass())
    await eventually(lambda: len(reading.manager.calls) == 2, "the second call")
    reading.manager.calls[1].set_result(("new",))
    assert await reading_now == (("new",), {})


async def test_a_call_that_never_ends_is_abandoned() -> None:
    reading = Reading()
    await reading.one_pass()
    reading.now = ABANDON_SECONDS - 1
    await reading.one_pass()
    assert len(reading.manager.calls) == 1
    reading.now = ABANDON_SECONDS
    await reading.one_pass()
    assert [call.cancelled() for call in reading.manager.calls] == [True, False]


async def test_the_error_of_a_late_call_does_not_reach_the_log() -> None:
    reading, logged = Reading(), []
    loop: Any = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: logged.append(context))
    await reading.one_pass()
    reading.manager.calls[0].set_exception(RuntimeError("too late"))
    await reading.one_pass()
    reading.manager.calls.clear()
    gc.collect()
    assert logged == []

"""A pass that hangs: the fault names its step, and requests are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from value_world import Bench, faults, until

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import Kind, Ref, Snapshot
from auto_shutdown.cycle import controller as controller_module
from auto_shutdown.cycle import pass_runner
from auto_shutdown.cycle import pass_tasks as pass_tasks_module
from auto_shutdown.cycle.refused import RefusedError

KERNEL = Ref(Kind.KERNEL, "k")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a pass late at once, and let each wait for a pass end at once."""
    for name in ("CHECK_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(controller_module, name, 0.02)
    monkeypatch.setattr(pass_runner, "LOOK_SECONDS", 0.02)
    for name in ("LATE_SECONDS", "WATCH_SECONDS"):
        monkeypatch.setattr(pass_tasks_module, name, 0.02)


@asynccontextmanager
async def hanging(path: Path) -> AsyncIterator[tuple[Bench, asyncio.Event]]:
    """A server whose world does not answer until the event is set."""
    bench, answers = Bench(path, replace(Limits(), poll_interval_seconds=0.05)), asyncio.Event()
    bench.use_real_clock()
    bench.world.kernel("k")
    await bench.controller.run_pass()
    observe, asked = bench.world.observe, asyncio.Event()

    async def hangs(list_apps: bool) -> Snapshot:
        asked.set()
        await answers.wait()
        return await observe(list_apps)

    bench.world.observe = hangs  # type: ignore[method-assign]
    await bench.controller.start()
    await asked.wait()  # before that no pass holds the lock
    try:
        yield bench, answers
    finally:
        answers.set()
        await bench.controller.stop()


@pytest.mark.usefixtures("short")
async def test_a_late_pass_is_a_fault_that_names_its_step(tmp_path: Path) -> None:
    async with hanging(tmp_path) as (bench, answers):
        step = "reading the kernels, terminals and apps"
        # On a busy machine an earlier step may be late for a moment, too.
        await until(lambda: step in faults(bench).get("PassLate", ""))
        assert bench.controller.report()["health"]["state"] == "failing"
        answers.set()
        await until(lambda: not faults(bench))
        assert bench.controller.report()["health"]["state"] == "ok"


@pytest.mark.usefixtures("short")
async def test_requests_are_answered_while_a_pass_hangs(tmp_path: Path) -> None:
    async with hanging(tmp_path) as (bench, _):
        requests = bench.controller.requests
        assert [hold["id"] for hold in await requests.keep_alive(KERNEL, 60)] == ["k"]
        await requests.note_activity(KERNEL)
        assert (await requests.patch_settings({"enabled": False}))["settings"]["enabled"] is False
        assert (await bench.controller.check())["resources"][0]["id"] == "k"
        with pytest.raises(RefusedError) as caught:
            await requests.keep_alive(Ref(Kind.KERNEL, "unknown"), 60)
        assert caught.value.status == 503
        assert (await requests.remove(KERNEL))["outcome"] == "removed"
        assert bench.world.removed == ["k"]


@pytest.mark.usefixtures("short")
async def test_a_pass_that_never_ends_is_cancelled_and_another_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hanging(tmp_path) as (bench, _):
        monkeypatch.setattr(pass_tasks_module, "GIVE_UP_SECONDS", 0.05)
        await until(lambda: "PassGivenUp" in faults(bench))
        bench.world.observe = type(bench.world).observe.__get__(bench.world)  # type: ignore[method-assign]
        await until(lambda: not faults(bench))


@pytest.mark.usefixtures("short")
async def test_the_end_of_the_server_does_not_wait_for_a_pass_that_hangs(tmp_path: Path) -> None:
    async with hanging(tmp_path) as (bench, answers):
        stop = asyncio.ensure_future(bench.controller.stop())
        await until(stop.done)
        assert not answers.is_set()
        assert '"clean": false' in (bench.path / "marks-k.json").read_text()

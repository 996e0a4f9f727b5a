"""What hangs: a source, a disk, a hook, a shutdown. Each is named, and requests are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import MINUTE, Bench

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import Kind, Ref, Resource, Snapshot
from auto_shutdown.core.verdict import Outcome, Result
from auto_shutdown.cycle import controller as controller_module
from auto_shutdown.cycle import one_pass as one_pass_module
from auto_shutdown.cycle import pass_runner
from auto_shutdown.cycle import pass_tasks as pass_tasks_module
from auto_shutdown.cycle import removal as removal_module
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.state.document import Document, StoreError
from auto_shutdown.state.history import Attempt, History
from auto_shutdown.world.clock import Clock
from auto_shutdown.world.last_word import MayGo, always

KERNEL = Ref(Kind.KERNEL, "k")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass is late at once, and nobody waits long for it."""
    for name in ("CHECK_SECONDS", "STOP_SECONDS"):
        monkeypatch.setattr(controller_module, name, 0.02)
    monkeypatch.setattr(pass_runner, "LOOK_SECONDS", 0.02)
    for name in ("LATE_SECONDS", "WATCH_SECONDS"):
        monkeypatch.setattr(pass_tasks_module, name, 0.02)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for ``condition``; the time limit of the test ends what never comes."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def faults(bench: Bench) -> dict[str, str]:
    return {f["code"]: f["message"] for f in bench.controller.report()["health"]["faults"]}


@asynccontextmanager
async def hanging(path: Path) -> AsyncIterator[tuple[Bench, asyncio.Event]]:
    """A server whose world does not answer until the event is set."""
    bench, answers = Bench(path, replace(Limits(), poll_interval_seconds=0.05)), asyncio.Event()
    bench.clock = Clock()  # type: ignore[assignment]
    bench.controller = bench.make()
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


class Shutdowns:
    """Removals that take until they are told to end."""

    def __init__(self, bench: Bench) -> None:
        self.begun: list[str] = []
        self.ends = asyncio.Event()
        self.cancelled = False
        self._remove = bench.world.remove
        bench.world.remove = self.remove  # type: ignore[method-assign]

    async def remove(
        self, resource: Resource, only_unmoved: bool, may_go: MayGo = always
    ) -> Outcome:
        self.begun.append(resource.ref.id)
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await self._remove(resource, only_unmoved, may_go)


async def test_a_slow_shutdown_goes_on_beside_the_passes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.kernel("other")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.02)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await until(lambda: len(shutdowns.begun) == 2)
    await bench.controller.run_pass()
    assert sorted(shutdowns.begun) == ["k", "other"], "each is begun once, and its app waits"
    assert bench.resource("k")["reason"] == "shutting-down"
    assert "Shutting down since 14:0" in bench.resource("k")["detail"]
    with pytest.raises(RefusedError) as caught:
        await bench.controller.requests.remove(KERNEL)
    assert caught.value.status == 409
    assert faults(bench) == {}
    bench.clock.advance(removal_module.LATE)
    await bench.controller.run_pass()
    assert "has been shutting down for" in faults(bench)["ShutdownLate"]
    await until(lambda: len(shutdowns.begun) == 3)
    assert shutdowns.begun[2:] == [app.id], "a late one does not hold its app for ever"
    shutdowns.ends.set()
    await until(lambda: len(bench.world.removed) == 3)
    await until(lambda: not bench.controller.situation.removals_under_way)
    await bench.controller.run_pass()
    assert faults(bench) == {}
    assert not shutdowns.cancelled
    entries = await bench.controller.requests.read_history(9)
    assert {(e["resource"], e["outcome"]) for e in entries} == {
        ("k", "removed"),
        ("other", "removed"),
        (app.id, "removed"),
    }


async def test_an_app_waits_while_the_audit_line_of_its_kernel_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.kernel("k", bench.world.app("a"))
    await bench.live(timedelta(minutes=119))
    begin_line, written = History.begin_line, asyncio.Event()
    begun: list[str] = []

    async def slowly(history: History, entry: Mapping[str, Any]) -> Attempt:
        begun.append(entry["resource"])
        await written.wait()
        return await begin_line(history, entry)

    monkeypatch.setattr(History, "begin_line", slowly)
    monkeypatch.setattr(one_pass_module, "REMOVAL_SECONDS", 0.0)
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    await bench.controller.run_pass()
    await until(lambda: begun)
    assert begun == ["k"], "the kernel may still be kept, and then its app must stay"
    written.set()
    await until(lambda: bench.world.removed == ["k"])


async def test_the_end_of_the_server_cancels_no_shutdown(bench: Bench) -> None:
    bench.world.kernel("k")
    shutdowns = Shutdowns(bench)
    await bench.live(timedelta(minutes=119))
    bench.clock.advance(timedelta(minutes=2))
    bench.controller._passes.begin(bench.controller.run_pass())
    bench.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
    await until(lambda: shutdowns.begun)
    await bench.controller.stop()
    assert not shutdowns.cancelled
    shutdowns.ends.set()
    await until(lambda: bench.world.removed)


@pytest.mark.parametrize("kind", ["kernel", "terminal"])
async def test_a_resource_that_is_still_listed_does_not_count_as_removed(
    bench: Bench, kind: str
) -> None:
    """A terminal with ``su -`` in it, a kernel that its manager does not let go of."""
    from auto_shutdown.core.model import Terminal

    if kind == "kernel":
        bench.world.kernel("x")
    else:
        bench.world.terminals["x"] = Terminal("x", last_activity=bench.clock.now)
    thing = (bench.world.kernels | bench.world.terminals)["x"]
    bench.world.immortal.add("x")
    bench.world.answers["x"] = [Outcome(Result.REMOVED)] * 9

    def stays(_resource: Resource) -> None:
        asyncio.get_running_loop().call_soon(put_back)

    def put_back() -> None:
        (bench.world.kernels if kind == "kernel" else bench.world.terminals)["x"] = thing  # type: ignore[index]

    bench.world.before_remove = stays
    await bench.live(timedelta(minutes=120, seconds=1))
    assert bench.world.removed == ["x"]
    assert bench.resource("x")["reason"] == "backing-off"
    assert "StillThere" in faults(bench)
    assert bench.controller.report()["outcomes"][-1]["outcome"] == "still-there"
    await bench.live(10 * MINUTE)
    assert len(bench.world.removed) == 4, "after 1, 2 and 4 minutes"
    (newest, *_) = await bench.controller.requests.read_history(9)
    assert newest["outcome"] == "still-there"


@pytest.mark.parametrize("word", ["kept", "switched off", "dry run", "longer limit"])
async def test_a_request_that_forbids_a_removal_counts_before_it_is_on_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """The files (on EFS) take seconds to write: the kernel that is due must stay meanwhile."""
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(timedelta(minutes=119))
    requests, disk = bench.controller.requests, asyncio.Event()
    loop = asyncio.get_running_loop()
    write, begun = Document.write, asyncio.Event()

    def slowly(document: Document, content: Any) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(disk.wait(), loop).result(30)
        write(document, content)

    monkeypatch.setattr(Document, "write", slowly)
    asked = asyncio.ensure_future(
        {
            "kept": lambda: requests.keep_alive(KERNEL, 60),
            "switched off": lambda: requests.patch_settings({"enabled": False}),
            "dry run": lambda: requests.patch_settings({"dry_run": True}),
            "longer limit": lambda: requests.patch_settings({"idle_timeout_minutes": 300}),
        }[word]()
    )
    await until(begun.is_set)
    assert not asked.done()
    bench.clock.advance(timedelta(minutes=2))
    policy, situation = bench.controller.preferences.policy, bench.controller.situation
    situation.decide(policy, bench.clock.now)
    assert policy.dry_run or not situation.plan.removals, "it is in force before it is on disk"
    disk.set()
    await asked
    await bench.controller.run_pass()
    assert bench.world.removed == []


async def test_a_keep_alive_counts_while_the_audit_line_is_written(bench: Bench) -> None:
    """The second look is over, and the line takes seconds: still in time."""
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=119))
    history = bench.controller._history
    begin_line = history.begin_line

    async def slowly(entry: Any) -> Any:
        await bench.controller.requests.keep_alive(KERNEL, 60)
        return await begin_line(entry)

    history.begin_line = slowly  # type: ignore[method-assign]
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    assert bench.world.removed == []
    assert bench.controller.report()["outcomes"][-1]["outcome"] == "stale"


async def test_a_kernel_that_starts_while_the_audit_line_is_written_keeps_its_app(
    bench: Bench,
) -> None:
    """SageMaker deletes an app whatever runs in it, so the look that counts is the last one."""
    app = bench.world.app("gw")
    await bench.live(timedelta(minutes=119))
    history = bench.controller._history
    begin_line = history.begin_line

    async def slowly(entry: Any) -> Any:
        bench.world.kernel("k", app)
        return await begin_line(entry)

    history.begin_line = slowly  # type: ignore[method-assign]
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    assert bench.world.removed == []
    assert bench.controller.report()["outcomes"][-1]["outcome"] == "stale"


async def test_a_setting_that_cannot_be_stored_is_in_force_and_is_a_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.world.kernel("k")
    await bench.controller.load()
    await bench.live(timedelta(minutes=119))

    def full(*_: Any) -> None:
        raise StoreError("Cannot write it: No space left on device.", "Make room.")

    with monkeypatch.context() as broken:
        broken.setattr(Document, "write", full)
        with pytest.raises(StoreError, match="applies on this server only"):
            await bench.controller.requests.patch_settings({"enabled": False})
        await bench.live(timedelta(minutes=5))
        assert "applies on this server only" in faults(bench)["StateFile"]
        assert bench.world.removed == []
    await bench.live(timedelta(minutes=1))
    assert faults(bench) == {}
    assert '"enabled": false' in (bench.path / "settings.json").read_text()


async def test_rehearsals_of_ended_kernels_are_forgotten(bench: Bench) -> None:
    await bench.controller.requests.patch_settings({"dry_run": True})
    for number in range(20):
        bench.world.kernel(f"k{number}")
        await bench.live(timedelta(minutes=135))
        bench.world.kernels.clear()
    await bench.live(timedelta(minutes=2))
    assert len(bench.controller.report()["outcomes"]) == 20, "each was rehearsed"
    assert bench.controller.situation.ledger.rehearsed == {}

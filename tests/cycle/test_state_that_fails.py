"""State files that cannot be read, understood or written. They cause no removal, and the extension
recovers without a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import Bench

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import EVERYTHING, Kernel, Kind, Ref, Snapshot
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.state.store import Document, StoreError

HOURS = timedelta(hours=1)


def write(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def settings(**values: Any) -> dict[str, Any]:
    return {"schema": 1, "settings": values}


async def begun(path: Path, **limits: Any) -> Bench:
    bench = Bench(path, Limits(**limits))
    bench.world.kernel("k")
    await bench.controller.load()
    return bench


def faults(bench: Bench) -> dict[str, str]:
    return {f["source"]: f["message"] for f in bench.controller.report()["health"]["faults"]}


BROKEN = ["{", '{"schema": 99, "settings": {}}', "[" * 100_000]


@pytest.mark.parametrize("content", BROKEN, ids=["torn", "future", "deep"])
async def test_settings_that_cannot_be_read_at_the_start_prevent_every_removal(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    write(path, content)
    bench = await begun(tmp_path)
    await bench.live(10 * HOURS)
    assert bench.world.removed == []
    assert bench.resource("k")["reason"] == "unknown"
    assert bench.controller.report()["health"]["state"] == "failing"
    assert "nothing is removed" in faults(bench)["settings"]
    write(path, settings(idle_timeout_minutes=700))
    await bench.live(1 * HOURS)
    assert bench.world.removed == []
    assert faults(bench) == {}
    await bench.live(2 * HOURS)
    assert bench.world.removed == ["k"]


@pytest.mark.parametrize("content", BROKEN, ids=["torn", "future", "deep"])
async def test_the_last_good_settings_stay_in_force_if_the_file_breaks_later(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    write(path, settings(idle_timeout_minutes=300))
    bench = await begun(tmp_path)
    await bench.live(1 * HOURS)
    write(path, content)
    await bench.live(3.9 * HOURS)
    assert bench.world.removed == []
    assert "The previous settings still apply" in faults(bench)["settings"]
    await bench.live(0.3 * HOURS)
    assert bench.world.removed == ["k"]


async def test_a_broken_file_does_not_evade_a_locked_setting(tmp_path: Path) -> None:
    write(tmp_path / "settings.json", "{")
    locked = frozenset({"enabled", "dry_run", "idle_timeout_minutes"})
    bench = await begun(tmp_path, locked=locked, max_idle_timeout_minutes=240)
    await bench.live(3.9 * HOURS)
    assert bench.world.removed == [], "the file may contain a rule of up to 240 minutes"
    await bench.live(0.3 * HOURS)
    assert bench.world.removed == ["k"]


async def test_a_broken_file_does_not_evade_the_lock_of_all_settings(tmp_path: Path) -> None:
    write(tmp_path / "settings.json", "{")
    bench = await begun(tmp_path, locked=frozenset(Limits().defaults))
    await bench.live(2.2 * HOURS)
    assert bench.world.removed == ["k"]


async def test_an_unreadable_file_is_read_again_in_the_next_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the file system leaves no trace in the file: its signature stays the same."""
    write(tmp_path / "settings.json", settings(enabled=False))
    write(
        tmp_path / "keep-alive-k.json",
        {"schema": 1, "keep_alive": [{"kind": "kernel", "id": "k", "until": "2026-03-01T20:00Z"}]},
    )
    peek = Document.peek

    def fails(document: Document) -> Any:
        if "marks" in document.path.name:
            return peek(document)
        raise StoreError("Cannot read it.", "Wait.")

    with monkeypatch.context() as broken:
        broken.setattr(Document, "peek", fails)
        bench = await begun(tmp_path)
        await bench.live(7 * HOURS)
        assert bench.world.removed == []
        assert set(faults(bench)) == {"settings", "state"}
        with pytest.raises(StoreError):  # it would write over those that are there
            await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 5)
    await bench.live(timedelta(minutes=2))
    assert faults(bench) == {}
    assert bench.controller.preferences.view()["user"] == {"enabled": False}


@pytest.mark.parametrize("step", [timedelta(0), timedelta(minutes=20)], ids=str)
async def test_unreadable_keep_alives_keep_every_resource_until_they_are_read(
    step: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = [{"kind": "kernel", "id": "k", "until": "2026-03-01T20:00:00+00:00"}]
    write(tmp_path / "keep-alive-k.json", {"schema": 1, "keep_alive": held})
    peek = Document.peek

    def fails(document: Document) -> Any:
        if "keep-alive" not in document.path.name:
            return peek(document)
        raise StoreError("Cannot read it.", "Wait.")

    with monkeypatch.context() as broken:
        broken.setattr(Document, "peek", fails)
        bench = await begun(tmp_path)
        bench.world.kernel("other")
        await bench.live(3 * HOURS)
        bench.clock.step(step)
        await bench.live(3 * HOURS)
        assert bench.world.removed == []
        assert [h["kind"] for h in bench.controller.requests.keep_alives()] == ["all"]
    await bench.live(1 * HOURS)
    assert [h["id"] for h in bench.controller.requests.keep_alives()] == ["k"]
    assert bench.world.removed == ["other"]
    await bench.live(1.2 * HOURS - step)
    assert bench.world.removed == ["other", "k"]


async def test_lost_keep_alives_keep_every_resource_for_the_longest_keep_alive(
    tmp_path: Path,
) -> None:
    write(tmp_path / "keep-alive-k.json", "{")
    bench = await begun(tmp_path, max_keep_alive_minutes=300)
    bench.controller = bench.make()  # and a restart does not forget it
    await bench.controller.load()
    await bench.live(4.9 * HOURS)
    assert bench.world.removed == []
    await bench.live(0.4 * HOURS)
    assert bench.world.removed == ["k"]
    assert (await bench.controller.requests.keep_alive(EVERYTHING, None)) == []
    assert faults(bench) == {}


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "x"])
async def test_an_edited_keep_alive_does_not_prevent_the_start(until: str, tmp_path: Path) -> None:
    held = [{"kind": "all", "id": "all", "until": until}]
    write(tmp_path / "keep-alive-k.json", {"schema": 1, "keep_alive": held})
    bench = await begun(tmp_path)
    await bench.live(26 * HOURS)
    assert bench.world.removed == ["k"]


async def test_owed_audit_lines_are_written_when_the_disk_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await begun(tmp_path)
    await bench.controller.check()

    def full(*_: Any) -> None:
        raise StoreError("Cannot write it: No space left on device.", "Make room.")

    with monkeypatch.context() as broken:
        broken.setattr(Document, "write", full)
        with pytest.raises(StoreError):
            await bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "k"), 600)
        await bench.controller.check()
        assert "No space" in faults(bench)["state"]
    await bench.live(timedelta(minutes=2))
    assert faults(bench) == {}
    bench.controller = bench.make()
    await bench.controller.load()
    assert [h["id"] for h in bench.controller.requests.keep_alives()] == ["k"]


def keeps(bench: Bench) -> Any:
    return bench.controller.requests.keep_alive(Ref(Kind.KERNEL, "b"), 60)


def switches_off(bench: Bench) -> Any:
    return bench.controller.requests.patch_settings({"enabled": False})


def is_present(bench: Bench) -> Any:
    return bench.controller.requests.note_activity(Ref(Kind.KERNEL, "b"))


@pytest.mark.parametrize("asks", [keeps, switches_off, is_present])
async def test_a_request_during_a_hanging_removal_counts_for_the_rest_of_the_pass(
    asks: Callable[[Bench], Any], bench: Bench
) -> None:
    bench.world.kernel("a")
    bench.world.kernel("b")
    await bench.live(timedelta(minutes=119))
    hangs = asyncio.Event()
    tasks: list[asyncio.Task[Any]] = []
    look_again = bench.world.look_again

    async def look(ref: Ref) -> Snapshot:
        if ref.id == "a" and not tasks:
            tasks.append(asyncio.ensure_future(asks(bench)))
            asyncio.get_running_loop().call_later(0.2, hangs.set)
            await hangs.wait()
        return await look_again(ref)

    bench.world.look_again = look  # type: ignore[method-assign]
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.check()
    await tasks[0]
    assert "b" not in bench.world.removed


async def test_a_resource_that_moves_during_its_removal_is_observed_again(bench: Bench) -> None:
    """The look right before the shutdown sees the activity, and the same pass then shows it."""
    kernel: Kernel = bench.world.kernel("k")
    bench.world.answers["k"] = [Outcome(Result.STALE)]
    bench.world.before_remove = lambda _: bench.world.kernels.update(
        k=Kernel("k", "python3", "busy", kernel.last_activity)
    )
    await bench.live(timedelta(minutes=121))
    assert bench.resource("k")["reason"] == "busy"
    (outcome,) = bench.controller.report()["outcomes"]
    assert outcome["outcome"] == "stale"

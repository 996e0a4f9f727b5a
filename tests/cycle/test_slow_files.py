"""State files that take seconds to write, or cannot be written: requests count at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from value_world import Bench, before_each_audit_line, faults, until

from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.state.document import Document, StoreError

KERNEL = Ref(Kind.KERNEL, "k")


@pytest.mark.parametrize("word", ["kept", "switched off", "dry run", "longer limit"])
async def test_a_request_that_forbids_a_removal_counts_before_it_is_on_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    """The files (on EFS) take seconds to write. The kernel that is due must stay meanwhile."""
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
    """The second look has ended, and writing the audit line takes seconds. A request then still
    counts."""
    bench.world.kernel("k")
    await bench.live(timedelta(minutes=119))
    before_each_audit_line(bench, lambda: bench.controller.requests.keep_alive(KERNEL, 60))
    bench.clock.advance(timedelta(minutes=2))
    await bench.controller.run_pass()
    assert bench.world.removed == []
    assert bench.controller.report()["outcomes"][-1]["outcome"] == "stale"


async def test_a_kernel_that_starts_while_the_audit_line_is_written_keeps_its_app(
    bench: Bench,
) -> None:
    """SageMaker deletes an app whatever runs in it, so the extension looks a last time after the
    line is written."""
    app = bench.world.app("gw")
    await bench.live(timedelta(minutes=119))

    async def kernel_starts() -> None:
        bench.world.kernel("k", app)

    before_each_audit_line(bench, kernel_starts)
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

"""A file call that ends after its caller gave up: the next call must apply its result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.ledger import Hold, hold
from auto_shutdown.core.model import EVERYTHING
from auto_shutdown.state.document import Document, StoreError
from auto_shutdown.state.preferences import Preferences
from auto_shutdown.state.saved_ledger import SavedLedger
from auto_shutdown.state.store import Store
from auto_shutdown.world.clock import Moment

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
START = Moment(NOW, 100.0)
LATER = NOW + timedelta(hours=3)


def refuse(*_: Any) -> Any:
    raise StoreError("The file system did not answer in time.", "Wait.")


@contextmanager
def late(method: str) -> Iterator[None]:
    """Each call of the store's ``method`` ends, but after its caller has got a StoreError."""
    run = Store.run

    async def run_late(self: Store, function: Any, *arguments: Any) -> Any:
        result = await run(self, function, *arguments)
        return refuse() if function.__name__ == method else result

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "run", run_late)
        yield


@contextmanager
def unreadable() -> Iterator[None]:
    """No file can be read."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Document, "peek", refuse)
        yield


@pytest.mark.parametrize("failure", [late("load_other_holds"), unreadable()])
async def test_keep_alive_of_another_server_is_read_again(tmp_path: Path, failure: Any) -> None:
    one = SavedLedger(Store(tmp_path, "k", ["k-2"]), Limits())
    two = SavedLedger(Store(tmp_path, "k-2", ["k"]), Limits())
    owner = SimpleNamespace(ledger=await one.load(START))
    other = await two.load(START)
    held = SimpleNamespace(ledger=hold(other, EVERYTHING, LATER))
    await two.save_holds(held, START)
    with failure:
        await one.read_others(owner, START)
    assert owner.ledger.holds == {}
    await one.retry(owner, START)
    assert owner.ledger.holds == {EVERYTHING: Hold(LATER)}


@pytest.mark.parametrize("method", ["load_settings", "settings_changed"])
async def test_settings_of_another_server_are_read_again(tmp_path: Path, method: str) -> None:
    user = Preferences(Limits(), Store(tmp_path, "k"))
    await user.load(NOW)
    Store(tmp_path, "k-2").patch_settings({"enabled": False, "dry_run": True})
    with late(method):
        await user.read_again(NOW)
    assert user.policy.enabled
    await user.read_again(NOW)
    assert (user.policy.enabled, user.policy.dry_run) == (False, True)
    assert user.faults(NOW) == []


async def test_fault_ends_when_an_unchanged_settings_file_can_be_read(tmp_path: Path) -> None:
    user = Preferences(Limits(), Store(tmp_path, "k"))
    await user.patch({"warn_minutes": 9})
    with late("settings_changed"):
        await user.read_again(NOW)
    assert len(user.faults(NOW)) == 1
    await user.read_again(NOW)
    assert user.faults(NOW) == []


async def test_late_change_of_a_setting_loses_no_change_by_another_server(tmp_path: Path) -> None:
    user = Preferences(Limits(), Store(tmp_path, "k"))
    await user.load(NOW)
    Store(tmp_path, "k-2").patch_settings({"enabled": False})
    with late("patch_settings"), pytest.raises(StoreError):
        await user.patch({"idle_timeout_minutes": 30})
    await user.refresh(NOW)
    assert not user.policy.enabled
    assert user.policy.settings["idle_timeout_minutes"] == 30


@pytest.mark.parametrize("method", ["load_holds", "set_aside_holds"])
async def test_everything_is_kept_after_a_late_read_of_damaged_keep_alives(
    tmp_path: Path, method: str
) -> None:
    path = tmp_path / "keep-alive-k.json"
    path.write_text("{")
    saved = SavedLedger(Store(tmp_path, "k"), Limits())
    with late(method):
        owner = SimpleNamespace(ledger=await saved.load(START))
    for _ in range(3):
        await saved.retry(owner, START)
        assert EVERYTHING in owner.ledger.holds
    (fault,) = saved.faults(NOW)
    assert fault.code == "KeepAlivesLost"
    restarted = SavedLedger(Store(tmp_path, "k"), Limits())
    assert EVERYTHING in (await restarted.load(START)).holds

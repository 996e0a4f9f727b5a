"""The user's settings: a change that forbids removals is in force before it is on disk."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.config.settings import Limits
from auto_shutdown.state.document import Document, StoreError
from auto_shutdown.state.preferences import Preferences
from auto_shutdown.state.store import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


async def preferences(path: Path, **user: Any) -> Preferences:
    found = Preferences(Limits(), Store(path, "k"))
    await found.load(NOW)
    if user:
        await found.patch(user)
    return found


def on_disk(path: Path) -> Any:
    return json.loads((path / "settings.json").read_text())["settings"]


#: A change, the settings in force while the disk hangs, and those in force afterwards.
CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"enabled": False}, {"enabled": False}),
    ({"dry_run": True}, {"dry_run": True}),
    ({"keep_terminals": True}, {"keep_terminals": True}),
    ({"protect_connected": True}, {"protect_connected": True}),
    ({"only_when_it_saves": True}, {"only_when_it_saves": True}),
    ({"idle_timeout_minutes": 240}, {"idle_timeout_minutes": 240}),
    ({"kernel_idle_timeout_minutes": 240}, {"kernel_idle_timeout_minutes": 240}),
    ({"warn_minutes": 30}, {"warn_minutes": 30}),
    # A limit that is shorter than the limit in force:
    ({"idle_timeout_minutes": 30}, {}),
    ({"app_idle_timeout_minutes": 30}, {}),
    ({"warn_minutes": 1}, {}),
    ({"rules": [{"kernel_name": "*", "idle_timeout_minutes": 600}]}, {}),
    # Several changes, of which some forbid removals:
    ({"dry_run": True, "idle_timeout_minutes": 30}, {"dry_run": True}),
]


@pytest.mark.parametrize(("change", "at_once"), CHANGES, ids=[str(c) for c, _ in CHANGES])
async def test_setting_that_prevents_removals_is_in_force_before_it_is_on_disk(
    change: dict[str, Any], at_once: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await preferences(tmp_path)
    before = dict(user.policy.settings)
    free, write = threading.Event(), Document.write

    def slow(self: Document, content: Any) -> None:
        free.wait(60)
        write(self, content)

    monkeypatch.setattr(Document, "write", slow)
    changing = asyncio.ensure_future(user.patch(change))
    await asyncio.sleep(0)  # the request begins, and waits for the disk
    assert user.policy.settings == {**before, **at_once}
    free.set()
    await changing
    assert user.policy.settings == {**before, **change}
    assert on_disk(tmp_path) == change
    assert user.faults(NOW) == []


async def test_setting_that_allows_removals_is_in_force_once_it_is_on_disk(tmp_path: Path) -> None:
    user = await preferences(tmp_path, enabled=False, dry_run=True, idle_timeout_minutes=600)
    changing = asyncio.ensure_future(
        user.patch({"enabled": True, "dry_run": False, "idle_timeout_minutes": None})
    )
    await asyncio.sleep(0)
    policy = user.policy
    assert (policy.enabled, policy.dry_run) == (False, True)
    assert policy.settings["idle_timeout_minutes"] == 600
    await changing
    assert user.policy.enabled
    assert user.policy.settings["idle_timeout_minutes"] == 120


async def test_failed_write_of_settings_is_a_fault_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await preferences(tmp_path, warn_minutes=7)

    def full(*_: Any) -> None:
        raise StoreError("Cannot write x: No space left on device.", "Make room.")

    with monkeypatch.context() as patched:
        patched.setattr(Document, "write", full)
        with pytest.raises(StoreError) as caught:
            await user.patch({"dry_run": True, "idle_timeout_minutes": 30})
        assert str(caught.value) == (
            "Cannot write x: No space left on device. "
            "Until it can be written, dry_run applies on this server only."
        )
        await user.refresh(NOW)
        (fault,) = user.faults(NOW)
        assert fault.message == str(caught.value)
        assert fault.remedy == "Make room."
    assert user.policy.dry_run
    assert user.policy.settings["idle_timeout_minutes"] == 120
    assert user.view()["user"] == {"warn_minutes": 7, "dry_run": True}
    assert on_disk(tmp_path) == {"warn_minutes": 7}
    await user.refresh(NOW)
    assert on_disk(tmp_path) == {"warn_minutes": 7, "dry_run": True}
    assert user.faults(NOW) == []


async def test_change_by_another_server_keeps_settings_not_yet_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await preferences(tmp_path)
    write = Document.write

    def refused(*_: Any) -> None:
        raise StoreError("No.", "Wait.")

    monkeypatch.setattr(Document, "write", refused)
    with pytest.raises(StoreError):
        await user.patch({"enabled": False})
    monkeypatch.setattr(Document, "write", write)
    Store(tmp_path, "other").patch_settings({"warn_minutes": 9})
    monkeypatch.setattr(Document, "write", refused)
    await user.refresh(NOW)
    assert not user.policy.enabled
    assert user.policy.settings["warn_minutes"] == 9


async def test_remember_stopped_is_off_while_the_settings_cannot_be_read(
    tmp_path: Path,
) -> None:
    user = await preferences(tmp_path, remember_stopped=False)
    (tmp_path / "settings.json").write_text("{")
    assert not (await preferences(tmp_path)).policy.settings["remember_stopped"]
    await user.load(NOW)
    assert not user.policy.settings["remember_stopped"], "the earlier setting stays in force"


async def test_refused_change_does_not_replace_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await preferences(tmp_path)

    def full(*_: Any) -> None:
        raise StoreError("The disk is full.", "Make room.")

    with monkeypatch.context() as patched:
        patched.setattr(Document, "write", full)
        with pytest.raises(StoreError):
            await user.patch({"enabled": False})
    await user.patch({"enabled": True})
    await user.refresh(NOW)
    assert (user.policy.enabled, on_disk(tmp_path)) == (True, {"enabled": True})


@pytest.mark.parametrize("stored", [True, False])
async def test_newer_change_that_forbids_stays_in_force_while_an_older_one_is_written(
    stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The value False is on disk or refused, an older request for True is being written, and a
    newer one for False cannot be written."""
    user = await preferences(tmp_path, enabled=not stored)
    write, free = Document.write, threading.Event()
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuse(*_: Any) -> None:
        raise StoreError("The disk is full.", "Make room.")

    def slow(self: Document, content: Any) -> None:
        loop.call_soon_threadsafe(began.set)
        free.wait(60)
        write(self, content)

    if not stored:
        monkeypatch.setattr(Document, "write", refuse)
        with pytest.raises(StoreError):
            await user.patch({"enabled": False})
    assert not user.policy.enabled
    monkeypatch.setattr(Document, "write", slow)
    older = asyncio.ensure_future(user.patch({"enabled": True}))
    await began.wait()
    newer = asyncio.ensure_future(user.patch({"enabled": False}))
    await asyncio.sleep(0)  # the request begins, and waits for the older one
    monkeypatch.setattr(Document, "write", refuse)
    free.set()
    await older
    with pytest.raises(StoreError):
        await newer
    assert (user.policy.enabled, on_disk(tmp_path)) == (False, {"enabled": True})
    monkeypatch.setattr(Document, "write", write)
    await user.refresh(NOW)
    assert on_disk(tmp_path) == {"enabled": False}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("whole_directory", [False, True])
async def test_settings_stay_in_force_when_their_file_disappears(
    whole_directory: bool, restarted: bool, tmp_path: Path
) -> None:
    """If a home is no longer mounted, removals must not begin."""
    directory = tmp_path / "state"
    user = await preferences(directory, enabled=False, warn_minutes=9)
    if restarted:
        user = await preferences(directory)
    if whole_directory:
        shutil.rmtree(directory)
    else:
        (directory / "settings.json").unlink()
    for _ in range(2):
        await user.refresh(NOW)
        assert not user.policy.enabled
        (fault,) = user.faults(NOW)
        assert str(directory / "settings.json") in fault.message
    await user.patch({"dry_run": True})
    assert user.faults(NOW) == []
    assert on_disk(directory) == {"enabled": False, "warn_minutes": 9, "dry_run": True}


async def test_settings_that_were_never_stored_are_the_defaults(tmp_path: Path) -> None:
    user = await preferences(tmp_path)
    await user.load(NOW)
    assert user.policy.enabled
    assert user.faults(NOW) == []

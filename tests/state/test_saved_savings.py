"""The stored savings are never overwritten before they have been read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.model import App, Snapshot
from auto_shutdown.core.savings import Freed, Savings
from auto_shutdown.state.document import StoreError
from auto_shutdown.state.savings import SavedSavings
from auto_shutdown.state.store import Store

NOW = datetime(2026, 3, 2, 8, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
EARLIER = Savings(40.0, 9.0, 0.0, (Freed("ml.g5.xlarge", NOW - 5 * HOUR, 1.0),))
FREED = Freed("ml.t3.medium", NOW + HOUR, 0.05)
G5 = App("KernelGateway", "g5", "InService", "ml.g5.xlarge")


class UnreadableStore(Store):
    """A store whose savings cannot be read while ``unreadable`` is set."""

    unreadable = True

    def load_savings(self) -> Savings:
        if self.unreadable:
            raise StoreError("Cannot read the savings.", "Try again.")
        return super().load_savings()


async def begun(path: Path, own_app: bool = False) -> tuple[UnreadableStore, SavedSavings]:
    Store(path, "k").save_savings(EARLIER)
    store = UnreadableStore(path, "k")
    saved = SavedSavings(store, None, {})
    await saved.load(own_app, NOW)
    return store, saved


def hours(saved: SavedSavings, now: datetime) -> float:
    return float(saved.view(now)["instance_hours"])


async def test_sums_stay_on_disk_while_they_cannot_be_read(tmp_path: Path) -> None:
    store, saved = await begun(tmp_path)
    await saved.add(FREED)
    await saved.look(Snapshot(), NOW + 2 * HOUR)
    assert Store(tmp_path, "k").load_savings() == EARLIER
    store.unreadable = False
    await saved.look(Snapshot(), NOW + 3 * HOUR)
    assert hours(saved, NOW + 3 * HOUR) == 40 + 5 + 3 + 2


async def test_next_removal_adds_to_sums_that_could_not_be_read_at_the_start(
    tmp_path: Path,
) -> None:
    store, saved = await begun(tmp_path)
    store.unreadable = False
    await saved.add(FREED)
    again = SavedSavings(Store(tmp_path, "k"), None, {})
    await again.load(False, NOW)
    assert hours(saved, NOW + 3 * HOUR) == hours(again, NOW + 3 * HOUR) == 40 + 5 + 3 + 2


async def seen_again(saved: SavedSavings) -> None:
    await saved.look(Snapshot(apps=(G5,)), NOW + HOUR)


async def removed_again(saved: SavedSavings) -> None:
    await saved.add(Freed("ml.g5.xlarge", NOW + HOUR, 1.0))


@pytest.mark.parametrize(
    ("event", "own_app", "expected"),
    [
        (seen_again, False, 40 + 5 + 1),
        (removed_again, False, 40 + 5 + 1 + 2),
        (seen_again, True, 40 + 5),
    ],
)
async def test_no_hour_counts_twice_if_the_sums_are_read_later(
    event: Callable[[SavedSavings], Any], own_app: bool, expected: float, tmp_path: Path
) -> None:
    store, saved = await begun(tmp_path, own_app)
    await event(saved)
    store.unreadable = False
    await saved.look(Snapshot(), NOW + 3 * HOUR)
    assert hours(saved, NOW + 3 * HOUR) == expected


def set_aside_in(path: Path) -> list[Path]:
    return list(path.glob("savings-k.json.set-aside-*"))


async def test_file_with_senseless_sums_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "savings-k.json"
    path.write_text(json.dumps({"schema": 1, "hours": "many"}))
    saved = SavedSavings(Store(tmp_path, "k"), None, {})
    await saved.load(False, NOW)
    await saved.add(FREED)
    assert hours(saved, NOW + 2 * HOUR) == 1
    (aside,) = set_aside_in(tmp_path)
    assert "many" in aside.read_text()

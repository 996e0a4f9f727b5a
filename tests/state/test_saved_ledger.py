"""Marks and keep-alives across a restart, a crash, and two servers of one identity."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.ledger import Hold, Ledger, hold
from auto_shutdown.core.model import EVERYTHING, Kind, Ref
from auto_shutdown.state.saved_ledger import SavedLedger
from auto_shutdown.state.store import Store
from auto_shutdown.world.clock import Moment

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
START = Moment(NOW, 100.0)
KERNEL = Ref(Kind.KERNEL, "k")


@dataclass
class Owner:
    ledger: Ledger

    def hold(self, ref: Ref, until: datetime | None) -> None:
        self.ledger = hold(self.ledger, ref, until)


def marks_on_disk(path: Path, key: str = "k") -> Any:
    return json.loads((path / f"marks-{key}.json").read_text())


async def test_marks_are_complete_only_after_a_clean_stop(tmp_path: Path) -> None:
    """While a server runs, its marks are out of date: a crash must not leave them to be trusted."""
    saved = SavedLedger(Store(tmp_path, "k"), Limits())
    ledger = await saved.load(START)
    assert marks_on_disk(tmp_path)["clean"] is False
    await saved.save_marks(ledger, START, clean=True)
    assert marks_on_disk(tmp_path)["clean"] is True
    again = SavedLedger(Store(tmp_path, "k"), Limits())
    assert (await again.load(START)).forgotten == frozenset()
    assert marks_on_disk(tmp_path)["clean"] is False
    after_a_crash = SavedLedger(Store(tmp_path, "k"), Limits())
    assert (await after_a_crash.load(START)).forgotten != frozenset()


class Pair:
    """Two servers of one identity, each with files of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.one = SavedLedger(Store(path, "k", ["k-2"]), Limits())
        self.two = SavedLedger(Store(path, "k-2", ["k"]), Limits())

    async def load(self) -> tuple[Owner, Owner]:
        return Owner(await self.one.load(START)), Owner(await self.two.load(START))


def minutes(number: float) -> datetime:
    return NOW + timedelta(minutes=number)


async def test_a_keep_alive_on_one_server_counts_on_the_other(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    first, second = await pair.load()
    first.hold(EVERYTHING, minutes(60))
    await pair.one.save_holds(first, START)
    await pair.two.retry(second, START)
    assert second.ledger.holds == {EVERYTHING: Hold(minutes(60))}
    first.hold(EVERYTHING, None)
    await pair.one.save_holds(first, START)
    await pair.two.retry(second, START)
    assert second.ledger.holds == {}


async def test_save_by_another_server_loses_no_keep_alive(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    first, second = await pair.load()
    first.hold(KERNEL, minutes(30))
    await pair.one.save_holds(first, START)
    await pair.two.retry(second, START)
    second.hold(EVERYTHING, minutes(20))
    await pair.two.save_holds(second, START)
    await pair.one.retry(first, START)
    await pair.one.save_holds(first, START)
    both = {KERNEL: Hold(minutes(30)), EVERYTHING: Hold(minutes(20))}
    assert (first.ledger.holds, second.ledger.holds) == (both, both)
    restarted = await Pair(tmp_path).load()
    assert [owner.ledger.holds for owner in restarted] == [both, both]


async def test_an_own_keep_alive_survives_the_end_of_a_longer_one_of_another_server(
    tmp_path: Path,
) -> None:
    pair = Pair(tmp_path)
    first, second = await pair.load()
    first.hold(EVERYTHING, minutes(30))
    await pair.one.save_holds(first, START)
    second.hold(EVERYTHING, minutes(90))
    await pair.two.save_holds(second, START)
    await pair.one.retry(first, START)
    assert first.ledger.holds == {EVERYTHING: Hold(minutes(90))}
    await pair.one.save_holds(first, START)
    second.hold(EVERYTHING, None)
    await pair.two.save_holds(second, START)
    await pair.one.retry(first, START)
    assert first.ledger.holds == {EVERYTHING: Hold(minutes(30))}

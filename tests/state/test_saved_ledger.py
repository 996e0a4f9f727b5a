"""Marks and keep-alives across a restart, a crash, and two servers of one identity."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.ledger import Hold, Ledger, hold, shift
from auto_shutdown.core.marks import first_sight
from auto_shutdown.core.model import EVERYTHING, Kind, Ref
from auto_shutdown.state.document import StoreError
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
    """While a server runs, the marks on disk are out of date. After a crash, the next server must
    not trust them."""
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


async def test_app_of_a_kernel_is_known_after_a_reboot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Studio Classic starts the server in a new container, and its kernels run on in other
    containers. The times of the marks belong to another boot, but a kernel does not move to another
    app."""
    saved = SavedLedger(Store(tmp_path, "k"), Limits())
    mark = replace(first_sight(NOW), app="KernelGateway/a")
    ledger = replace(await saved.load(START), marks={KERNEL: mark})
    await saved.save_marks(ledger, START, clean=True)
    monkeypatch.setattr("auto_shutdown.state.saved_ledger.boot_identity", lambda: "another")
    again = SavedLedger(Store(tmp_path, "k"), Limits())
    assert (await again.load(START)).marks == {}
    assert again.earlier_marks[KERNEL].app == "KernelGateway/a"


@pytest.mark.parametrize("content", ["[]", '{"marks": 7}', '{"marks": [{"kind": "kernel"}]}'])
async def test_marks_file_of_another_form_has_no_marks(tmp_path: Path, content: str) -> None:
    (tmp_path / "marks-k.json").write_text(content)
    saved = SavedLedger(Store(tmp_path, "k"), Limits())
    await saved.load(START)
    assert saved.earlier_marks == {}


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


async def test_keep_alives_of_another_server_outlive_the_loss_of_its_file(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    first, second = await pair.load()
    first.hold(EVERYTHING, minutes(60))
    await pair.one.save_holds(first, START)
    await pair.two.retry(second, START)
    path = tmp_path / "keep-alive-k.json"
    for lose in (path.unlink, lambda: path.write_text("{")):
        lose()
        await pair.two.retry(second, START)
        assert second.ledger.holds == {EVERYTHING: Hold(minutes(60))}


async def test_lost_file_with_own_keep_alives_is_written_again(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    first, _ = await pair.load()
    first.hold(KERNEL, minutes(60))
    await pair.one.save_holds(first, START)
    (tmp_path / "keep-alive-k.json").unlink()
    await pair.one.retry(first, START)
    restarted, _ = await Pair(tmp_path).load()
    assert restarted.ledger.holds == {KERNEL: Hold(minutes(60))}


@pytest.mark.parametrize("note", ["", "a training of 12 hours"])
async def test_released_keep_alive_of_another_server_ends_also_after_a_clock_step(
    note: str, tmp_path: Path
) -> None:
    pair, step = Pair(tmp_path), timedelta(seconds=30)
    first, second = await pair.load()
    first.ledger = hold(first.ledger, KERNEL, minutes(60), note)
    await pair.one.save_holds(first, START)
    await pair.two.retry(second, START)
    stepped = Moment(NOW + step, START.monotonic)
    second.ledger = shift(second.ledger, step)
    pair.two.clock_stepped(step)
    await pair.two.retry(second, stepped)
    first.hold(KERNEL, None)
    await pair.one.save_holds(first, stepped)
    await pair.two.retry(second, stepped)
    assert second.ledger.holds == {}


async def test_own_keep_alive_below_a_longer_one_moves_with_the_clock(tmp_path: Path) -> None:
    pair, step = Pair(tmp_path), timedelta(minutes=20)
    first, second = await pair.load()
    first.hold(EVERYTHING, minutes(30))
    second.hold(EVERYTHING, minutes(90))
    await pair.two.save_holds(second, START)
    await pair.one.retry(first, START)
    first.ledger = shift(first.ledger, step)
    pair.one.clock_stepped(step)
    second.hold(EVERYTHING, None)
    await pair.two.save_holds(second, START)
    await pair.one.retry(first, Moment(NOW + step, START.monotonic))
    assert first.ledger.holds == {EVERYTHING: Hold(minutes(50))}


class Unreadable:
    """A server whose file with keep-alives cannot be read at its start. ``before`` holds the
    keep-alives in the file."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self._monkeypatch = path, monkeypatch
        self.saved = SavedLedger(Store(path, "k"), Limits())

    async def start(self, before: dict[Ref, datetime]) -> Owner:
        earlier = SavedLedger(Store(self._path, "k"), Limits())
        owner = Owner(await earlier.load(START))
        for ref, until in before.items():
            owner.hold(ref, until)
        await earlier.save_holds(owner, START)

        def fail(_store: Store) -> Any:
            raise StoreError("Cannot read it.", "Wait.")

        with self._monkeypatch.context() as broken:
            broken.setattr(Store, "load_holds", fail)
            return Owner(await self.saved.load(START))

    async def change(self, owner: Owner, ref: Ref, until: datetime | None) -> None:
        owner.hold(ref, until)
        with pytest.raises(StoreError):
            await self.saved.save_holds(owner, START, ref)


async def test_keep_alive_set_while_the_file_is_unread_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Unreadable(tmp_path, monkeypatch)
    owner = await server.start({EVERYTHING: minutes(20)})
    await server.change(owner, KERNEL, minutes(60))
    await server.saved.retry(owner, START)
    again = await SavedLedger(Store(tmp_path, "k"), Limits()).load(START)
    assert again.holds == {KERNEL: Hold(minutes(60)), EVERYTHING: Hold(minutes(20))}
    assert server.saved.faults(NOW) == []


async def test_keep_alive_released_while_the_file_is_unread_stays_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Unreadable(tmp_path, monkeypatch)
    other = Ref(Kind.KERNEL, "other")
    owner = await server.start({KERNEL: minutes(60), other: minutes(60)})
    await server.change(owner, KERNEL, None)
    await server.saved.retry(owner, START)
    again = await SavedLedger(Store(tmp_path, "k"), Limits()).load(START)
    assert owner.ledger.holds == again.holds == {other: Hold(minutes(60))}

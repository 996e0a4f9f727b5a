"""Faults of the state on disk and of the clocks."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from morning import SETTINGS, BareStudio, Morning, Verdict, be_patient, morning_with_fault
from value_world import Bench

FUTURE = json.dumps({"schema": 99, "settings": {"a_later_setting": True}})


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KB at ``path``. Raises OSError where that is not possible."""
    path.mkdir(parents=True)
    try:
        _mount("-t", "tmpfs", "-o", "size=256k", "none", str(path))
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise OSError("only root can mount a file system") from error
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, stderr=subprocess.DEVNULL)


def _fill(morning: Morning) -> None:
    with (morning.path / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass


def _clear(morning: Morning) -> None:
    (morning.path / "filler").unlink()


async def disk_full(root: Path, studio: BareStudio, name: str) -> Verdict:
    with small_disk(root / name) as path:
        return await morning_with_fault(Morning(path, studio, name), _fill, _clear)


async def disk_full_from_the_start(root: Path, studio: BareStudio, name: str) -> Verdict:
    """The disk is full when the server starts, and is cleared before its user sets anything."""
    with small_disk(root / name) as path:
        morning = Morning(path, studio, name)
        try:
            _fill(morning)
            await morning.controller.load()
            await morning.pass_by(5)
            _clear(morning)
            await morning.settle_in()
            await morning.pass_by(60)
            return morning.verdict()
        finally:
            morning.close()


async def read_only(root: Path, studio: BareStudio, name: str) -> Verdict:
    with small_disk(root / name) as path:
        return await morning_with_fault(
            Morning(path, studio, name),
            lambda _: _mount("-o", "remount,ro", str(path)),
            lambda _: _mount("-o", "remount,rw", str(path)),
        )


async def from_the_future(root: Path, studio: BareStudio, name: str) -> Verdict:
    """A server of a later version, with the same home, replaces the settings for a while."""
    stored = root / name / "settings.json"
    before: list[str] = []

    def start_fault(_: Morning) -> None:
        before.append(stored.read_text())
        stored.write_text(FUTURE)

    def end_fault(_: Morning) -> None:
        assert stored.read_text() == FUTURE, "this version must not change that file"
        stored.write_text(before[0])

    return await morning_with_fault(Morning(root / name, studio, name), start_fault, end_fault)


async def torn(root: Path, studio: BareStudio, name: str) -> Verdict:
    """The settings file is cut off, as by an editor that crashes while it writes."""
    stored = root / name / "settings.json"
    whole: list[str] = []

    def start_fault(_: Morning) -> None:
        whole.append(stored.read_text())
        stored.write_text(whole[0][:25])

    def end_fault(_: Morning) -> None:
        stored.write_text(whole[0])

    return await morning_with_fault(Morning(root / name, studio, name), start_fault, end_fault)


async def two_servers(root: Path, studio: BareStudio, name: str) -> Verdict:
    """Two servers with the same home change the settings at the same time."""
    one = Morning(root / name, studio, name)
    other = Bench(root / name)
    be_patient(other.controller)

    async def change(number: int) -> None:
        await asyncio.gather(
            one.controller.requests.patch_settings({"warn_minutes": 1}),
            other.controller.requests.patch_settings({"app_idle_timeout_minutes": 12 + number}),
            one.controller.requests.patch_settings({"keep_terminals": bool(number % 2)}),
            other.controller.requests.patch_settings({"protect_connected": bool(number % 2)}),
        )

    try:
        await one.begin()
        await other.controller.load()
        for number in range(25):
            await change(number)
        await other.controller.requests.patch_settings({"app_idle_timeout_minutes": None})
        await one.pass_by(40)
        verdict = one.verdict()
        stored = json.loads((root / name / "settings.json").read_text())["settings"]
        expected = {**SETTINGS, "keep_terminals": False, "protect_connected": False}
        return Verdict(
            verdict.wrongly_removed,
            verdict.lost + (stored != expected),
            verdict.recovered,
            verdict.note,
        )
    finally:
        one.close()


async def asleep(root: Path, studio: BareStudio, name: str) -> Verdict:
    """A laptop sleeps for a night: only the wall clock runs."""
    night = timedelta(hours=9)
    return await morning_with_fault(
        Morning(root / name, studio, name), lambda m: m.clock.step(night), lambda _: None
    )


async def frozen(root: Path, studio: BareStudio, name: str) -> Verdict:
    """The process is stopped for a night: both clocks run."""
    night = timedelta(hours=9)
    return await morning_with_fault(
        Morning(root / name, studio, name), lambda m: m.clock.advance(night), lambda _: None
    )


ROWS = {
    "The disk is full": (disk_full, disk_full_from_the_start),
    "The home is read-only": (read_only,),
    "Settings of a later version, and torn ones": (from_the_future, torn),
    "Two servers on one home": (two_servers,),
    "A laptop that sleeps, a process that is stopped, for longer than a limit": (asleep, frozen),
}

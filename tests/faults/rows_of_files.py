"""State files that are replaced by files of another kind while the server runs, and restored."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from morning import BareStudio, Morning, Verdict, morning_with_fault

Make = Callable[[Path], object]

#: The file of another program to which the symbolic link leads. The server must not change it.
LINKED = "file-of-another-program"
CONTENT_OF_LINKED = "content"


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    target = path.with_name(LINKED)
    target.write_text(CONTENT_OF_LINKED)
    path.symlink_to(target)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)  # a long path does not fit into an address
        try:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def _directory(path: Path) -> None:
    path.mkdir()


def _nothing(path: Path) -> None:
    """The file is deleted."""


def _empty(path: Path) -> None:
    path.touch()


def _byte_order_mark(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf{}")


KINDS: dict[str, Make] = {
    "pipe": _pipe,
    "link": _link,
    "device": _device,
    "socket": _socket,
    "directory": _directory,
    "nothing": _nothing,
    "empty": _empty,
    "bom": _byte_order_mark,
}
PLACES = ("settings.json", "keep-alive-{}.json", "marks-{}.json", "savings-{}.json",
          "history-{}.jsonl", "settings.lock", "heartbeat")  # fmt: skip


async def replaced(root: Path, studio: BareStudio, place: str, kind: str) -> Verdict:
    """A file of ``kind`` replaces a state file in the minutes in which the idle app is due."""
    name = name_of(place, kind)
    path = root / name / place.format(name)
    aside = root / f"{name}-aside"

    def start_fault(_: Morning) -> None:
        if path.exists():
            path.rename(aside)
        KINDS[kind](path)

    def end_fault(_: Morning) -> None:
        if aside.exists():
            _clear(path)
            aside.rename(path)
        elif not path.is_file() or path.is_symlink():
            _clear(path)

    verdict = await morning_with_fault(Morning(root / name, studio, name), start_fault, end_fault)
    linked = path.with_name(LINKED)
    changed = linked.exists() and linked.read_text() != CONTENT_OF_LINKED
    return Verdict(verdict.wrongly_removed, verdict.lost + changed, verdict.recovered, verdict.note)


def name_of(place: str, kind: str) -> str:
    """A name for one try, and for its apps."""
    return "-".join([*re.findall(r"[a-z]+", place), kind])


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


async def directory_deleted(root: Path, studio: BareStudio, name: str) -> Verdict:
    """The state directory is deleted while the server runs. Then its user sets everything again."""
    morning = Morning(root / name, studio, name)

    try:
        await morning.begin()
        shutil.rmtree(root / name)
        await morning.pass_by(8)
        await morning.settle_in()
        await morning.pass_by(40)
        return morning.verdict()
    finally:
        morning.close()


#: Each kind in each place, except empty, missing and torn files where the content is no JSON.
TRIES = [
    (place, kind)
    for place in PLACES
    for kind in KINDS
    if not (kind in ("empty", "bom", "nothing") and place in ("settings.lock", "heartbeat"))
    # If somebody deletes or overwrites the audit log, the server cannot prevent its loss.
    and not (kind in ("empty", "bom", "nothing") and place.startswith("history"))
]
TITLE = "A pipe, link, device, socket, directory or torn file in the place of each state file"

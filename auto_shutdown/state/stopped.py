"""The data that brings a stopped kernel or terminal back: one private file for each.

An entry contains the notebooks, the kernelspec, the instance type, the working directory and the
code of the cells that the user ran. This code may contain secrets. So it is only in these files
(mode 0600) and in the answer to the user who asks for one entry. It is never in a log, an event or
the audit log.

A lost or unreadable entry costs the user a few clicks and never delays a removal. All methods
block; call them in a worker thread.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .. import safe_files

#: The version of the format of the files.
SCHEMA = 1

#: The most bytes of code that are kept of one kernel. Of a longer session the newest cells are
#: kept.
MOST_CODE_BYTES = 1_000_000

#: The longest file, in bytes. JSON escapes make code longer.
MOST_FILE_BYTES = 8_000_000

#: The most bytes of all entries together.
MOST_BYTES = 50_000_000

#: An entry is deleted after this time.
KEPT_FOR = timedelta(days=7)

_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}")


@dataclass(frozen=True)
class StoppedSession:
    """One kernel or terminal that was removed. ``cells`` is the code of its cells in the order in
    which they ran, None when the kernel did not answer; ``complete`` is false when some cells are
    missing. ``kernel_name`` is the kernelspec that starts the kernel again, empty for a terminal.
    ``stop`` is the time of the pass that removed it: entries with the same ``stop`` were removed
    together. Times are ISO 8601 in UTC."""

    id: str
    stop: str
    at: str
    kind: str
    resource: str
    name: str
    kernel_name: str
    paths: tuple[str, ...]
    app: str | None
    instance_type: str | None
    image: str | None
    directory: str | None
    ends_server: bool
    reason: str
    cells: tuple[str, ...] | None = None
    complete: bool = True

    def summary(self) -> dict[str, Any]:
        """The entry for a list: it has the number of cells in place of their code."""
        entry = asdict(self)
        entry["cells"] = None if self.cells is None else len(self.cells)
        entry["paths"] = list(self.paths)
        return entry

    def to_json(self) -> dict[str, Any]:
        """The whole entry."""
        return {
            **self.summary(),
            "cells": None if self.cells is None else list(self.cells),
        }


def new_id(at: datetime) -> str:
    """The id of a new entry. Ids in alphabetical order are in the order of time."""
    return f"{at.astimezone(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"


def bounded(cells: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The newest cells that fit into MOST_CODE_BYTES, in their order, and whether these are all
    cells."""
    kept: list[str] = []
    size = 0
    for cell in reversed(cells):
        size += len(cell.encode("utf-8", "surrogatepass"))
        if size > MOST_CODE_BYTES:
            return tuple(reversed(kept)), False
        kept.append(cell)
    return tuple(reversed(kept)), True


class StoppedSessions:
    """The entries of one server, in ``directory``: ``stopped-KEY`` of the state directory."""

    def __init__(self, directory: Path, key: str) -> None:
        self.directory = directory / f"stopped-{key}"
        #: The paths of the entries, for the message of an error.
        self.pattern = self.directory / "*.json"

    def save(self, session: StoppedSession, now: datetime) -> None:
        """Write one entry, after deleting old entries to make room for it. Raises OSError."""
        content = json.dumps({"schema": SCHEMA, **session.to_json()}).encode()
        if len(content) > MOST_FILE_BYTES:
            raise OSError(f"the entry would have {len(content)} bytes")
        self._make_room(len(content), now)
        safe_files.replace(self._path(session.id), content)

    def entries(self, now: datetime) -> list[StoppedSession]:
        """The entries, newest first, without those that are too old or cannot be understood.
        Raises OSError when the directory cannot be read."""
        sessions = []
        for name in sorted(self._names(), reverse=True):
            session = self._read(name)
            if session is not None and not _is_old(name, now):
                sessions.append(session)
        return sessions

    def find(self, name: str, now: datetime) -> StoppedSession | None:
        """The entry with the id ``name``; None when there is none, or it cannot be understood."""
        if not _NAME.fullmatch(name) or _is_old(name, now):
            return None
        return self._read(name)

    def forget(self, name: str) -> bool:
        """Delete one entry. Returns whether it existed. Raises OSError."""
        if not _NAME.fullmatch(name):
            return False
        try:
            os.unlink(self._path(name))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def _names(self) -> Iterator[str]:
        try:
            with os.scandir(self.directory) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix == ".json" and _NAME.fullmatch(stem):
                yield stem

    def _read(self, name: str) -> StoppedSession | None:
        try:
            content = json.loads(safe_files.read_bytes(self._path(name), MOST_FILE_BYTES))
            return _parsed(content, name)
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None

    def _make_room(self, wanted: int, now: datetime) -> None:
        """Delete the entries that are too old. Then delete the oldest entries until a new entry of
        ``wanted`` bytes fits within MOST_BYTES."""
        names = sorted(self._names())
        sizes = {name: self._size(name) for name in names}
        total = sum(sizes.values()) + wanted
        for name in names:
            if total > MOST_BYTES or _is_old(name, now):
                with contextlib.suppress(OSError):
                    os.unlink(self._path(name))
                    total -= sizes[name]

    def _size(self, name: str) -> int:
        try:
            return os.lstat(self._path(name)).st_size
        except OSError:
            return 0


def _is_old(name: str, now: datetime) -> bool:
    try:
        at = datetime.strptime(name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return True  # the name has no time, so this module did not write the file
    return now - at > KEPT_FOR


def _parsed(content: Mapping[str, Any], name: str) -> StoppedSession:
    """The entry in a file. Raises KeyError, TypeError or ValueError for a file that this version
    does not understand."""
    if content["schema"] != SCHEMA or content["id"] != name:
        raise ValueError(name)
    cells = content["cells"]
    optional = ("app", "instance_type", "image", "directory")
    return StoppedSession(
        id=name,
        stop=str(content["stop"]),
        at=str(content["at"]),
        kind=str(content["kind"]),
        resource=str(content["resource"]),
        name=str(content["name"]),
        kernel_name=str(content["kernel_name"]),
        paths=tuple(str(path) for path in content["paths"]),
        ends_server=bool(content["ends_server"]),
        reason=str(content["reason"]),
        cells=None if cells is None else tuple(str(cell) for cell in cells),
        complete=bool(content["complete"]),
        **{key: None if content[key] is None else str(content[key]) for key in optional},
    )


__all__ = ["KEPT_FOR", "StoppedSession", "StoppedSessions", "bounded", "new_id"]

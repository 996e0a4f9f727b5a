"""The files of an audit log: their names, their lines, and the entries in the lines.

A log is the file ``history-KEY.jsonl`` and up to OLD_FILES older files, ``history-KEY.jsonl.1`` the
newest of them. Only the end of a file is read, so the cost does not grow with the log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.outcome import Result

#: A file that has reached this size, in bytes, is renamed, and a new file is begun.
ROTATE_BYTES = 5_000_000

#: How many renamed files are kept.
OLD_FILES = 3

#: How many bytes are read from the end of a file. No file of a log is longer.
MOST_READ_BYTES = ROTATE_BYTES + 1_000_000


def old_files_of(path: Path) -> list[Path]:
    """The paths of a log's older files, newest first, whether they exist or not."""
    return [path.with_name(f"{path.name}.{number}") for number in range(1, OLD_FILES + 1)]


def files_of(path: Path) -> list[Path]:
    """The existing files of a log, newest first."""
    return [file for file in (path, *old_files_of(path)) if os.path.lexists(file)]


def newest_entries(path: Path, limit: int, owed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest entries of one log, newest first: those in ``owed``, which are not yet on disk,
    then at most ``limit`` from the files. An attempt that is in the log twice counts once, with its
    newer line."""
    entries = list(owed)
    attempts = {entry.get("attempt") for entry in entries}
    most = len(entries) + max(limit, 0)
    for file in files_of(path):
        for line in reversed(lines_of(file)):
            if len(entries) >= most:
                return entries
            entry = entry_of(line)
            attempt = None if entry is None else entry.get("attempt")
            if entry is not None and (attempt is None or attempt not in attempts):
                attempts.add(attempt)
                entries.append(entry)
    return entries


def lines_of(path: Path) -> list[str]:
    """The complete lines at the end of one file; none when the file cannot be read."""
    try:
        content, whole = safe_files.read_end(path, MOST_READ_BYTES)
    except OSError:
        return []
    lines = content.decode("utf-8", "replace").split("\n")
    return lines if whole else lines[1:]


def entry_of(line: str) -> dict[str, Any] | None:
    """The entry in a line, None when the line contains none. An unfinished line has the outcome
    ``pending``. ``saved`` is None unless the removal succeeded: earlier versions wrote it before
    the outcome was known."""
    entry = parse(line) or parse(line + ',"outcome":"pending"}')
    if entry is not None and entry.get("outcome") != Result.REMOVED:
        entry["saved"] = None
    return entry


def parse(text: str) -> dict[str, Any] | None:
    """The JSON object in ``text``, None when it is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

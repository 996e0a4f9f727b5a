"""The audit log: one line of JSON for each removal tried, written before it and completed after.

The line's first part is on disk before anything is removed, its second part follows with the
outcome. So a crash in between leaves an unfinished line, which the next opener completes as
``interrupted``: no removal is without its line. The file only ever grows at its end.

What cannot be written (a full disk, a home that is read-only for a while) is owed: kept in memory,
shown by ``read``, and written as soon as that works again.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..core.verdict import Outcome
from ..core.words import iso

#: A file of that size is put aside for a new one; so many old ones are kept.
ROTATE_BYTES = 5_000_000
OLD_FILES = 3

#: So many lines may be owed; then the oldest are in the server's log only.
MOST_OWED = 1000

KINDS = ("kernel", "terminal", "app")
INTERRUPTED = ',"outcome":"interrupted","outcome_detail":"The server ended before it was done."}\n'

#: The same of an entry with ``ends_server``: it may well be this very removal that ended it.
INTERRUPTED_BY_ITSELF = (
    ',"outcome":"interrupted","outcome_detail":"SageMaker was being asked to end what this server '
    "runs in, and the server ended before the answer was written down: most likely it was this "
    'request that ended it."}\n'
)


class Attempt:
    """One line that has been begun; ``written`` when its first part is on disk."""

    def __init__(self, history: History, kind: str, line: str, written: bool) -> None:
        self._history = history
        self.kind, self.line, self.written = kind, line, written

    def finish(self, outcome: Outcome) -> None:
        """Complete the line."""
        end = {
            "outcome": outcome.result.value,
            "outcome_detail": outcome.detail,
            "code": outcome.code,
            "finished_at": iso(datetime.now(timezone.utc)),
        }
        self._history._complete(self, "," + json.dumps(end)[1:] + "\n", outcome.ended)


class History:
    """The audit log of one server. Its methods may be called from any thread; ``error`` is why
    something is owed."""

    def __init__(self, directory: Path, key: str) -> None:
        self._path = directory / f"history-{key}.jsonl"
        self._lock = threading.Lock()
        self._opened = False
        self._since: str | None = None
        self._removed = dict.fromkeys(KINDS, 0)
        self._unfinished = False
        self._rest = ""
        self._owed: deque[str] = deque(maxlen=MOST_OWED)
        self.error: OSError | None = None

    def begin(self, entry: Mapping[str, Any]) -> Attempt:
        """Write the first part of a line, and see it on disk. Never raises."""
        line = json.dumps({"attempt": uuid.uuid4().hex[:12], **entry})[:-1]
        with self._lock:
            written = self._settle() and self._try(line)
            self._unfinished = written
        return Attempt(self, str(entry.get("kind")), line, written)

    def _complete(self, attempt: Attempt, rest: str, ended: bool) -> None:
        with self._lock:
            if attempt.written and self._unfinished:
                self._rest, self._unfinished = rest, False
            else:
                self._owed.append(attempt.line + rest)
            self._settle()
            if ended and attempt.kind in self._removed:
                self._removed[attempt.kind] += 1

    def settle(self) -> None:
        """Write what is owed, if that works by now. Never raises."""
        with self._lock:
            self._settle()

    def _settle(self) -> bool:
        """Bring the file to where a new line can begin; whether that is done."""
        try:
            self._open()
            if self._unfinished:  # its outcome was never told
                self._rest, self._unfinished = INTERRUPTED, False
            if self._rest:
                self._append(self._rest)
                self._rest = ""
            while self._owed:
                self._rotate()
                self._append(self._owed[0])
                self._owed.popleft()
            self._rotate()
        except OSError as error:
            self.error = error
            return False
        self.error = None
        return True

    def _try(self, text: str) -> bool:
        try:
            self._append(text)
        except OSError as error:
            self.error = error
            return False
        return True

    def read(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` entries, newest first. A line that cannot be read is left out; one
        that is not finished yet has the outcome ``pending``."""
        with self._lock:
            found = [entry for line in reversed(self._owed) if (entry := _parse(line))]
            for path in self._files():
                entries = list(_entries(path))
                found += entries[::-1]
                if len(found) >= limit:
                    break
        return found[:limit]

    def savings(self) -> dict[str, Any]:
        """What has been removed since the log begins, by kind. Does no I/O."""
        return {"since": self._since, "removed": dict(self._removed)}

    def load(self) -> None:
        """Complete what a crash left, and count what there is. Never raises."""
        self.settle()

    def _open(self) -> None:
        if self._opened:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_unfinished_line()
        self._opened = True
        for path in reversed(self._files()):
            for entry in _entries(path):
                self._since = self._since or entry.get("at")
                if entry.get("outcome") in ("removed", "gone") and entry.get("kind") in KINDS:
                    self._removed[entry["kind"]] += 1

    def _end_unfinished_line(self) -> None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        if not content or content.endswith(b"\n"):
            return
        last = content.rpartition(b"\n")[2].decode("utf-8", "replace")
        entry = _parse(last + INTERRUPTED)
        if entry is None:
            self._append("\n")
        else:
            self._append(INTERRUPTED_BY_ITSELF if entry.get("ends_server") else INTERRUPTED)

    def _append(self, text: str) -> None:
        """All of ``text`` at the end of the file, or nothing of it."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        handle = os.open(self._path, flags, 0o600)
        size = os.fstat(handle).st_size
        try:
            written = memoryview(text.encode())
            while written:
                written = written[os.write(handle, written) :]
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)  # works on a full disk
            raise
        finally:
            os.close(handle)

    def _files(self) -> list[Path]:
        """This log's files, newest first."""
        old = [self._path.with_name(f"{self._path.name}.{n}") for n in range(1, OLD_FILES + 1)]
        return [path for path in (self._path, *old) if path.exists()]

    def _rotate(self) -> None:
        try:
            if self._path.stat().st_size < ROTATE_BYTES:
                return
        except FileNotFoundError:
            return
        names = [self._path] + [
            self._path.with_name(f"{self._path.name}.{n}") for n in range(1, OLD_FILES + 1)
        ]
        for newer, older in reversed(list(zip(names, names[1:]))):
            if newer.exists():
                os.replace(newer, older)


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        entry = _parse(line) or _parse(line + ',"outcome":"pending"}')
        if entry is not None:
            yield entry


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

"""The audit log: one line of JSON for each attempted removal.

The first part of a line is written to disk before the removal, the second part with the outcome
after it. A crash in between leaves an unfinished line, which the next server completes as
``interrupted``. So every removal has a line, and the file only grows at its end.

A line that cannot be written (a full disk, a home that is read-only for a while) is *owed*: it is
kept in memory, shown by ``read``, and written as soon as that works again.

Only the end of a file is ever read, so a log of any size costs the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.verdict import Fault, Outcome, Result
from ..core.words import iso
from ..world.file_thread import FileThread
from .document import StoreError, store_error

#: A file of this size is renamed and a new one begun. This number of old files is kept.
ROTATE_BYTES = 5_000_000
OLD_FILES = 3

#: The number of bytes that are read at the end of a file. A file of this module is never longer.
MOST_READ_BYTES = ROTATE_BYTES + 1_000_000

#: The number of lines that can be owed. Older ones are only in the server's log.
MOST_OWED = 1000

#: A call waits this many seconds for another that is writing.
LOCK_SECONDS = 5.0

KINDS = ("kernel", "terminal", "app")
INTERRUPTED = ',"outcome":"interrupted","outcome_detail":"The server ended before it was done."}\n'

#: The same for an entry with ``ends_server``: this very removal may have ended the server.
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
        """Complete the line. Blocks; never raises."""
        self.record(outcome)
        self._history.settle()

    def record(self, outcome: Outcome) -> None:
        """Note the outcome in memory; the next ``settle`` completes the line."""
        end = {
            "outcome": outcome.result.value,
            "outcome_detail": outcome.detail,
            "code": outcome.code,
            "finished_at": iso(datetime.now(timezone.utc)),
        }
        rest = "," + json.dumps(end)[1:] + "\n"
        self._history._completions.append((self, rest))
        if outcome.result is Result.REMOVED and self.kind in self._history._removed:
            self._history._removed[self.kind] += 1


class History:
    """The audit log of one server; ``error`` is why something is owed.

    ``other_keys`` name the logs of further servers of the same identity: ``read`` shows their
    entries, too. ``begin``, ``finish``, ``settle``, ``load`` and ``read`` block and may be called
    from any thread; the methods whose names end in ``_line``, ``_owed`` and ``_newest`` call them
    in a thread of the history's own, with a time limit.
    """

    def __init__(self, directory: Path, key: str, other_keys: Sequence[str] = ()) -> None:
        self._path = directory / f"history-{key}.jsonl"
        self._other_paths = [directory / f"history-{other}.jsonl" for other in other_keys]
        self._lock = threading.Lock()
        self._opened = False
        self._since: str | None = None
        self._removed = dict.fromkeys(KINDS, 0)
        #: The line whose first part is at the end of the file; empty when there is none.
        self._unfinished = ""
        #: The second part of that line, not yet on disk.
        self._rest = ""
        self._completions: deque[tuple[Attempt, str]] = deque()
        self._owed: deque[str] = deque(maxlen=MOST_OWED)
        self._files = FileThread("history")
        self.error: OSError | None = None

    # -- from the event loop -------------------------------------------------------------------

    async def begin_line(self, entry: Mapping[str, Any]) -> Attempt:
        """``begin`` in the history's own thread. Never raises: when the file system does not
        answer in time, the whole line is owed."""
        kind, line = _begun(entry)
        try:
            return await self._files.run(self._begin, kind, line)
        except OSError as error:
            self.error = error
            return Attempt(self, kind, line, written=False)

    async def finish_line(self, attempt: Attempt, outcome: Outcome) -> None:
        """``attempt.finish`` in the history's own thread. Never raises: when the file system does
        not answer in time, the outcome is written by a later call."""
        attempt.record(outcome)
        await self.write_owed()

    async def write_owed(self) -> None:
        """``settle`` in the history's own thread. Never raises."""
        try:
            await self._files.run(self.settle)
        except OSError as error:
            self.error = error

    async def read_newest(self, limit: int) -> list[dict[str, Any]]:
        """``read`` in the history's own thread. Raises StoreError when the file system does not
        answer in time."""
        try:
            return await self._files.run(self.read, limit)
        except OSError as error:
            raise store_error("read", self._path, error) from error

    def close(self) -> None:
        """Accept no more calls from the event loop."""
        self._files.close()

    @property
    def problem(self) -> StoreError | None:
        """Why lines are owed, with the file and the remedy. None if no line is owed."""
        return None if self.error is None else store_error("write", self._path, self.error)

    def faults(self, now: datetime) -> list[Fault]:
        """The fault while lines are owed. Removals go on meanwhile, and the server's log has
        them."""
        problem = self.problem
        if problem is None:
            return []
        message = f"The audit log: {problem} Its lines are kept in memory until then."
        return [Fault("history", "StateFile", message, problem.remedy, now)]

    # -- blocking ------------------------------------------------------------------------------

    def begin(self, entry: Mapping[str, Any]) -> Attempt:
        """Write the first part of a line, and see it on disk. Never raises."""
        return self._begin(*_begun(entry))

    def _begin(self, kind: str, line: str) -> Attempt:
        written = False
        with self._locked() as locked:
            if locked:
                written = self._settle() and self._try_to_append(line)
                self._unfinished = line if written else ""
        return Attempt(self, kind, line, written)

    def settle(self) -> None:
        """Write the owed lines, if writing works again. Never raises."""
        with self._locked() as locked:
            if locked:
                self._settle()

    def load(self) -> None:
        """Complete what a crash left, and count the removals. Never raises."""
        self.settle()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether the lock was free in time; else an earlier call hangs in the file system."""
        locked = self._lock.acquire(timeout=LOCK_SECONDS)
        if not locked:
            self.error = OSError("an earlier write has not come back from the file system")
        try:
            yield locked
        finally:
            if locked:
                self._lock.release()

    def _settle(self) -> bool:
        """Complete the last line of the file. Returns whether a new line can begin."""
        self._take_completions()
        try:
            self._open()
            if self._unfinished:  # nobody completed it
                self._rest, self._unfinished = INTERRUPTED, ""
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

    def _take_completions(self) -> None:
        """Put each outcome at the end of its line, or into the owed line."""
        while self._completions:
            attempt, rest = self._completions.popleft()
            if attempt.written and attempt.line == self._unfinished:
                self._rest, self._unfinished = rest, ""
            else:
                self._owed.append(attempt.line + rest)

    def _try_to_append(self, text: str) -> bool:
        try:
            self._append(text)
        except OSError as error:
            self.error = error
            return False
        return True

    def _append(self, text: str) -> None:
        safe_files.append(self._path, text.encode())

    def read(self, limit: int) -> list[dict[str, Any]]:
        """The newest ``limit`` entries, newest first. A line that cannot be read is left out; one
        that is not finished yet has the outcome ``pending``. Raises OSError when an earlier call
        hangs in the file system."""
        with self._locked() as locked:
            if not locked:
                raise OSError("an earlier write has not come back from the file system")
            self._take_completions()
            owed = [entry for line in reversed(self._owed) if (entry := _entry(line))]
            found = _newest(self._path, limit - len(owed), owed)
            others = [_newest(path, limit, []) for path in self._other_paths]
        if any(others):
            found = sum(others, found)
            found.sort(key=lambda entry: str(entry.get("at")), reverse=True)
        return found[:limit]

    def savings(self) -> dict[str, Any]:
        """What has been removed since the log begins, by kind. Does no I/O."""
        return {"since": self._since, "removed": dict(self._removed)}

    def _open(self) -> None:
        if self._opened:
            return
        safe_files.make_directory(self._path.parent)
        self._end_unfinished_line()
        self._opened = True
        begun: list[str] = []
        for path in (self._path, *self._other_paths):
            for file in reversed(_files_of(path)):
                for line in _lines(file):
                    self._count(_entry(line), begun)
        self._since = min(begun, default=None)

    def _count(self, entry: Mapping[str, Any] | None, begun: list[str]) -> None:
        if entry is None:
            return
        if entry.get("at"):
            begun.append(str(entry["at"]))
        if entry.get("outcome") == Result.REMOVED and entry.get("kind") in KINDS:
            self._removed[entry["kind"]] += 1

    def _end_unfinished_line(self) -> None:
        try:
            content, _ = safe_files.read_end(self._path, MOST_READ_BYTES)
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

    def _rotate(self) -> None:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return
        if status.st_size < ROTATE_BYTES or not stat.S_ISREG(status.st_mode):
            return
        names = [self._path, *_old_files_of(self._path)]
        for newer, older in reversed(list(zip(names, names[1:]))):
            if os.path.lexists(newer):
                os.replace(newer, older)


def _begun(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The kind of an entry, and the first part of its line."""
    line = json.dumps({"attempt": uuid.uuid4().hex[:12], **entry})[:-1]
    return str(entry.get("kind")), line


def _old_files_of(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}.{number}") for number in range(1, OLD_FILES + 1)]


def _files_of(path: Path) -> list[Path]:
    """A log's files, newest first."""
    return [file for file in (path, *_old_files_of(path)) if os.path.lexists(file)]


def _newest(path: Path, limit: int, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``found`` and the newest entries of one log behind it, at least ``limit`` if there are so
    many. An attempt that was written twice counts once, by its later line."""
    found = list(found)
    attempts = {entry.get("attempt") for entry in found}
    most = len(found) + max(limit, 0)
    for file in _files_of(path):
        for line in reversed(_lines(file)):
            if len(found) >= most:
                return found
            entry = _entry(line)
            attempt = None if entry is None else entry.get("attempt")
            if entry is not None and (attempt is None or attempt not in attempts):
                attempts.add(attempt)
                found.append(entry)
    return found


def _lines(path: Path) -> list[str]:
    """The lines at the end of one file; none of a file that cannot be read."""
    try:
        content, whole = safe_files.read_end(path, MOST_READ_BYTES)
    except OSError:
        return []
    lines = content.decode("utf-8", "replace").split("\n")
    return lines if whole else lines[1:]


def _entry(line: str) -> dict[str, Any] | None:
    """The entry of a line, finished or not; None of a line that is no entry. Only a removal by this
    extension saves something: ``saved`` was written before its outcome was known."""
    entry = _parse(line) or _parse(line + ',"outcome":"pending"}')
    if entry is not None and "saved" in entry and entry.get("outcome") != Result.REMOVED:
        entry["saved"] = None
    return entry


def _parse(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

"""The audit log: one line of JSON for each attempted removal.

The first part of a line is written to disk before the removal, and the second part, with the
outcome, after it. A crash between both leaves an unfinished line, which the next server completes
with the outcome ``interrupted``. So every removal has a line, and the file only grows at its end.
If another line is written meanwhile, or the server stops, the line gets the outcome ``pending``,
and the outcome follows in a second line of the same attempt.

A line that cannot be written (the disk is full, or the home is read-only for a while) is *owed*: it
stays in memory, ``read`` shows it, and it is written as soon as writing works again.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.faults import Fault
from ..core.formatting import iso
from ..core.outcome import Outcome, Result
from ..core.savings import Freed
from ..core.translatable import joined, parts_of, sentence
from ..world.file_thread import FileThread
from . import history_files
from .document import StoreError, store_error
from .history_files import entry_of, files_of, lines_of, newest_entries, old_files_of, parse
from .history_lines import PENDING, first_part, interrupted, note_pending

#: How many lines can be owed. Older lines are lost here; the server's log still has them.
MOST_OWED = 1000

#: How many seconds a call waits for another call that is writing.
LOCK_SECONDS = 5.0

KINDS = ("kernel", "terminal", "app")


class Attempt:
    """One unfinished line. ``written`` is true when its first part is on disk."""

    def __init__(self, history: History, kind: str, line: str, written: bool) -> None:
        self._history = history
        self.kind, self.line, self.written = kind, line, written

    def finish(self, outcome: Outcome, freed: Freed | None = None) -> None:
        """Complete the line. Blocks; never raises."""
        self.record(outcome, freed)
        self._history.settle()

    def record(self, outcome: Outcome, freed: Freed | None) -> None:
        """Store the outcome and the freed instance (None: the removal freed none) in memory; the
        next ``settle`` completes the line."""
        end = {
            "outcome": outcome.result.value,
            "outcome_detail": outcome.detail,
            **({"outcome_detail_parts": parts_of(outcome.detail)} if outcome.failed else {}),
            "code": outcome.code,
            "saved": None if freed is None else {"usd_per_hour": freed.usd_per_hour},
            "finished_at": iso(datetime.now(timezone.utc)),
        }
        rest = "," + json.dumps(end)[1:] + "\n"
        self._history._completions.append((self, rest))
        if outcome.result is Result.REMOVED and self.kind in self._history._removed:
            self._history._removed[self.kind] += 1


class History:
    """The audit log of one server. ``error`` is the reason why lines are owed, None when no line is
    owed.

    ``other_keys`` are the keys of other servers of the same identity: ``read`` shows their entries,
    too. ``begin``, ``settle``, ``load`` and ``read`` block and can be called from any thread.
    ``begin_line``, ``finish_line``, ``write_owed`` and ``read_newest`` call them in the history's
    own thread, with a time limit.
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
        """Call ``begin`` in the history's own thread. Never raises: when the file system does not
        answer in time, the whole line is owed."""
        kind, line = first_part(entry)
        try:
            return await self._files.run(self._begin, kind, line)
        except OSError as error:
            self.error = error
            return Attempt(self, kind, line, written=False)

    async def finish_line(
        self, attempt: Attempt, outcome: Outcome, freed: Freed | None = None
    ) -> None:
        """Call ``attempt.finish`` in the history's own thread. Never raises: when the file system
        does not answer in time, a later call writes the outcome."""
        attempt.record(outcome, freed)
        await self.write_owed()

    async def write_owed(self) -> None:
        """Call ``settle`` in the history's own thread. Never raises."""
        try:
            await self._files.run(self.settle)
        except OSError as error:
            self.error = error

    async def read_newest(self, limit: int) -> list[dict[str, Any]]:
        """Call ``read`` in the history's own thread. Raises StoreError when the file system does
        not answer in time."""
        try:
            return await self._files.run(self.read, limit)
        except OSError as error:
            raise store_error("read", self._path, error) from error

    def close(self) -> None:
        """End the history's own thread. The methods for the event loop must not be called any
        more."""
        self._files.close()

    @property
    def problem(self) -> StoreError | None:
        """Why lines are owed, with the file and the remedy; None when no line is owed."""
        return None if self.error is None else store_error("write", self._path, self.error)

    def faults(self, now: datetime) -> list[Fault]:
        """The fault while lines are owed. Removals go on meanwhile, and the server's log has
        them."""
        problem = self.problem
        if problem is None:
            return []
        message = joined(
            sentence("The audit log is not up to date."),
            str(problem),
            sentence("Its lines are kept in memory until then."),
        )
        return [Fault("history", "StateFile", message, problem.remedy, now)]

    # -- blocking ------------------------------------------------------------------------------

    def begin(self, entry: Mapping[str, Any]) -> Attempt:
        """Write the first part of a line and flush it to the disk. Never raises."""
        return self._begin(*first_part(entry))

    def _begin(self, kind: str, line: str) -> Attempt:
        written = False
        with self._locked() as locked:
            if locked:
                written = self._settle() and self._try_to_append(line)
                self._unfinished = line if written else ""
        return Attempt(self, kind, line, written)

    def settle(self) -> None:
        """Complete the unfinished line and write the owed lines, if the file system allows it.
        Never raises."""
        with self._locked() as locked:
            if locked:
                self._settle()

    def load(self) -> None:
        """Complete the line that a crash left unfinished, and count the removals in the log. Never
        raises."""
        self.settle()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the lock, and yield whether it was free in time. It is not free while an earlier
        call hangs in the file system."""
        locked = self._lock.acquire(timeout=LOCK_SECONDS)
        if not locked:
            self.error = OSError("an earlier write has not come back from the file system")
        try:
            yield locked
        finally:
            if locked:
                self._lock.release()

    def _settle(self) -> bool:
        """Complete the last line of the file and write the owed lines. Returns whether a new line
        can begin."""
        self._take_completions()
        try:
            self._open()
            if self._unfinished:  # its removal goes on beside the others
                self._rest, self._unfinished = PENDING, ""
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
        """Complete the unfinished line with its outcome. Each other outcome makes an owed line."""
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
        """The newest ``limit`` entries, newest first. A line that cannot be understood is left out;
        an unfinished line has the outcome ``pending``. Raises OSError while an earlier call hangs
        in the file system."""
        with self._locked() as locked:
            if not locked:
                raise OSError("an earlier write has not come back from the file system")
            self._take_completions()
            owed = [entry for line in reversed(self._owed) if (entry := entry_of(line))]
            entries = newest_entries(self._path, limit - len(owed), owed)
            others = [newest_entries(path, limit, []) for path in self._other_paths]
        if any(others):
            entries = sum(others, entries)
            entries.sort(key=lambda entry: str(entry.get("at")), reverse=True)
        return entries[:limit]

    def savings(self) -> dict[str, Any]:
        """The time at which the log begins, and how many resources of each kind were removed since.
        Does no I/O."""
        return {"since": self._since, "removed": dict(self._removed)}

    def _open(self) -> None:
        if self._opened:
            return
        safe_files.make_directory(self._path.parent)
        self._end_unfinished_line()
        self._opened = True
        begun: list[str] = []
        for path in (self._path, *self._other_paths):
            pending: dict[str, str] = {}
            for file in reversed(files_of(path)):
                for line in lines_of(file):
                    entry = entry_of(line)
                    self._count(entry, begun)
                    note_pending(line, entry, pending)
            if path == self._path:  # the server that wrote them has ended
                self._owed.extend(map(interrupted, pending.values()))
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
            content, _ = safe_files.read_end(self._path, history_files.MOST_READ_BYTES)
        except FileNotFoundError:
            return
        if not content or content.endswith(b"\n"):
            return
        last = content.rpartition(b"\n")[2].decode("utf-8", "replace")
        if parse(last + PENDING) is None:
            self._append("\n")
        else:
            self._append(interrupted(last)[len(last) :])

    def _rotate(self) -> None:
        try:
            status = os.lstat(self._path)
        except FileNotFoundError:
            return
        if status.st_size < history_files.ROTATE_BYTES or not stat.S_ISREG(status.st_mode):
            return
        names = [self._path, *old_files_of(self._path)]
        for newer, older in reversed(list(zip(names, names[1:]))):
            if os.path.lexists(newer):
                os.replace(newer, older)

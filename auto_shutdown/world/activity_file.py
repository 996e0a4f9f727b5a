"""SageMaker's file of the last activity: its own agent reads it, remote IDEs write it, and so does
this server where ``protect_from_native`` is on (docs/decisions/008).

What this server wrote must never count as activity for itself, also not after a restart, or for
another server of the same home. So its stamps carry a mark: a fraction of a second that nobody
else writes but by a chance of one in a million, and then one stamp is missed and the next is not.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from datetime import datetime, timedelta

from .stamps import parse_stamp

#: The mark, in microseconds.
OURS = 271828

#: As the agent reads it: it knows no other form.
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class ActivityFile:
    """Read and written from any thread, never from the event loop."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._others: datetime | None = None

    def read(self) -> datetime | None:
        """When others last reported activity; None: never, as far as can be told."""
        with self._lock:
            self._look()
            return self._others

    def keep_fresh(self, at: datetime) -> None:
        """Say that something is at work here, as of ``at`` (UTC) or less than a second before.
        Never back: a later stamp stays. Raises OSError."""
        stamp = (at - timedelta(microseconds=OURS)).replace(microsecond=OURS)
        with self._lock:
            found = self._look()
            if found is None or found < stamp:
                self._write(stamp.strftime(FORMAT))

    def _look(self) -> datetime | None:
        """What is in the file. What others wrote is remembered: ours may be in its place next."""
        try:
            with open(self._path, encoding="ascii") as file:
                found = parse_stamp(file.read(64).strip())
        except (OSError, ValueError):
            return None
        if found is not None and found.microsecond != OURS:
            self._others = found
        return found

    def _write(self, text: str) -> None:
        directory, name = os.path.split(self._path)
        handle, temporary = tempfile.mkstemp(".tmp", name + ".", directory)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(temporary, 0o644)
            os.replace(temporary, self._path)
        except PermissionError:
            # Another user's file in a sticky directory: it cannot be replaced, perhaps written.
            with open(self._path, "r+", encoding="ascii") as file:
                file.write(text)
                file.truncate()
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)

"""SageMaker's file of the last activity. SageMaker's agent reads it and remote IDEs write it; this
server writes it where ``protect_from_native`` is on (docs/decisions/008).

A stamp that this server wrote must never count as activity, also not after a restart or for another
server of the same home. So our stamps carry a mark: a fraction of a second that another program
writes only by a chance of one in a million.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

from .. import safe_files
from .stamps import parse_stamp

#: The mark, in microseconds.
OUR_MICROSECOND = 271828

#: The one form that SageMaker's agent reads.
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

#: A stamp is 27 characters. Whatever is longer than this holds none.
MOST_BYTES = 4096
MOST_CHARACTERS = 64


class ActivityFile:
    """Reads and writes the file. Its methods block; call them from a thread of ours.

    ``problem`` says why a file that is there was not read at the last look.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.problem: safe_files.UnsafeFileError | None = None
        self._lock = threading.Lock()
        self._by_others: datetime | None = None

    def read(self) -> datetime | None:
        """When another program last reported activity; None if none has."""
        with self._lock:
            self._read_stamp()
            return self._by_others

    def keep_fresh(self, at: datetime) -> None:
        """Write that something was at work at ``at`` (UTC), to within a second and never after it.
        A later stamp in the file stays. Raises OSError."""
        stamp = (at - timedelta(microseconds=OUR_MICROSECOND)).replace(microsecond=OUR_MICROSECOND)
        with self._lock:
            present = self._read_stamp()
            if present is None or present < stamp:
                self._write(stamp.strftime(FORMAT).encode("ascii"))

    def _read_stamp(self) -> datetime | None:
        """The stamp in the file. One of another program is remembered, because ours may replace
        it. Any owner may write it: a stamp can only delay a removal."""
        self.problem = None
        try:
            content = safe_files.read_bytes(self.path, MOST_BYTES, any_owner=True)
            stamp = parse_stamp(content[:MOST_CHARACTERS].decode("ascii").strip())
        except safe_files.UnsafeFileError as error:
            self.problem = error
            return None
        except (OSError, ValueError, OverflowError):
            return None
        if stamp is not None and stamp.microsecond != OUR_MICROSECOND:
            self._by_others = stamp
        return stamp

    def _write(self, text: bytes) -> None:
        if self.problem is not None:
            raise self.problem
        try:
            safe_files.replace(self.path, text, mode=0o644, make_parents=False)
        except PermissionError:
            # Another user's file in a sticky directory: it cannot be replaced, perhaps written.
            safe_files.overwrite(self.path, text)

"""The file from which SageMaker's own idle shutdown reads the last activity.

Remote IDEs write the file. This server also writes it if ``protect_from_native`` is on
(docs/decisions/008).

A time stamp that this server wrote must never count as activity, neither after a restart nor for
another server of the same home. So the extension marks its time stamps with a fixed fraction of a
second. Another program writes this fraction with a probability of one in a million.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path

from .. import safe_files
from .stamps import parse_stamp

#: The fraction of a second that marks the extension's time stamps, in microseconds.
OUR_MICROSECOND = 271828

#: The only format that SageMaker's agent reads.
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"

#: A stamp has 27 characters. A longer file holds no stamp.
MOST_BYTES = 4096
MOST_CHARACTERS = 64


class ActivityFile:
    """Reads and writes the file. Its methods block: call them in a worker thread.

    ``problem`` says why the last read of an existing file failed.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.problem: OSError | None = None
        self._lock = threading.Lock()
        self._by_others: datetime | None = None

    def read(self) -> datetime | None:
        """When another program last reported activity; None if no program has."""
        with self._lock:
            self._read_stamp()
            return self._by_others

    def keep_fresh(self, at: datetime) -> None:
        """Write ``at`` (UTC) as the time of the last activity, rounded down to a second. Does not
        replace a later stamp. Raises OSError."""
        stamp = (at - timedelta(microseconds=OUR_MICROSECOND)).replace(microsecond=OUR_MICROSECOND)
        with self._lock:
            present = self._read_stamp()
            if present is None or present < stamp:
                self._write(stamp.strftime(FORMAT).encode("ascii"))

    def _read_stamp(self) -> datetime | None:
        """The stamp in the file. Remembers the stamp of another program, because ``keep_fresh``
        may replace it. The file may have any owner: a stamp can only delay a removal."""
        self.problem = None
        try:
            content = safe_files.read_bytes(self.path, MOST_BYTES, any_owner=True)
            stamp = parse_stamp(content[:MOST_CHARACTERS].decode("ascii").strip())
        except safe_files.UnsafeFileError as error:
            self.problem = error
            return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.problem = error
            return None
        except (ValueError, OverflowError):
            return None
        if stamp is not None and stamp.microsecond != OUR_MICROSECOND:
            self._by_others = stamp
        return stamp

    def _write(self, text: bytes) -> None:
        if isinstance(self.problem, safe_files.UnsafeFileError):
            raise self.problem
        try:
            safe_files.replace(self.path, text, mode=0o644, make_parents=False)
        except PermissionError:
            # In a sticky directory (such as /tmp) the file of another user cannot be replaced, but
            # its permissions may allow writing.
            safe_files.overwrite(self.path, text)

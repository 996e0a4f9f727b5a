"""A file that contains one JSON object. A reader always sees a complete object.

Every write replaces the whole file. A file that cannot be understood is renamed and reported; it is
never overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import safe_files
from ..core.translatable import joined, sentence
from ..world.file_remedies import read_remedy, state_write_remedy

#: The version of the files' schema. A file with a higher number comes from a later version of the
#: extension.
SCHEMA = 1

#: How many renamed files are kept for each name.
KEPT_ASIDE = 5

#: A longer file, in bytes, cannot come from this extension.
MOST_BYTES = 16_000_000


class StoreError(Exception):
    """A file cannot be read or written. ``remedy`` tells a person what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class FileProblem:
    """A file can be read but not understood. ``later`` is true when a later version of the
    extension wrote it."""

    message: str
    remedy: str
    later: bool = False


class Document:
    """The JSON object in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()

    def read(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The object without its schema number; an empty object when there is no file.

        A file that is cut off, or comes from another program or a later version, is renamed, and
        the FileProblem tells its new name. Raises StoreError when the file cannot be read at all.
        """
        content, problem = self.peek()
        return content, problem and self._set_aside(problem)

    def peek(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The same as ``read``, but it does not rename the file."""
        try:
            content = safe_files.read_bytes(self.path, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return {}, None
        except safe_files.UnsafeFileError as error:
            return {}, self._problem(sentence("%1 is not used: %2.", self.path, error.strerror))
        except OSError as error:
            raise store_error("read", self.path, error) from error
        try:
            value = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError):
            torn = sentence("%1 is not JSON (it may have been cut off).", self.path)
            return {}, self._problem(torn)
        if not isinstance(value, dict) or not isinstance(value.get("schema"), int):
            return {}, self._problem(sentence("%1 is not a file of this extension.", self.path))
        if value.pop("schema") > SCHEMA:
            later = sentence("%1 was written by a later version.", self.path)
            return {}, self._problem(later, later=True)
        return value, None

    def _problem(self, message: str, later: bool = False) -> FileProblem:
        remedy = sentence("Repair %1, or move it away and set the missing values again.", self.path)
        if later:
            remedy = sentence(
                "Install that version again, or move %1 away and set the missing values again.",
                self.path,
            )
        return FileProblem(message, remedy, later)

    def remove(self) -> None:
        """Delete the file, if there is one. Raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.path)

    def set_aside(self) -> None:
        """Rename the file, whose values make no sense. Raises StoreError."""
        self._set_aside(self._problem(sentence("%1 is not a file of this extension.", self.path)))

    def _set_aside(self, problem: FileProblem) -> FileProblem:
        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self.path.with_name(f"{self.path.name}.set-aside-{stamp}")
        try:
            os.replace(self.path, aside)
            old = sorted(self.path.parent.glob(f"{self.path.name}.set-aside-*"))
            for path in old[:-KEPT_ASIDE]:
                path.unlink()
        except OSError as error:
            raise store_error("set aside", self.path, error) from error
        remedy = sentence(
            "See %1 in the same directory, and set the missing values again.", aside.name
        )
        message = joined(problem.message, sentence("It was set aside."))
        return FileProblem(message, remedy, problem.later)

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace the whole file. Raises StoreError, and then the old file stays."""
        text = json.dumps({"schema": SCHEMA, **content}, indent=1)
        # An earlier write may hang in the file system and end later. Then it would overwrite the
        # file of this write, so this write fails instead.
        if not self._write_lock.acquire(blocking=False):
            text = "an earlier write has not come back from the file system"
            error = OSError(errno.ETIMEDOUT, text)
            raise store_error("write", self.path, error)
        try:
            safe_files.replace(self.path, text.encode("utf-8"))
        except OSError as error:
            raise store_error("write", self.path, error) from error
        finally:
            self._write_lock.release()


def store_error(verb: str, path: Path, error: OSError) -> StoreError:
    """The StoreError for an operation on ``path`` that failed. ``verb`` names the operation: read,
    write, use or set aside."""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = read_remedy(path, error) if verb == "read" else state_write_remedy(path, error)
    if verb == "read":
        message = sentence("Cannot read %1: %2.", path, reason)
    elif verb == "write":
        message = sentence("Cannot write %1: %2.", path, reason)
    else:
        message = sentence("Cannot %1 %2: %3.", verb, path, reason)
    return StoreError(message, remedy)

"""One JSON object in one file. A reader always sees a complete object.

Every write replaces the whole file. A file that cannot be understood is renamed and reported, never
overwritten.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import safe_files

#: The version of the files' schema. A later version of the extension wrote a file with a higher
#: one.
SCHEMA = 1

#: The number of renamed files that are kept for each name.
KEPT_ASIDE = 5

#: A longer file was not written by this extension.
MOST_BYTES = 16_000_000


class StoreError(Exception):
    """A file that cannot be read or written; ``remedy`` says what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class FileProblem:
    """A file that can be read but not understood. ``later``: a later version wrote it."""

    message: str
    remedy: str
    later: bool = False


class Document:
    """The JSON object in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_lock = threading.Lock()

    def read(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The object without its schema; an empty one where there is no file.

        A file that is torn, foreign or of a later version is set aside under another name, and the
        problem says so. Raises StoreError when the file cannot be read at all.
        """
        content, problem = self.peek()
        return content, problem and self._set_aside(problem)

    def peek(self) -> tuple[dict[str, Any], FileProblem | None]:
        """As ``read``, but leaves the file where it is."""
        try:
            content = safe_files.read_bytes(self.path, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return {}, None
        except safe_files.UnsafeFileError as error:
            return {}, self._problem(f"is not used: {error.strerror}")
        except OSError as error:
            raise store_error("read", self.path, error) from error
        try:
            found = json.loads(content.decode("utf-8"))
        except (ValueError, RecursionError):
            return {}, self._problem("is not JSON (it may have been cut off)")
        if not isinstance(found, dict) or not isinstance(found.get("schema"), int):
            return {}, self._problem("is not a file of this extension")
        if found.pop("schema") > SCHEMA:
            return {}, self._problem("was written by a later version", later=True)
        return found, None

    def _problem(self, why: str, later: bool = False) -> FileProblem:
        remedy = f"Repair {self.path}, or move it away and set again what is missing."
        if later:
            remedy = (
                f"Install that version again, or move {self.path} away and set again what is "
                "missing."
            )
        return FileProblem(f"{self.path} {why}.", remedy, later)

    def remove(self) -> None:
        """Delete the file where its content would be out of date. Raises OSError."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.path)

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
        remedy = f"See {aside.name} beside it; set again what is missing."
        return FileProblem(f"{problem.message} It was set aside.", remedy, problem.later)

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace the whole file. Raises StoreError, and then the old file stays."""
        text = json.dumps({"schema": SCHEMA, **content}, indent=1)
        # A write that hangs in the file system may still end. It must not overwrite a later one.
        if not self._write_lock.acquire(blocking=False):
            error = OSError("an earlier write has not come back from the file system")
            raise store_error("write", self.path, error)
        try:
            safe_files.replace(self.path, text.encode("utf-8"))
        except OSError as error:
            raise store_error("write", self.path, error) from error
        finally:
            self._write_lock.release()


def store_error(what: str, path: Path, error: OSError) -> StoreError:
    """``what`` is the verb: read, write, set aside."""
    reason = error.strerror or str(error) or type(error).__name__
    remedy = (
        f"Make {path.parent} writable and not full, or set AutoShutdown.state_dir to another place."
    )
    if isinstance(error, safe_files.UnsafeFileError):
        remedy = f"Move {path} away."
    return StoreError(f"Cannot {what} {path}: {reason}.", remedy)

"""State on disk: settings, keep-alives, marks and savings as small JSON files.

The home may be shared by several servers (EFS). The user's settings are shared by all of them and
changed under a lock. What belongs to one server has that server's key in its name.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .. import safe_files
from ..world.file_thread import FileThread
from .document import KEPT_ASIDE, Document, FileProblem, StoreError, store_error

__all__ = ["KEPT_ASIDE", "Document", "FileProblem", "Store", "StoreError"]

T = TypeVar("T")

#: A change of the settings waits this many seconds for another server's change. Then it is made
#: without the lock: one of two changes made in the same instant may be lost, never a whole file.
LOCK_SECONDS = 5.0

#: The signature of a file that has not been read, or not understood.
_NEVER_READ = object()


class Store:
    """The state files of one server.

    ``key`` is in the names of this server's own files. ``other_keys`` are those of further servers
    of the same identity, whose keep-alives count here, too (``identity.claim_key``). The methods
    block; ``run`` calls them in a thread.
    """

    def __init__(self, directory: Path, key: str, other_keys: Sequence[str] = ()) -> None:
        self._directory = directory
        self._settings = Document(directory / "settings.json")
        self._holds = Document(directory / f"keep-alive-{key}.json")
        self._other_holds = [Document(directory / f"keep-alive-{k}.json") for k in other_keys]
        self._marks = Document(directory / f"marks-{key}.json")
        self._savings = Document(directory / f"savings-{key}.json")
        self._settings_read: object = None
        self._others_read: object = None
        self._files = FileThread("state")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a method of this store in the store's own thread. Raises what it raises, and
        StoreError when the file system does not answer in time."""
        try:
            return await self._files.run(function, *arguments)
        except OSError as error:
            raise store_error("use", self._directory / "", error) from error

    def close(self) -> None:
        """Accept no more calls of ``run``."""
        self._files.close()

    def load_settings(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The user's explicit settings, as stored. A file that is not understood stays where it is:
        it is what its user wants, and a later version on another server may have written it."""
        signature, self._settings_read = _signature(self._settings.path), _NEVER_READ
        content, problem = self._settings.peek()
        if problem is None:
            self._settings_read = signature
        settings = content.get("settings", {})
        return (settings if isinstance(settings, dict) else {}), problem

    def settings_changed(self) -> bool:
        """Whether the file differs from the one last read and understood; costs one ``stat``."""
        return _signature(self._settings.path) != self._settings_read

    def patch_settings(
        self, changes: Mapping[str, Any], last_good: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Merge ``changes`` into the file (None removes a name), whoever else changes it at the
        same time; returns what the file then holds.

        Names that are not known here are kept, because a later version may know them. A file that
        is not understood is set aside, and ``last_good`` takes its place; a later version's whole
        file stays. Raises StoreError.
        """
        with self._settings_lock():
            settings, problem = self.load_settings()
            if problem is not None:
                if problem.later:
                    raise StoreError(problem.message, problem.remedy)
                self._settings.read()
                settings = dict(last_good or {})
            settings.update(changes)
            kept = {name: value for name, value in settings.items() if value is not None}
            self._settings_read = _NEVER_READ  # unless the write works, the caller has to load
            self._settings.write({"settings": kept})
            self._settings_read = _signature(self._settings.path)
        return kept

    def load_holds(self) -> tuple[dict[str, Any], FileProblem | None]:
        """This server's own keep-alives. Raises StoreError."""
        return self._holds.read()

    def save_holds(self, holds: Mapping[str, Any]) -> None:
        """Raises StoreError."""
        self._holds.write(holds)

    def load_other_holds(self) -> list[dict[str, Any]] | None:
        """The keep-alives of the other servers of this identity, one document for each; None when
        none has changed since the last call. A file that cannot be read is left out: its own
        server reports it."""
        signature = [_signature(document.path) for document in self._other_holds]
        if signature == self._others_read:
            return None
        found = []
        for document in self._other_holds:
            with contextlib.suppress(StoreError):
                found.append(document.peek()[0])
        self._others_read = signature
        return found

    def load_marks(self) -> dict[str, Any]:
        """Raises StoreError."""
        return self._marks.read()[0]

    def save_marks(self, marks: Mapping[str, Any]) -> None:
        """Write the marks. Where that fails, those of an earlier run are deleted, because they are
        out of date. Raises StoreError, then too."""
        try:
            self._marks.write(marks)
        except StoreError:
            with contextlib.suppress(OSError):
                self._marks.remove()
            raise

    def load_savings(self) -> dict[str, Any]:
        """Raises StoreError."""
        return self._savings.read()[0]

    def save_savings(self, savings: Mapping[str, Any]) -> None:
        """Raises StoreError."""
        self._savings.write(savings)

    @contextlib.contextmanager
    def _settings_lock(self) -> Iterator[None]:
        """An advisory lock between servers; the operating system releases it when its holder dies.
        Where the file system or the platform has no locks, the body runs without one."""
        handle = None
        try:
            import fcntl

            safe_files.make_directory(self._directory)
            path = self._directory / "settings.lock"
            handle = safe_files.open_regular(path, os.O_RDWR | os.O_CREAT)
            deadline = time.monotonic() + LOCK_SECONDS
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.02)
        except (ImportError, OSError):
            pass
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)


def _signature(path: Path) -> object:
    """What changes whenever the file is replaced; None where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

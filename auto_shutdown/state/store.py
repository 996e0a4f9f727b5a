"""The state files of a server: settings, keep-alives, marks and savings as small JSON files.

Several servers can share a home directory (on EFS). They share the file with the user's settings
and change it under a lock. Every other file belongs to one server and has that server's key in its
name.

A call of ``Store.run`` may end after its caller has stopped waiting for it. Its result is then
lost. So a method that reads a file returns the file's signature together with its content, and the
caller stores both.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .. import safe_files
from ..core.savings import Savings
from ..core.savings import from_json as savings_from_json
from ..core.savings import to_json as savings_to_json
from ..core.translatable import sentence
from ..world.file_thread import FileThread
from .document import KEPT_ASIDE, Document, FileProblem, StoreError, store_error

__all__ = [
    "KEPT_ASIDE",
    "NEVER_READ",
    "Document",
    "FileProblem",
    "OtherHolds",
    "SettingsFile",
    "Store",
    "StoreError",
]

T = TypeVar("T")

#: How many seconds a change of the settings waits for the lock of another server. Then it is made
#: without the lock: one of two simultaneous changes may be lost, but never a whole file.
LOCK_SECONDS = 5.0

#: The signature of a file that has not been read or not been understood.
NEVER_READ: object = object()


@dataclass(frozen=True)
class SettingsFile:
    """The content of the file with the user's settings, and its signature: NEVER_READ with a
    ``problem``."""

    settings: dict[str, Any]
    problem: FileProblem | None
    signature: object


@dataclass(frozen=True)
class OtherHolds:
    """The keep-alives of the other servers of this identity: one document for each file, and the
    signatures of all files. The signature is NEVER_READ for a file that could not be read."""

    documents: Mapping[Path, dict[str, Any]] = field(default_factory=dict)
    signatures: Sequence[object] = ()


class Store:
    """The state files of one server.

    ``key`` is part of the names of this server's own files. ``other_keys`` are the keys of other
    servers of the same identity, whose keep-alives count here, too (``identity.claim_key``). The
    methods block; ``run`` calls a method in a thread.
    """

    def __init__(self, directory: Path, key: str, other_keys: Sequence[str] = ()) -> None:
        self._directory = directory
        self._settings = Document(directory / "settings.json")
        self._holds = Document(directory / f"keep-alive-{key}.json")
        self._other_holds = [Document(directory / f"keep-alive-{k}.json") for k in other_keys]
        self._marks = Document(directory / f"marks-{key}.json")
        self._savings = Document(directory / f"savings-{key}.json")
        #: Whether the file with the settings has been read or written.
        self._settings_existed = False
        self._files = FileThread("state")

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a method of this store in the store's own thread. Raises the errors of that method,
        and StoreError when the file system does not answer in time."""
        try:
            return await self._files.run(function, *arguments)
        except OSError as error:
            raise store_error("use", self._directory / "", error) from error

    def close(self) -> None:
        """Accept no more calls of ``run``."""
        self._files.close()

    def load_settings(self) -> SettingsFile:
        """The stored settings of the user. A file that cannot be understood keeps its name: a later
        version on another server may have written it, and understands it.

        A file that never existed is no problem: the user has the default settings. A file that
        existed and is missing now is a problem, because the home may be unmounted. The user has not
        chosen the default settings then. Raises StoreError."""
        signature = _signature(self._settings.path)
        content, problem = self._settings.peek()
        if problem is None and not content and _signature(self._settings.path) is None:
            problem = self._missing_settings() if self._settings_existed else None
        elif problem is None:
            self._settings_existed = True
        settings = content.get("settings", {})
        return SettingsFile(
            settings if isinstance(settings, dict) else {},
            problem,
            signature if problem is None else NEVER_READ,
        )

    def _missing_settings(self) -> FileProblem:
        message = sentence("%1 has been deleted or moved away.", self._settings.path)
        remedy = sentence(
            "Restore the file, or change a setting: then it is written again. Restart the server "
            "to use the default settings."
        )
        return FileProblem(message, remedy)

    def settings_changed(self, known: object) -> bool:
        """Whether the file has changed since its signature was ``known``. Costs one ``stat``."""
        return _signature(self._settings.path) != known

    def patch_settings(
        self, changes: Mapping[str, Any], last_good: Mapping[str, Any] | None = None
    ) -> SettingsFile:
        """Merge ``changes`` into the file and return its new content. The value None removes a
        setting. A lock protects changes that other servers make at the same time.

        Settings that this version does not know are kept, because a later version may know them. A
        file that cannot be understood is renamed, and ``last_good`` takes its place, as it does for
        a file that is missing now. A file of a later version is never changed. Raises StoreError.
        """
        with self._settings_lock():
            loaded = self.load_settings()
            settings = loaded.settings
            if loaded.problem is not None:
                if loaded.problem.later:
                    raise StoreError(loaded.problem.message, loaded.problem.remedy)
                self._settings.read()
                settings = dict(last_good or {})
            settings.update(changes)
            kept = {name: value for name, value in settings.items() if value is not None}
            self._settings.write({"settings": kept})
            self._settings_existed = True
            return SettingsFile(kept, None, _signature(self._settings.path))

    def load_holds(self) -> tuple[dict[str, Any], FileProblem | None]:
        """This server's own keep-alives. A file that cannot be understood keeps its name until
        ``set_aside_holds``. Raises StoreError."""
        return self._holds.peek()

    def set_aside_holds(self) -> FileProblem | None:
        """Rename the file with this server's own keep-alives if it cannot be understood, and return
        the problem with its new name. Raises StoreError."""
        return self._holds.read()[1]

    def save_holds(self, holds: Mapping[str, Any]) -> None:
        """Write this server's own keep-alives. Raises StoreError."""
        self._holds.write(holds)

    def load_other_holds(self, known: OtherHolds) -> OtherHolds | None:
        """The keep-alives of the other servers of this identity; None when no file has changed
        since ``known``. Where a file cannot be read or is missing now, its content in ``known``
        counts; its own server reports the error."""
        signatures = [_signature(document.path) for document in self._other_holds]
        if signatures == known.signatures:
            return None
        documents = dict(known.documents)
        for number, document in enumerate(self._other_holds):
            try:
                content, problem = document.peek()
            except StoreError:
                signatures[number] = NEVER_READ
                continue
            if content and problem is None:
                documents[document.path] = content
        return OtherHolds(documents, signatures)

    def holds_missing(self) -> bool:
        """Whether there is no file with this server's own keep-alives."""
        return _signature(self._holds.path) is None

    def load_marks(self) -> dict[str, Any]:
        """The activity marks of an earlier run. Raises StoreError."""
        return self._marks.read()[0]

    def save_marks(self, marks: Mapping[str, Any]) -> None:
        """Write the activity marks. If this fails, the file is deleted, because the marks in it are
        out of date, and StoreError is raised."""
        try:
            self._marks.write(marks)
        except StoreError:
            with contextlib.suppress(OSError):
                self._marks.remove()
            raise

    def load_savings(self) -> Savings:
        """The stored savings. A file that cannot be understood is renamed, and there are no savings
        then, rather than a wrong sum. Raises StoreError."""
        content = self._savings.read()[0]
        try:
            return savings_from_json(content)
        except ValueError:
            self._savings.set_aside()
            return Savings()

    def save_savings(self, savings: Savings) -> None:
        """Write the savings. Raises StoreError."""
        self._savings.write(savings_to_json(savings))

    @contextlib.contextmanager
    def _settings_lock(self) -> Iterator[None]:
        """Hold an advisory lock between servers. The operating system releases the lock of a
        process that dies. Where the file system or the platform has no locks, the body runs without
        one."""
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
    """A value that changes whenever the file is replaced; None when there is no file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

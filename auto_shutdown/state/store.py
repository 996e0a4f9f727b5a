"""State on disk: settings, keep-alives and marks as small JSON files.

The home may be shared by several servers (EFS): what belongs to the user is shared, what belongs
to one server has that server's key in its name, every write replaces a whole file, and a change
of a shared file is made under a lock. Plain synchronous I/O; the controller calls it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

#: Of the files' shape. A file of a later one is not ours to understand, and is set aside.
SCHEMA = 1

#: How many files that were set aside are kept for each name.
KEPT_ASIDE = 5

#: A longer file is none of ours.
MOST_BYTES = 16_000_000

#: How long a change waits for another server's; then it is made without the lock, which risks
#: one of two changes made in the same instant and never a torn file.
LOCK_SECONDS = 5.0

PROC = Path("/proc")

#: The signature of a file that has not been read, or not understood.
_NEVER_READ = object()


class StoreError(Exception):
    """A file that cannot be read or written; ``remedy`` says what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class FileProblem:
    """A file that cannot be understood, though it can be read. ``later``: another version's."""

    message: str
    remedy: str
    later: bool = False


class Document:
    """One JSON object in one file, whole at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The object without its schema; an empty one where there is no file.

        A file that is torn, foreign or of a later version is set aside under another name, never
        lost, and told. Raises StoreError when it cannot be read at all.
        """
        found, problem = self.peek()
        return found, problem and self._set_aside(problem)

    def peek(self) -> tuple[dict[str, Any], FileProblem | None]:
        """As ``read``, and whatever it finds it leaves in its place."""
        try:
            content = _content(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return {}, None
        except OSError as error:
            raise _store_error("read", self.path, error) from error
        if content is None:
            return {}, self._problem("is not a file of this extension")
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
        remedy = "Mend it, or move it away and set again what is missing."
        if later:
            remedy = "Install that version again, or move it away and set again what is missing."
        return FileProblem(f"{self.path} {why}.", remedy, later)

    def remove(self) -> None:
        """Without it, rather than with what is out of date. Raises OSError."""
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
            raise _store_error("set aside", self.path, error) from error
        remedy = f"See {aside.name} beside it; set again what is missing."
        return FileProblem(f"{problem.message} It was set aside.", remedy, problem.later)

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace the whole file. Raises StoreError, and then the old one stands."""
        text = json.dumps({"schema": SCHEMA, **content}, indent=1)
        temporary = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(".tmp", self.path.name + ".", self.path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            _sync_directory(self.path.parent)
        except OSError as error:
            if temporary:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
            raise _store_error("write", self.path, error) from error


def _content(path: Path) -> bytes | None:
    """All of a file; None of what is no ordinary one (a pipe would be waited for) or too long."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        content = file.read(MOST_BYTES + 1)
    return content if len(content) <= MOST_BYTES else None


def _sync_directory(path: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system knows it
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _store_error(what: str, path: Path, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    remedy = "Make that place writable and not full, or set AutoShutdown.state_dir to another."
    return StoreError(f"Cannot {what} {path}: {reason}.", remedy)


class Store:
    """The state of one server; ``key`` names it among the servers of this home."""

    def __init__(self, directory: Path, key: str) -> None:
        self._directory = directory
        self._settings = Document(directory / "settings.json")
        self._holds = Document(directory / f"keep-alive-{key}.json")
        self._marks = Document(directory / f"marks-{key}.json")
        self._savings = Document(directory / f"savings-{key}.json")
        self._seen: object = None

    def load_settings(self) -> tuple[dict[str, Any], FileProblem | None]:
        """The user's explicit settings, as stored. A file that is not understood stays: it is
        what its user wants, and may be another server's, of a later version."""
        seen, self._seen = self._signature(), _NEVER_READ
        found, problem = self._settings.peek()
        if problem is None:
            self._seen = seen
        settings = found.get("settings", {})
        return (settings if isinstance(settings, dict) else {}), problem

    def settings_changed(self) -> bool:
        """Whether the file is another than the one last read and understood; one ``stat``."""
        return self._signature() != self._seen

    def patch_settings(
        self, changes: Mapping[str, Any], last_good: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Merge ``changes`` into the file (None removes a name), whoever else changes it at the
        same time; what it then holds. Names not known here are kept: a later version's. Of a file
        that is not understood ``last_good`` stands in, and it is set aside; a later version's
        whole file stays. Raises StoreError."""
        with self._lock():
            settings, problem = self.load_settings()
            if problem is not None:
                if problem.later:
                    raise StoreError(problem.message, problem.remedy)
                self._settings.read()
                settings = dict(last_good or {})
            settings.update(changes)
            kept = {name: value for name, value in settings.items() if value is not None}
            self._settings.write({"settings": kept})
            self._seen = self._signature()
        return kept

    def load_holds(self) -> tuple[dict[str, Any], FileProblem | None]:
        return self._holds.read()

    def save_holds(self, holds: Mapping[str, Any]) -> None:
        self._holds.write(holds)

    def load_marks(self) -> dict[str, Any]:
        return self._marks.read()[0]

    def save_marks(self, marks: Mapping[str, Any]) -> None:
        """Write them. Where that fails those of an earlier run go: they are out of date. Raises
        StoreError, then too."""
        try:
            self._marks.write(marks)
        except StoreError:
            with contextlib.suppress(OSError):
                self._marks.remove()
            raise

    def load_savings(self) -> dict[str, Any]:
        return self._savings.read()[0]

    def save_savings(self, savings: Mapping[str, Any]) -> None:
        self._savings.write(savings)

    def _signature(self) -> object:
        try:
            status = os.stat(self._settings.path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """An advisory lock between servers; kernels release it when its holder dies, so that it
        can never stay. Where the file system or the platform knows none, there is none."""
        handle = None
        try:
            import fcntl

            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._directory / "settings.lock", os.O_RDWR | os.O_CREAT, 0o600)
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


def server_key(identity: tuple[str | None, ...], base_url: str, port: int) -> str:
    """A short name for this server: of who it is on SageMaker, so that its keep-alives outlive
    its container; of host, address and port elsewhere (``identity`` empty)."""
    words = identity if any(identity) else (socket.gethostname(), base_url, str(port))
    joined = "\n".join(word or "" for word in words)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def boot_identity() -> str | None:
    """What changes when the host or its container starts anew: the kernel's boot id and the start
    time of process 1. None where that cannot be told, and then no old clock is trusted."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        # Field 22 of stat; the command's name before it may hold spaces and brackets.
        started = (PROC / "1/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
    return f"{boot}-{started}"

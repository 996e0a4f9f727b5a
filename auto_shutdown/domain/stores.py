"""Where a run keeps its state and its audit lines: in files. The scheduled function keeps them in
S3 (:mod:`.scheduled.s3`), with the same interfaces :class:`StateStore` and :class:`AuditLog`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from .. import safe_files
from .errors import ConflictError, DomainError
from .memory import LEASE, Memory, from_json, to_json

#: The largest state file in bytes. A longer file is something else. Several administrators may
#: share the file, so it may belong to any user.
MOST_BYTES = 100_000_000


class StateStore(Protocol):
    """Keeps the :class:`Memory` of the runs. ``load`` returns it with its version. ``save``
    replaces only that version and returns the new one; otherwise it raises ConflictError."""

    def load(self) -> tuple[Memory, str]: ...

    def save(self, memory: Memory, version: str) -> str: ...


class AuditLog(Protocol):
    """``write`` returns when its lines will survive a crash, and raises DomainError otherwise."""

    def write(self, *entries: Mapping[str, Any]) -> None: ...


class HeldState:
    """The state while one run works with it; other runs give way. ``memory`` is written by
    :meth:`write`, :meth:`release`, and by nothing else."""

    def __init__(self, store: StateStore, run: str, now: Callable[[], datetime]) -> None:
        """Take the state for the run of the id ``run``. Raises ConflictError if another run may be
        at work, DomainError if the state cannot be read or written."""
        self._store, self._now = store, now
        memory, self._version = store.load()
        if memory.is_taken(now()):
            raise ConflictError(f"Another run ({memory.run}) is at work; this one gives way.")
        self.memory = memory
        self.write(memory.taken(run, now() + LEASE))

    def is_held(self) -> bool:
        """Whether the time of this run is not over, so that no other run has begun."""
        return self.memory.is_taken(self._now())

    def write(self, memory: Memory) -> None:
        """Replace the state. Raises ConflictError if another run has written it."""
        self._version = self._store.save(memory, self._version)
        self.memory = memory

    def release(self) -> None:
        self.write(self.memory.released())


class FileState:
    """The state in a JSON file. The version is the SHA-256 of its content; empty if there is no
    file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> tuple[Memory, str]:
        content = self._read()
        if not content:
            return Memory(), ""
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        try:
            return from_json(value), _version(content)
        except DomainError as error:
            raise DomainError(f"{self._path}: {error}") from None

    def save(self, memory: Memory, version: str) -> str:
        content = json.dumps(to_json(memory), indent=1).encode()
        with _reporting(self._path), self._locked():
            if _version(self._read()) != version:
                raise ConflictError(f"Another run has changed {self._path} meanwhile.")
            safe_files.replace(self._path, content)
        return _version(content)

    def _read(self) -> bytes:
        with _reporting(self._path):
            try:
                return safe_files.read_bytes(self._path, MOST_BYTES, follow=True, any_owner=True)
            except FileNotFoundError:
                return b""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        self._path.parent.mkdir(parents=True, exist_ok=True)
        path = self._path.with_name(f"{self._path.name}.lock")
        handle = safe_files.open_regular(path, os.O_RDWR | os.O_CREAT, any_owner=True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class FileAudit:
    """One line of JSON for each entry, on the disk when ``write`` returns. A line that a crash cut
    off does not damage the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, *entries: Mapping[str, Any]) -> None:
        with _reporting(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self._path.exists()
            with open(self._path, "ab+") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                cut_off = file.read(1) not in (b"", b"\n")
                lines = "".join(json.dumps(entry) + "\n" for entry in entries)
                file.write(b"\n" * cut_off + lines.encode())
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                safe_files.sync_directory(self._path.parent)


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DomainError(f"{path}: {error.strerror or error}.") from None

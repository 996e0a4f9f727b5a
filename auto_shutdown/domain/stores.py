"""Where a run keeps its state and its audit lines. The scheduled function has others of the same
shape (:class:`StateStore`, :class:`AuditLog`); these are files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from .errors import ConflictError, DomainError
from .memory import Memory, from_json, to_json


class StateStore(Protocol):
    """Keeps the :class:`Memory` of the runs. ``load`` gives it with a version; ``save`` writes
    only over that version, raises ConflictError otherwise, and gives the new version."""

    def load(self) -> tuple[Memory, str]: ...

    def save(self, memory: Memory, version: str) -> str: ...


class AuditLog(Protocol):
    """``write`` returns when its lines will survive a crash, and raises DomainError otherwise."""

    def write(self, *entries: Mapping[str, Any]) -> None: ...


class FileState:
    """In a JSON file. The version is the SHA-256 of its content, empty for no file."""

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
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(name, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        return _version(content)

    def _read(self) -> bytes:
        with _reporting(self._path):
            try:
                return self._path.read_bytes()
            except FileNotFoundError:
                return b""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_name(f"{self._path.name}.lock"), "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class FileAudit:
    """One line of JSON for each entry, on disk when ``write`` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, *entries: Mapping[str, Any]) -> None:
        with _reporting(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as file:
                file.write("".join(json.dumps(entry) + "\n" for entry in entries))
                file.flush()
                os.fsync(file.fileno())


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if content else ""


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DomainError(f"{path}: {error.strerror or error}.") from None

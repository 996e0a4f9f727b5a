"""Identifies the state files of this server, and the current boot of its host.

On SageMaker a server is identified by its domain, its space or user profile, and its app, because
the state files outlive the container and its host name. Two servers can run under one identity at
the same time (``jupyter lab`` in a terminal beside the app's own server). Each server then uses its
own files: the first server claims the key itself, the others the key with a number.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from .. import safe_files

PROC = Path("/proc")

#: How many servers of one identity can run at the same time, each with its own files.
MOST_SERVERS = 8


def server_key(identity: tuple[str | None, ...], base_url: str, port: int) -> str:
    """A short name for this server, used in its file names. On SageMaker it is a hash of
    ``identity``. Elsewhere all parts of ``identity`` are empty, and it is a hash of the host name,
    ``base_url`` and ``port``."""
    words = identity if any(identity) else (socket.gethostname(), base_url, str(port))
    joined = "\n".join(word or "" for word in words)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ClaimedKey:
    """``key`` is part of the names of this server's own files. ``others`` are the keys of other
    servers of the same identity, running or not. This server reads their files and never writes
    them."""

    key: str
    others: tuple[str, ...] = ()
    _handle: int | None = None

    def release(self) -> None:
        """Release the claim, so that another server of this identity can use the key."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)


def claim_key(directory: Path, key: str) -> ClaimedKey:
    """The first of ``key``, ``key-2``, ``key-3`` … that no running server uses.

    The claim is an advisory lock. The operating system releases it when the process ends, also when
    the process is killed. Where the file system has no locks, or the directory cannot be written,
    the key is used without a claim. Raises OSError when all ``MOST_SERVERS`` keys are in use.
    """
    keys = [key, *(f"{key}-{number}" for number in range(2, MOST_SERVERS + 1))]
    for own in keys:
        try:
            handle = _lock(directory / f"server-{own}.lock")
        except BlockingIOError:
            continue
        except (ImportError, OSError):
            handle = None
        return ClaimedKey(own, tuple(other for other in keys if other != own), handle)
    raise OSError(f"{MOST_SERVERS} servers already use the state of this identity in {directory}")


def _lock(path: Path) -> int:
    """A descriptor that holds the lock. Raises BlockingIOError when another process holds it, and
    ImportError or OSError where the platform or the file system has no locks."""
    import fcntl

    safe_files.make_directory(path.parent)
    handle = safe_files.open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def boot_identity() -> str | None:
    """A text that changes whenever the host or its container starts again: Linux's boot id and the
    start time of process 1. None when they cannot be read; then no clock of an earlier run is
    trusted."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        # The start time is field 22 of /proc/PID/stat. Field 2, the command's name, may contain
        # spaces and brackets, so the fields are counted from the last bracket.
        started = (PROC / "1/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
    return f"{boot}-{started}"

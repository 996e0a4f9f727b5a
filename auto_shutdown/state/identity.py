"""Which state files belong to this server, and which run of the host it is.

On SageMaker a server is identified by its domain, its space or user profile, and its app: the state
outlives the container and its host name. Two servers may run under one identity at once (``jupyter
lab`` in a terminal beside the app's own server). Each then uses files of its own: the first claims
the key itself, the others the key with a number.
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

#: How many servers of one identity can run at once, each with files of its own.
MOST_SERVERS = 8


def server_key(identity: tuple[str | None, ...], base_url: str, port: int) -> str:
    """A short name for this server, part of its file names: made of ``identity`` on SageMaker, of
    host name, base URL and port elsewhere (where ``identity`` has no words)."""
    words = identity if any(identity) else (socket.gethostname(), base_url, str(port))
    joined = "\n".join(word or "" for word in words)
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ClaimedKey:
    """``key`` names this server's own files; ``others`` those of further servers of the same
    identity, running or not, which are read and never written."""

    key: str
    others: tuple[str, ...] = ()
    _handle: int | None = None

    def release(self) -> None:
        """Let another server of this identity use the key."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)


def claim_key(directory: Path, key: str) -> ClaimedKey:
    """The first of ``key``, ``key-2``, ``key-3`` … that no running server uses.

    The claim is an advisory lock, which the operating system releases when the process ends,
    however it ends. Where the file system has no locks, or the directory cannot be written, the key
    is used without a claim. Raises OSError when all ``MOST_SERVERS`` keys are in use.
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
    """A descriptor that holds the lock. Raises BlockingIOError where another process has it, and
    ImportError or OSError where there are no locks."""
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
    """What changes when the host or its container starts anew: the kernel's boot id and the start
    time of process 1. None where they cannot be read, and then no old clock is trusted."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        # Field 22 of stat; the command's name before it may hold spaces and brackets.
        started = (PROC / "1/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
    return f"{boot}-{started}"

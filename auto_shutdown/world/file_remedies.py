"""What a person can do when the server cannot read or write one of its files.

The right remedy depends on the error: permissions do not help on a full disk, and free space does
not help against a symbolic link.
"""

from __future__ import annotations

import errno
from pathlib import Path

from .. import safe_files
from ..core.translatable import joined, sentence

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM})
NOT_A_DIRECTORY = frozenset({errno.ENOTDIR, errno.EEXIST, errno.ELOOP})
TOO_MANY_OPEN = frozenset({errno.EMFILE, errno.ENFILE})


def read_remedy(path: Path, error: OSError) -> str:
    """The remedy for a file that cannot be read."""
    if error.errno in NOT_ALLOWED:
        return sentence("Give this server's user permission to read %1.", path)
    return _common(path, error)


def write_remedy(path: Path, error: OSError) -> str:
    """The remedy for a file that cannot be created, written or replaced."""
    if error.errno in NOT_ALLOWED:
        return sentence("Give this server's user permission to write %1 and its directory.", path)
    if error.errno in NO_SPACE:
        return sentence("Free space on the file system of %1, or raise the quota there.", path)
    if error.errno == errno.EROFS:
        return sentence("The file system of %1 is mounted read-only: mount it writable.", path)
    return _common(path, error)


def state_write_remedy(path: Path, error: OSError) -> str:
    """The remedy for a file of the state directory that cannot be written."""
    if isinstance(error, safe_files.UnsafeFileError):
        return _common(path, error)
    elsewhere = sentence("Or set AutoShutdown.state_dir to another directory.")
    return joined(write_remedy(path, error), elsewhere)


def _common(path: Path, error: OSError) -> str:
    if isinstance(error, safe_files.UnsafeFileError):
        return sentence("Move %1 away.", path)
    if error.errno == errno.ENOENT:
        return sentence("Create the directory %1.", path.parent)
    if error.errno in NOT_A_DIRECTORY:
        return sentence("Move away the file that is in the place of the directory %1.", path.parent)
    if error.errno in TOO_MANY_OPEN:
        return sentence(
            "End the programs that hold many files open, or raise the limit (ulimit -n)."
        )
    return sentence("Check the file system of %1.", path)

"""Open files so that no file of another kind, size or owner can harm this server.

Every module that reads or writes a file uses these functions. A path on disk may lead to a named
pipe (opening it waits for ever), a device (reading it never ends), a symbolic link (to somebody
else's file) or a file of a gigabyte. So each file is opened without waiting (``O_NONBLOCK``) and
without following a link in its last component (``O_NOFOLLOW``). Then the *open* file is checked,
because somebody could exchange the path between a check and the opening.

All functions block. Call them from a worker thread (``world.file_thread``), never from the event
loop: a network file system can take minutes to answer.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

#: Permissions of the files and directories that this package creates: only their owner may read
#: them, because they contain the paths of notebooks.
PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class UnsafeFileError(OSError):
    """This module refuses to open the path. ``strerror`` is the reason, ``filename`` the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))


def read_bytes(
    path: Path, most_bytes: int, *, follow: bool = False, any_owner: bool = False
) -> bytes:
    """The whole content of a regular file of at most ``most_bytes`` bytes.

    ``follow`` also reads through a symbolic link: use it for files of an administrator or of
    Jupyter, who may have made the link. ``any_owner`` also reads a file of another user: use it
    only for content that can delay a removal and never cause one. Raises UnsafeFileError for a file
    of another kind, size or owner, and OSError as ``open`` does.
    """
    handle = open_regular(path, os.O_RDONLY, follow=follow, any_owner=any_owner)
    with os.fdopen(handle, "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UnsafeFileError(path, f"it is longer than {most_bytes} bytes")
    return content


def read_end(path: Path, most_bytes: int) -> tuple[bytes, bool]:
    """The last ``most_bytes`` bytes of a regular file, and whether these bytes are the whole file.
    Raises UnsafeFileError and OSError as ``read_bytes`` does."""
    handle = open_regular(path, os.O_RDONLY)
    with os.fdopen(handle, "rb") as file:
        start = max(os.fstat(handle).st_size - most_bytes, 0)
        file.seek(start)
        return file.read(most_bytes), start == 0


def append(path: Path, content: bytes) -> None:
    """Append all of ``content`` to the file and flush it to the disk, or append nothing. Creates
    the file and its directory where they are missing. Raises OSError."""
    make_directory(path.parent)
    handle = open_regular(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(handle).st_size
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)  # this succeeds even on a full disk
            raise
    finally:
        os.close(handle)


def replace(path: Path, content: bytes, mode: int = PRIVATE, make_parents: bool = True) -> None:
    """Replace the file at ``path`` with a new file of ``content``, atomically: a reader sees the
    old content or the new one, never a part. A symbolic link or a pipe at ``path`` is replaced and
    never written to. ``make_parents`` creates a missing directory. Raises OSError; the old file
    then stays."""
    if make_parents:
        make_directory(path.parent)
    if path.is_dir() and not path.is_symlink():
        raise UnsafeFileError(path, "it is a directory")
    handle, temporary = tempfile.mkstemp(".tmp", path.name + ".", path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)


def overwrite(path: Path, content: bytes) -> None:
    """Write ``content`` into an existing file. For directories with the sticky bit, such as
    ``/tmp``, where a user cannot replace a file of another user. Refuses symbolic links and files
    with a second hard link. Raises OSError."""
    handle = open_regular(path, os.O_WRONLY)
    try:
        if os.fstat(handle).st_nlink != 1:
            raise UnsafeFileError(path, "it has a second name (a hard link)")
        os.write(handle, content)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)


def open_regular(
    path: Path, flags: int, *, follow: bool = False, any_owner: bool = False, mode: int = PRIVATE
) -> int:
    """Open a regular file and return its descriptor, which the caller closes. ``flags`` and
    ``mode`` are those of ``os.open``; ``follow`` and ``any_owner`` are those of ``read_bytes``.
    Raises UnsafeFileError for any other kind of file, and OSError as ``os.open`` does."""
    if not follow:
        flags |= _NOFOLLOW
    try:
        handle = os.open(path, flags | _NONBLOCK | getattr(os, "O_CLOEXEC", 0), mode)
    except OSError as error:
        reason = _refusal_of_kind(path, error, follow)
        if reason:
            raise UnsafeFileError(path, reason) from None
        raise
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFileError(path, f"it is {kind_of(status.st_mode)}")
        if not any_owner and not _is_trusted(status, path):
            raise UnsafeFileError(path, f"it belongs to another user (uid {status.st_uid})")
    except OSError:
        os.close(handle)
        raise
    return handle


def make_directory(path: Path) -> None:
    """Create a private directory and its parents, unless they exist. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)


def sync_directory(path: Path) -> None:
    """Flush the names in a directory to the disk, so that a new file survives a power loss. File
    systems that cannot do this are skipped."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def kind_of(mode: int) -> str:
    """The kind of a file that is not a regular file, with its article: "a named pipe"."""
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")


def _refusal_of_kind(path: Path, error: OSError, follow: bool) -> str:
    """Why ``os.open`` failed, when it failed because the path is no regular file; else empty."""
    # The error number does not tell: O_NOFOLLOW fails with ELOOP (on BSD with EMLINK or EFTYPE), a
    # pipe without a reader and a socket fail with ENXIO.
    if isinstance(error, PermissionError):
        return ""
    try:
        mode = os.stat(path, follow_symlinks=follow).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else f"it is {kind_of(mode)}"


def _is_trusted(status: os.stat_result, path: Path) -> bool:
    """Whether the file belongs to this process's user, to root, or to the owner of a directory in
    which only that owner can create files. The third case is for network file systems, which may
    show all files of a home directory under a user id that differs from the process's."""
    user = getattr(os, "geteuid", lambda: 0)()  # Windows has no user ids
    if status.st_uid in (user, 0):
        return True
    try:
        directory = os.stat(path.parent)
    except OSError:
        return False
    shared = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return not shared and status.st_uid == directory.st_uid

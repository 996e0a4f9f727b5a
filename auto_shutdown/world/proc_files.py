"""The files of one process in ``/proc``. Sources: proc(5), proc_pid_stat(5), proc_pid_io(5).

Each function returns an empty value for a process that has ended, and where the system refuses to
show a file of another user's process. It raises OSError if the file cannot be read for another
reason, such as no file descriptor left.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from .processes import Process

PROC = Path("/proc")

#: Clock ticks in a second, the unit of times in ``/proc/PID/stat``.
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

#: The errors of reading a process that has ended since it was listed.
_ENDED = frozenset({errno.ENOENT, errno.ESRCH})

#: The errors of reading another user's process, or a process that a security module protects.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})

#: A mask for the device number of a terminal. The kernel prints this unsigned number as a signed
#: one, so it may be negative, and os.major raises OverflowError for a negative number.
DEVICE_NUMBERS = 0xFFFFFFFF


def read_process(pid: int) -> Process | None:
    """One process; None if there is no such process (any more). Raises OSError if there may be one
    and it cannot be read."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError as error:
        if error.errno in _ENDED:
            return None
        raise
    # The command stands in parentheses and may contain any character.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    try:
        return Process(
            pid=pid,
            parent=int(fields[1]),
            group=int(fields[2]),
            session=int(fields[3]),
            terminal=int(fields[4]) & DEVICE_NUMBERS,
            foreground=int(fields[5]),
            child_faults=int(fields[8]),
            started=int(fields[19]),
            cpu=sum(int(ticks) for ticks in fields[11:15]) / TICKS,
            waited=sum(int(ticks) for ticks in fields[13:15]) / TICKS,
            command=head.partition("(")[2],
            state=fields[0],
        )
    except (IndexError, ValueError) as error:
        if not text:  # the process ended while this function read the file
            return None
        raise OSError(errno.EIO, f"{PROC}/{pid}/stat is not as proc(5) has it") from error


def own_ancestors() -> Iterator[int]:
    """The process ids of the ancestors of this process, nearest first, as far as they can be
    read. Never raises."""
    pid = os.getppid()
    while pid > 0:
        yield pid
        try:
            process = read_process(pid)
        except OSError:
            return
        pid = 0 if process is None else process.parent


def age_of(process: Process) -> float | None:
    """The seconds since the process started. None where the clock that counts from the boot of the
    host cannot be read (proc_pid_stat(5) counts start times from there)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None or not PROC.exists():
        return None
    return max(time.clock_gettime(clock) - process.started / TICKS, 0.0)


def started_at(process: Process) -> datetime | None:
    """When the process started, by the current wall clock. None where its age is not known."""
    age = age_of(process)
    return None if age is None else datetime.now(timezone.utc) - timedelta(seconds=age)


def read_children(pid: int) -> tuple[int, ...]:
    """The process ids of the children that the main thread of this process has started. Empty where
    the kernel does not list them (CONFIG_PROC_CHILDREN). Raises OSError."""
    return tuple(int(word) for word in (_read(pid, f"task/{pid}/children") or b"").split())


class Transferred(NamedTuple):
    """The bytes that a process has read and written since it started."""

    read: int
    written: int


def read_io(pid: int) -> Transferred | None:
    """The bytes that the process has read and written so far, through files, pipes and (where it
    uses read and write, as OpenSSL does) sockets. None for another user's process and for a process
    that has ended. Raises OSError."""
    text = _read(pid, "io")
    if text is None:
        return None
    counters = dict(line.split(b": ", 1) for line in text.splitlines() if b": " in line)
    try:
        return Transferred(int(counters[b"rchar"]), int(counters[b"wchar"]))
    except (KeyError, ValueError):
        return None  # a kernel without I/O accounting


def is_of_another_user(pid: int) -> bool:
    """Whether the process runs as another user than this server (``sudo``). Raises OSError."""
    lines = (_read(pid, "status") or b"").splitlines()
    uids = next((line.split()[1:2] for line in lines if line.startswith(b"Uid:")), [])
    return any(int(uid) != os.getuid() for uid in uids)


def read_arguments(pid: int) -> tuple[str, ...]:
    """The command line. It is one empty string for a process that has ended or hides its command
    line. Raises OSError."""
    text = _read(pid, "cmdline") or b""
    return tuple(part.decode(errors="replace") for part in text.rstrip(b"\0").split(b"\0"))


def working_directory(pid: int | None) -> str | None:
    """The working directory of a process of this host; None if it cannot be read."""
    if pid is None:
        return None
    try:
        return os.readlink(PROC / str(pid) / "cwd")
    except OSError:
        return None


def read_environment(pid: int, names: Iterable[str]) -> dict[str, str]:
    """The variables ``names`` of the environment with which the process was started. The function
    drops all other variables, because they may contain secrets. Raises OSError."""
    wanted = {name.encode() for name in names}
    found: dict[str, str] = {}
    for entry in (_read(pid, "environ") or b"").split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name in wanted:
            found[name.decode()] = value.decode(errors="replace")
    return found


def read_sockets(pid: int) -> frozenset[int]:
    """The inodes of the sockets that the process has open. Raises OSError."""
    directory = PROC / str(pid) / "fd"
    inodes = set()
    try:
        for name in os.listdir(directory):
            try:
                target = os.readlink(directory / name)
            except OSError as error:
                if error.errno in _ENDED:
                    continue
                raise
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    except OSError as error:
        if error.errno not in _ENDED | _FORBIDDEN:
            raise
    return frozenset(inodes)


def _read(pid: int, name: str) -> bytes | None:
    """The file ``name`` of the process; None if the process has ended or the file is forbidden."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError as error:
        if error.errno in _ENDED | _FORBIDDEN:
            return None
        raise

"""The process table of this host, from ``/proc``: no package of the host's environment is needed.

A process that has ended is left out. Anything else that cannot be read raises: a table with holes
would make work in it look idle. Where there is no ``/proc`` (macOS), psutil is used if it is
installed. Sources: proc(5), proc_pid_stat(5), proc_pid_io(5).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ..core.texts import sentence

PROC = Path("/proc")

#: Clock ticks in a second, the unit of times in ``/proc/PID/stat``.
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

#: A process that ended between the listing and the reading answers with one of these.
_ENDED = frozenset({errno.ENOENT, errno.ESRCH})

#: The kernel prints the unsigned number of a terminal's device as a signed one, so that it may be
#: negative. os.major raises OverflowError then.
DEVICE_NUMBERS = 0xFFFFFFFF

#: What another user's process, or a security module, answers with.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


class UnreadableError(Exception):
    """The processes cannot be read, so nothing is known of the work in them. ``code`` is short
    (``EMFILE``), ``remedy`` is what a person can do."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


@dataclass(frozen=True)
class Process:
    """One line of the table. Of counters, all are totals since the process started.

    ``started`` is the start time (clock ticks since boot), ``cpu`` the processor time in seconds,
    with that of the children it has waited for; ``child_faults`` counts their page faults, so it
    grows whenever a child has ended. ``session`` is the POSIX session, ``terminal`` the number of
    the controlling terminal (0: none), ``foreground`` its foreground process group (-1: none).
    """

    pid: int
    parent: int
    group: int
    foreground: int
    started: int
    cpu: float
    command: str
    state: str = "S"
    session: int = 0
    terminal: int = 0
    child_faults: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """A process id is used again; with the start time it is unique."""
        return self.pid, self.started

    @property
    def has_ended(self) -> bool:
        """Whether only its exit status is left (a zombie)."""
        return self.state in "ZX"

    @property
    def is_stopped(self) -> bool:
        """Whether job control has stopped it (Ctrl-Z, or a read from the terminal in the
        background). A process that a debugger has stopped is in the state ``t``."""
        return self.state == "T"


Table = Mapping[int, Process]


def read_table() -> dict[int, Process]:
    """All processes on this host. Raises UnreadableError. Reads a small file for each process, so
    never call it on the event loop."""
    if not PROC.exists():
        return _table_of_psutil()
    try:
        names = os.listdir(PROC)
        read = (read_process(int(name)) for name in names if name.isdigit())
        table = {process.pid: process for process in read if process is not None}
    except OSError as error:
        raise unreadable(error) from error
    own = os.getpid()
    if own not in table:
        raise UnreadableError(
            "Hidden",
            f"{PROC} does not list even this server's own process",
            sentence("Mount /proc in the container that this server runs in."),
        )
    if _hides_others():
        raise UnreadableError(
            "Hidden",
            f"{PROC} hides the processes of other users",
            sentence(
                "Mount /proc without hidepid, or give this server's user the group of the gid "
                "option."
            ),
        )
    return table


def read_process(pid: int) -> Process | None:
    """One process; None when there is no such process (any more). Raises OSError when there may
    be one and it cannot be read."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError as error:
        if error.errno in _ENDED:
            return None
        raise
    # The command stands in parentheses and may hold any character.
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
            command=head.partition("(")[2],
            state=fields[0],
        )
    except (IndexError, ValueError) as error:
        if not text:  # it ended while it was read
            return None
        raise OSError(errno.EIO, f"{PROC}/{pid}/stat is not as proc(5) has it") from error


def read_children(pid: int) -> tuple[int, ...]:
    """The processes that the main thread of this one has started. Empty where the kernel does not
    tell (CONFIG_PROC_CHILDREN), and for a process that has ended. Raises OSError."""
    return tuple(int(word) for word in (_read(pid, f"task/{pid}/children") or b"").split())


def read_io(pid: int) -> int | None:
    """Bytes that the process has read and written so far, through files, pipes and (where it uses
    read and write, as OpenSSL does) sockets. None for another user's process and for one that has
    ended. Raises OSError."""
    text = _read(pid, "io")
    if text is None:
        return None
    counters = dict(line.split(b": ", 1) for line in text.splitlines() if b": " in line)
    try:
        return int(counters[b"rchar"]) + int(counters[b"wchar"])
    except (KeyError, ValueError):
        return None  # a kernel without I/O accounting


def is_of_another_user(pid: int) -> bool:
    """Whether the process runs as another user than this server (``sudo``). Raises OSError."""
    lines = (_read(pid, "status") or b"").splitlines()
    uids = next((line.split()[1:2] for line in lines if line.startswith(b"Uid:")), [])
    return any(int(uid) != os.getuid() for uid in uids)


def read_arguments(pid: int) -> tuple[str, ...]:
    """The command line; empty for a process that has ended or hides it. Raises OSError."""
    text = _read(pid, "cmdline") or b""
    return tuple(part.decode(errors="replace") for part in text.rstrip(b"\0").split(b"\0"))


def working_directory(pid: int | None) -> str | None:
    """The working directory of a process of this host; None where it cannot be read."""
    if pid is None:
        return None
    try:
        return os.readlink(PROC / str(pid) / "cwd")
    except OSError:
        return None


def read_environment(pid: int, names: Iterable[str]) -> dict[str, str]:
    """The variables ``names`` of the environment that the process was started with. The rest (it
    can hold secrets) is dropped. Empty for another user's process. Raises OSError."""
    wanted = {name.encode() for name in names}
    found: dict[str, str] = {}
    for entry in (_read(pid, "environ") or b"").split(b"\0"):
        name, separator, value = entry.partition(b"=")
        if separator and name in wanted:
            found[name.decode()] = value.decode(errors="replace")
    return found


def read_sockets(pid: int) -> frozenset[int]:
    """The inodes of the sockets that the process has open; empty for another user's process."""
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
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError as error:
        if error.errno in _ENDED | _FORBIDDEN:
            return None
        raise


def have_connection(
    members: Iterable[Process], connections: frozenset[int], left_out: Collection[int | None]
) -> bool:
    """Whether one of these processes has one of ``connections`` (inodes) open. Not those whose
    process ids are in ``left_out``. Raises OSError."""
    return bool(connections) and any(
        process.pid not in left_out and read_sockets(process.pid) & connections
        for process in members
    )


def remote_connections() -> frozenset[int]:
    """The inodes of all established TCP connections to another host: neither to a loopback address
    nor to this host's own address, by which the processes of a Ray or Spark cluster talk. Empty
    where the table cannot be had. Raises OSError for want of file descriptors."""
    rows: list[list[str]] = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # no IPv6, or no network at all
        rows += [fields for fields in map(str.split, lines) if len(fields) > 9]
    own = {_host_of(fields[1]) for fields in rows}
    return frozenset(
        int(fields[9])
        for fields in rows
        if fields[3] == ESTABLISHED
        and not _is_loopback(fields[2])
        and _host_of(fields[2]) not in own
    )


def _host_of(address: str) -> str:
    """The address without its port; an IPv4 address in IPv6 form as plain IPv4."""
    host = address.partition(":")[0]
    return host[-8:] if host.startswith(MAPPED) else host


#: The state of a connection in ``/proc/net/tcp``.
ESTABLISHED = "01"

#: How an IPv4 address in IPv6 form begins there (``::ffff:0:0/96``).
MAPPED = "0" * 16 + "FFFF0000"


def _is_loopback(address: str) -> bool:
    """``0100007F:1F90``: words in the host's byte order, so little-endian where this runs."""
    host = address.partition(":")[0]
    if len(host) == 8:
        return host.endswith("7F")
    return host == "0" * 24 + "01000000" or (host.startswith(MAPPED) and host.endswith("7F"))


def started_at(process: Process) -> datetime | None:
    """When the process started, by today's wall clock. Start times count from the boot of the host
    (proc_pid_stat(5)); None where that clock cannot be read."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None or not PROC.exists():
        return None
    age = time.clock_gettime(clock) - process.started / TICKS
    return datetime.now(timezone.utc) - timedelta(seconds=max(age, 0.0))


Children = Mapping[int, "list[int]"]


def children_of(table: Table) -> Children:
    """The children of each process that has any."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    return children


def tree(table: Table, roots: Iterable[int], children: Children | None = None) -> list[Process]:
    """The processes ``roots`` and all their descendants. For many trees of one table, pass its
    ``children`` (:func:`children_of`)."""
    children = children_of(table) if children is None else children
    members: dict[int, Process] = {}
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in members:
            members[pid] = table[pid]
            waiting += children.get(pid, [])
    return list(members.values())


def ancestors(table: Table, pid: int) -> set[int]:
    """The process ``pid`` and all its ancestors."""
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def unreadable(error: OSError) -> UnreadableError:
    """What it means for the process table that a file of it could not be read."""
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    remedies = {
        "EMFILE": sentence("Close what holds so many files open, or raise the limit (ulimit -n)."),
        "ENFILE": sentence(
            "This host has no file descriptors left: close what holds so many files open."
        ),
    }
    unknown = sentence("See that this server's user may read /proc (proc(5), hidepid).")
    remedy = remedies.get(code, unknown)
    return UnreadableError(code, f"{PROC} cannot be read ({error.strerror or code})", remedy)


def _hides_others() -> bool:
    """Whether ``/proc`` is mounted so that other users' processes are left out (hidepid), and this
    process is not exempt. Process 1 cannot be seen then, unless it is this user's own."""
    try:
        os.stat(PROC / "1" / "stat")
        mounts = (PROC / "self" / "mountinfo").read_text(errors="replace")
    except (FileNotFoundError, PermissionError):
        return True
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] == str(PROC):
            options = dict(o.partition("=")[::2] for o in fields[-1].split(","))
            hides = options.get("hidepid", "0") not in ("0", "off")
            exempt = os.geteuid() == 0 or options.get("gid") in [str(gid) for gid in os.getgroups()]
            if hides and not exempt:
                return True
    return False


def _table_of_psutil() -> dict[int, Process]:
    try:
        import psutil
    except ImportError as error:
        raise UnreadableError(
            "NoProcessTable",
            "this system has no /proc, and psutil is not installed",
            sentence("Install psutil in the environment of the Jupyter server."),
        ) from error
    own: Any = psutil
    table = {}
    for process in own.process_iter():
        line = _of_psutil(own, process)
        if line is not None:
            table[line.pid] = line
    return table


def _of_psutil(psutil: Any, process: Any) -> Process | None:
    """One process as psutil has it. Another user's may hide its times, and then counts as idle:
    macOS shows them to nobody but root."""
    try:
        with process.oneshot():
            pid = process.pid
            times = process.cpu_times() if _is_own(psutil, process) else None
            return Process(
                pid=pid,
                parent=process.ppid() or 0,
                group=os.getpgid(pid),
                session=os.getsid(pid),
                foreground=-1,
                started=int(process.create_time() * 100),
                cpu=0.0 if times is None else times.user + times.system,
                command=process.name(),
                state="Z" if process.status() == psutil.STATUS_ZOMBIE else "S",
            )
    except (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError):
        return None
    except (psutil.AccessDenied, PermissionError):
        return None


def _is_own(psutil: Any, process: Any) -> bool:
    try:
        return bool(process.uids().real == os.getuid())
    except psutil.AccessDenied:
        return False

"""The table of all processes of this host.

It comes from ``/proc``, so it needs no package of the host's environment. Where there is no
``/proc`` (macOS), it comes from psutil, if that is installed.

The table leaves out a process that has ended. If it cannot read any other process, it raises an
error: work in a process that is missing from the table would look idle.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from ..core.translatable import sentence
from . import proc_files
from .processes import Process


class UnreadableError(Exception):
    """The processes cannot be read, so it is not known whether they work. ``code`` is short
    (``EMFILE``), and ``remedy`` tells a person what to do."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


def unreadable(error: OSError) -> UnreadableError:
    """The error for a process table of which a file could not be read."""
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    remedies = {
        "EMFILE": sentence(
            "End the programs that hold many files open, or raise the limit (ulimit -n)."
        ),
        "ENFILE": sentence(
            "This host has no file descriptors left: end the programs that hold many files open."
        ),
    }
    unknown = sentence("Give this server's user permission to read /proc (proc(5), hidepid).")
    remedy = remedies.get(code, unknown)
    message = sentence("%1 cannot be read (%2)", proc_files.PROC, error.strerror or code)
    return UnreadableError(code, message, remedy)


def read_table() -> dict[int, Process]:
    """All processes on this host. Raises UnreadableError. It reads a small file for each process,
    so never call it on the event loop."""
    if not proc_files.PROC.exists():
        return _table_of_psutil()
    try:
        names = os.listdir(proc_files.PROC)
        read = (proc_files.read_process(int(name)) for name in names if name.isdigit())
        table = {process.pid: process for process in read if process is not None}
    except OSError as error:
        raise unreadable(error) from error
    if os.getpid() not in table:
        raise UnreadableError(
            "Hidden",
            sentence("%1 does not list even this server's own process", proc_files.PROC),
            sentence("Mount /proc in the container that this server runs in."),
        )
    if _hides_others():
        raise UnreadableError(
            "Hidden",
            sentence("%1 hides the processes of other users", proc_files.PROC),
            sentence(
                "Mount /proc without hidepid, or give this server's user the group of the gid "
                "option."
            ),
        )
    return table


def _hides_others() -> bool:
    """Whether ``/proc`` is mounted so that it leaves out the processes of other users (hidepid),
    and this process is not exempt. Then process 1 is hidden, too, unless this user owns it."""
    proc = proc_files.PROC
    try:
        os.stat(proc / "1" / "stat")
        mounts = (proc / "self" / "mountinfo").read_text(errors="replace")
    except (FileNotFoundError, PermissionError):
        return True
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[4] == str(proc):
            options = dict(o.partition("=")[::2] for o in fields[-1].split(","))
            hides = options.get("hidepid", "0") not in ("0", "off")
            exempt = os.geteuid() == 0 or options.get("gid") in [str(gid) for gid in os.getgroups()]
            if hides and not exempt:
                return True
    return False


# -- without /proc -----------------------------------------------------------------------------


def _table_of_psutil() -> dict[int, Process]:
    try:
        import psutil
    except ImportError as error:
        raise UnreadableError(
            "NoProcessTable",
            sentence("this system has no /proc, and psutil is not installed"),
            sentence("Install psutil in the environment of the Jupyter server."),
        ) from error
    untyped: Any = psutil
    read = (_process_of_psutil(untyped, process) for process in untyped.process_iter())
    return {process.pid: process for process in read if process is not None}


def _process_of_psutil(psutil: Any, process: Any) -> Process | None:
    """One process as psutil reports it; None if it has ended or cannot be read. The processor time
    of another user's process counts as zero, because macOS shows it only to root."""
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
    """Whether this server's user owns the process."""
    try:
        return bool(process.uids().real == os.getuid())
    except psutil.AccessDenied:
        return False

"""The pseudo-terminals of this server's terminals: when the device was used, and which command is
in the foreground. ``pty`` is the object that terminado has for a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
from datetime import datetime, timezone
from typing import Any
from weakref import WeakKeyDictionary

from .foreground import MULTIPLEXERS, is_prompt, is_shell, stopped_job
from .proc_files import PROC, read_arguments, read_children, read_process
from .processes import Process

#: Follows the name of a job that was stopped with Ctrl-Z.
STOPPED = " (stopped)"

#: The name of a command whose process cannot be named.
UNNAMED_COMMAND = "a command"


def device_times(pty: Any) -> tuple[datetime | None, datetime | None]:
    """When a terminal's device was last read (a key reached a program) and last written (a program
    printed). ``w`` shows a user's idle time by the same times, which Linux keeps in steps of 8 s.
    Two Nones if there is no device. Raises OSError if there is a device that cannot be read.
    """
    try:
        status = os.stat(_device(pty))
    except (AttributeError, TypeError, ValueError, FileNotFoundError, ProcessLookupError):
        return None, None
    return _instant(status.st_atime), _instant(status.st_mtime)


#: The path of each terminal's device. It is kept because a program may print there after the end of
#: the shell, when the path can no longer be read.
_devices: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _device(pty: Any) -> str:
    """The path of the device on which the shell was started. It does not change."""
    if pty not in _devices:
        path = os.readlink(PROC / str(pty.ptyproc.pid) / "fd" / "0")
        if not path.startswith("/dev/pts/"):
            raise ValueError(path)
        _devices[pty] = path
    return _devices[pty]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def foreground_job(pty: Any, shell: str = "") -> str | None:
    """The name of the command in a terminal's foreground, without its arguments (they can hold
    secrets). At a prompt: the name of a job that was stopped there (Ctrl-Z) and ``STOPPED``, or
    None. ``shell`` is the name of the program with which the terminal was started.

    Without ``/proc`` (macOS) nobody can name the command, or tell a second shell from a program. So
    everything counts that is not the first shell.

    This reads the leader of the foreground process group and, at a prompt, the processes that the
    shell has started, so it is cheap enough for every pass. Before a removal, process_survey.py
    reads all processes. Raises OSError if the processes cannot be read.
    """
    process = getattr(pty, "ptyproc", None)
    if process is None or not hasattr(os, "tcgetpgrp"):
        return None
    try:
        group = os.tcgetpgrp(process.fd)
    except OSError:
        return None  # the device is closed: the terminal is about to be forgotten
    if not PROC.exists():
        return None if group == process.pid else UNNAMED_COMMAND
    root = read_process(process.pid)
    if root is None or root.has_ended:
        return None  # the foreground process group of the device is out of date
    leader = root if group == process.pid else read_process(group)
    if leader is None:
        return UNNAMED_COMMAND  # the first command of a pipe has ended, and the others run
    if leader.command in MULTIPLEXERS:
        return None
    if leader is root and leader.command == shell[:15]:
        return _stopped_under(leader)
    if is_shell(leader.command) and is_prompt(read_arguments(leader.pid)):
        return _stopped_under(leader) or _stopped_under(root)
    return leader.command


def _stopped_under(shell: Process) -> str | None:
    """The name of a job that was stopped in this shell, and ``STOPPED``; None if there is none."""
    children = map(read_process, read_children(shell.pid))
    job = stopped_job(child for child in children if child is not None)
    return None if job is None else job.command + STOPPED


def foreground_of(pty: Any) -> tuple[int, int]:
    """The terminal's foreground process group and its session; two zeros if it has none."""
    try:
        return os.tcgetpgrp(pty.ptyproc.fd), pty.ptyproc.pid
    except (AttributeError, OSError):
        return 0, 0


def hang_up(group: int, session: int) -> None:
    """Send SIGHUP to the programs in a terminal's foreground, as Linux does when the shell of a
    terminal ends (setsid(2)). This server may not signal another user's program (``su -``)."""
    with contextlib.suppress(OSError):
        # Group 0 is this server's own. If Linux has given the number to another process since, that
        # process is in another session.
        if group > 1 and os.getsid(group) == session:
            os.killpg(group, signal.SIGHUP)

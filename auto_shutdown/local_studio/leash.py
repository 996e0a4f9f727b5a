"""Runs a command that must not outlive its owner: ``python leash.py PIDFILE COMMAND…``.

The owner holds the other end of standard input. When that closes, however the owner ended, the
command gets SIGTERM and then, with all its descendants, SIGKILL. As their subreaper this process
inherits what the command leaves behind (kernels run in sessions of their own), so nothing of it
stays.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36

#: Seconds for a command to end by itself after SIGTERM.
PATIENCE = 8.0


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``, from /proc."""
    found: list[int] = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [child, *descendants(child)]
    return found


def wait_for_owner(command: subprocess.Popen[bytes]) -> None:
    """Wait until standard input closes or the command ends."""
    while command.poll() is None:
        readable, _, _ = select.select([0], [], [], 0.2)
        if readable and not os.read(0, 4096):
            return


def end(command: subprocess.Popen[bytes]) -> None:
    """End the command and all processes below it."""
    with contextlib.suppress(ProcessLookupError):
        command.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def main(pid_file: str, argv: list[str]) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)  # the owner's end of the pipe is what counts
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    command = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_default_signals
    )
    Path(pid_file).write_text(str(command.pid))
    try:
        wait_for_owner(command)
    finally:
        end(command)
    sys.exit(command.returncode or 0)


def _default_signals() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

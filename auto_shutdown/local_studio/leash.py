"""Runs a command that must not outlive its owner: ``python leash.py PIDFILE COMMAND…``.

The owner, which starts this process, keeps the other end of this process's standard input open.
When the owner ends in any way, that pipe closes. Then this process sends SIGTERM to the command,
and after that SIGKILL to the command and all its descendants. Descendants that the command leaves
behind become children of this process (it is their subreaper), so it finds them also in sessions of
their own, as kernels are."""

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

#: How many seconds a command has to end after SIGTERM.
TERM_SECONDS = 8.0


def descendants(pid: int) -> list[int]:
    """The process ids of all descendants of ``pid``, from /proc."""
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
    """Stop the command and all its descendants."""
    with contextlib.suppress(ProcessLookupError):
        command.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        command.wait(TERM_SECONDS)
    deadline = time.monotonic() + TERM_SECONDS
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
        signal.signal(signum, signal.SIG_IGN)  # this process ends when the owner does
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

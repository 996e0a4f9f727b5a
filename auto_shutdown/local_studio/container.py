"""Runs a command in a container, as SageMaker does. ``python container.py COMMAND…``.

The command gets its own process table. Process 1 in it is an init that reaps orphans, forwards
SIGTERM, and ends when the command ends; Linux then kills all other processes of the container. So
no process survives the container, and the processes of an app can be told from other processes of
this machine.

This needs the right to create namespaces (root on Linux, as in CI); ``possible()`` tests for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_PRIVATE_AND_BELOW = 0x40000 | 0x4000
PR_SET_PDEATHSIG = 1

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def contained(argv: Sequence[str]) -> list[str]:
    """The command line that runs ``argv`` in a container."""
    return [sys.executable, str(Path(__file__)), *argv]


def possible() -> bool:
    """Whether this process can create containers."""
    probe = contained([sys.executable, "-c", ""])
    with contextlib.suppress(OSError):
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    return False


def run(argv: Sequence[str]) -> int:
    """Run ``argv`` in a container until it ends. Returns its exit code. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(CLONE_NEWPID))  # this applies to the children of this process only
    init = os.fork()
    if init == 0:
        os._exit(_init(libc, argv))
    for number in SIGNALS:
        signal.signal(number, lambda got, _frame: _pass_on(init, got))
    return _reap(init)


def _init(libc: ctypes.CDLL, argv: Sequence[str]) -> int:
    """Process 1 of the container."""
    _check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    _check(libc.unshare(CLONE_NEWNS))
    _check(libc.mount(b"none", b"/", None, MS_PRIVATE_AND_BELOW, None))
    _check(libc.mount(b"proc", b"/proc", b"proc", 0, None))
    command = os.fork()
    if command == 0:
        os.execvp(argv[0], list(argv))
    for number in SIGNALS:
        signal.signal(number, lambda got, _frame: _pass_on(command, got))
    return _reap(command)


def _reap(pid: int) -> int:
    """Wait for ``pid``, and reap every orphan that ends before it. Returns the exit code of
    ``pid``."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _pass_on(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "cannot make a container")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

"""Starts processes that end when the process that started them ends (leash.py)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from .deadline import Deadline

LEASH = Path(__file__).with_name("leash.py")


class Leashed:
    """One command that runs under leash.py. Its output goes to the file ``log``."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.log_path = log
        self._pid_file = log.with_suffix(".pid")
        self._pid_file.unlink(missing_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(LEASH), str(self._pid_file), *argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        """The process id of the command itself. Raises RuntimeError when it has not started."""
        deadline = Deadline(10.0)
        while not deadline.has_passed:
            with contextlib.suppress(FileNotFoundError, ValueError):
                return int(self._pid_file.read_text())
            time.sleep(0.01)
        raise RuntimeError(f"the command did not start: {self.log}")

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self, seconds: float = 30.0) -> None:
        """Stop the command with SIGTERM, and all its descendants. Waits at most ``seconds``."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(seconds)

    def kill(self) -> None:
        """Kill the command with SIGKILL, as a crash would. All its descendants end, too."""
        self.signal(signal.SIGKILL)
        self._process.wait(30.0)
        if self._process.stdin is not None:
            self._process.stdin.close()


def wait_for_http(url: str, process: Leashed, seconds: float = 60.0) -> None:
    """Wait until ``url`` answers. Raises RuntimeError with the log when the process ends first, or
    after ``seconds`` (of a Deadline)."""
    deadline = Deadline(seconds)
    while process.running and not deadline.has_passed:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{url} does not answer; its log says:\n{process.log[-3000:]}")

"""Containers: a process table of their own, and nothing left of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from auto_shutdown.local_studio.container import contained, possible

pytestmark = pytest.mark.skipif(not possible(), reason="making namespaces is not allowed")


def having(mark: str) -> list[str]:
    """The processes of this machine with ``mark`` on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:
            continue
        if mark in line:
            found.append(line)
    return found


def test_container_sees_only_its_own_processes_and_passes_on_the_exit_code() -> None:
    code = "import os; print(*sorted(p for p in os.listdir('/proc') if p.isdigit())); exit(7)"
    done = subprocess.run(
        contained([sys.executable, "-c", code]), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("1 2\n", "", 7)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_with_its_own_session_ends_with_the_container(number: int) -> None:
    mark = uuid.uuid4().hex
    code = f"""
import subprocess, sys, time
argv = [sys.executable, "-c", "import time; time.sleep(600)", "{mark}"]
subprocess.Popen(argv, start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""
    outer = subprocess.Popen(
        contained([sys.executable, "-c", code, mark]), stdout=subprocess.PIPE, text=True
    )
    assert outer.stdout is not None
    assert outer.stdout.readline() == "ready\n"
    assert len(having(mark)) >= 3
    outer.send_signal(number)
    outer.wait(30)
    outer.stdout.close()
    deadline = time.monotonic() + 60
    while having(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert having(mark) == []

"""A server without a free file descriptor sees no process: that is unknown, and not idle."""

from __future__ import annotations

import http.client
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from leftovers import processes_of
from own_apps import LIMITS, needs_containers, row

from auto_shutdown.local_studio.server import TOKEN, JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), needs_containers]

LIMIT = 60 * LIMITS["idle_timeout_minutes"]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


class OpenConnection:
    """One connection to a server that stays open: it accepts no other without a descriptor."""

    def __init__(self, server: JupyterServerApp) -> None:
        parts = urlsplit(server.url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        self.report()

    def __enter__(self) -> OpenConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def report(self) -> dict[str, Any]:
        headers = {"Authorization": f"token {TOKEN}"}
        self._connection.request("GET", f"{self._path}auto-shutdown/status", headers=headers)
        found: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return found


def server_process(root: Path) -> int:
    """The JupyterLab itself, and not the init of its container."""
    found = []
    for pid in processes_of(root):
        words = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
        if b"jupyterlab" in words and not any(word.endswith(b"container.py") for word in words):
            found.append(pid)
    (pid,) = found
    return pid


def watch(connection: OpenConnection, resources: set[str]) -> set[str]:
    """Check for three limits that all of ``resources`` stay. Returns the faults that health
    named."""
    until, faults = time.monotonic() + 3 * LIMIT, set()
    while time.monotonic() < until:
        report = connection.report()
        assert {r["id"] for r in report["resources"]} >= resources, report["outcomes"]
        faults |= {fault["message"] for fault in report["health"]["faults"]}
        time.sleep(0.3)
    reasons = {r["id"]: r["reason"] for r in report["resources"]}
    assert {reasons[each] for each in resources} == {"unknown"}
    return faults


def test_server_without_file_descriptors_removes_nothing(
    studio: LocalStudio, tmp_path: Path
) -> None:
    space = studio.add_space("mine")
    server = space.start({"AutoShutdown": LIMITS})
    kernel = server.request("POST", "api/kernels", {"name": "python3"})["id"]
    server.execute(kernel, "1 + 1")
    terminal = server.open_terminal()
    server.wait_for("both are seen", lambda: row(server, kernel) and row(server, terminal))
    pid = server_process(tmp_path)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with OpenConnection(server) as connection:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            faults = watch(connection, {kernel, terminal})
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert any("Too many open files" in message for message in faults), faults
    server.wait_for("the kernel and the terminal go", lambda: not row(server, kernel), 60)
    server.wait_for("the app goes", lambda: space.status == "Deleted", 60)
    assert ": recovered." in server.log

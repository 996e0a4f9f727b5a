"""Work that no kernel manager shows, with real processes: each job keeps the app of its space while
it lasts, and the app goes one limit later. What is idle beside it keeps nothing."""

from __future__ import annotations

import concurrent.futures
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from extra_packages import packages_of
from own_apps import LIMITS, long_timeout, needs_containers, report, row
from unseen_jobs import JOBS, LIMIT, NEEDS, OWN, RUNNERS, SCHEDULER, Desk

from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), needs_containers]

#: So many spaces at once: each is a whole JupyterLab, and there may be two cores.
AT_ONCE = 3


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    for needed in ("tmux", "screen"):
        assert shutil.which(needed), f"{needed} is not installed (see .ci/run)"
    with LocalStudio(tmp_path) as found:
        yield found


@contextlib.contextmanager
def open_space(studio: LocalStudio, name: str) -> Iterator[Desk]:
    if name in NEEDS:
        NEEDS[name]()
    space = studio.add_space(name.replace("_", "-"))
    config: dict[str, Any] = {"AutoShutdown": LIMITS}
    if name == "jupyter_scheduler":
        path = packages_of(*SCHEDULER, deps=False)
        space.lab.environment = {**space.lab.environment, "PYTHONPATH": str(path)}
        config["ServerApp"] = {"jpserver_extensions": {"jupyter_scheduler": True}}
    with tempfile.TemporaryDirectory() as sockets:
        yield Desk(space, space.start(config), sockets)


#: By job, the kind of the program that the report lists beside the kernels and terminals.
PROGRAMS = {"pane_of_tmux": "terminal", "window_of_screen": "terminal", "nbconvert": "kernel"}


def kinds_of_programs(desk: Desk) -> set[str]:
    return {program["kind"] for program in report(desk.server).get("programs", [])}


def faults_of_the_job(desk: Desk, job: Callable[[Desk], None]) -> str:
    """Run one job. Returns the faults that the test found; empty if there were none."""
    with long_timeout(desk.server):
        job(desk)
    begun, seen = time.monotonic(), set()
    while time.monotonic() - begun < 2.5 * LIMIT:
        own = row(desk.server, OWN)
        if not own:
            return f"removed while at work, {seen}\n{desk.server.log[-2000:]}"
        seen.add(f"{own['reason']}: {own['detail']}")
        time.sleep(0.3)
    kind = PROGRAMS.get(job.__name__)
    if kind is not None:
        desk.server.wait_for("its row in the report", lambda: kind in kinds_of_programs(desk), 60)
    ended = time.monotonic()
    desk.flag.unlink()
    try:
        desk.server.wait_for("the app goes", lambda: desk.space.status == "Deleted", 90)
    except TimeoutError as error:
        return f"kept for nothing: {row(desk.server, OWN)}\n{error}"
    lasted = time.monotonic() - ended
    print(f"{job.__name__}: gone {lasted:.1f} s after its end; {sorted(seen)}")
    return f"removed {lasted:.1f} s after its end" if lasted < 0.5 * LIMIT else ""


@pytest.mark.parametrize(
    "jobs", [JOBS, pytest.param(RUNNERS, marks=pytest.mark.soak)], ids=["here", "others"]
)
def test_job_that_no_kernel_manager_shows_keeps_the_app_until_its_end(
    studio: LocalStudio, jobs: dict[str, Callable[[Desk], None]]
) -> None:
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:

        def work(name: str) -> str:
            with open_space(studio, name) as desk:
                return faults_of_the_job(desk, jobs[name])

        found = dict(zip(jobs, pool.map(work, jobs)))
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


#: What runs beside an idle server: an agent, a language server, an MCP server, a web server.
IDLE = {
    "agent": """
import os, sys, time
while os.path.exists(sys.argv[1]):
    with open(os.devnull, "w") as log: log.write("x" * 200)
    time.sleep(10)
""",
    "language_server": "import os; os.read(os.pipe()[0], 1)",
    "web_server": """
import http.server
http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler).serve_forever()
""",
}


def test_idle_programs_beside_the_server_do_not_keep_the_app(studio: LocalStudio) -> None:
    with open_space(studio, "idle") as desk:
        commands = [desk.program(name, text) for name, text in IDLE.items()]
        desk.in_a_terminal(*(f"setsid nohup {command} > /dev/null 2>&1 &" for command in commands))
        desk.server.wait_for("the app goes", lambda: desk.space.status == "Deleted", 90)

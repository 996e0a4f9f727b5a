"""``make test-compat``: run the tests on the oldest and the newest supported hosts.

A host is a Python version and the Jupyter packages on it. For each host this program makes an
environment with uv (pip does not finish resolving Studio Classic's packages), installs the wheel
with ``--no-deps`` as an administrator would, and checks: jupyter_server has the same version as
before, the extension is listed as valid, a real server starts with it and answers, the tests pass.
It uses only the standard library.

``--ci`` is the shorter form that ``make test`` runs: the oldest and the newest host, and of the
tests of whole servers only those whose result differs between versions of jupyter_server. The
newest host runs no other tests with real processes: those of ``make test`` use the same packages.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".compat"
TESTS = WORK / "tests"
FAST = ("core", "config", "state", "world", "cycle", "api")
#: What moves ``last_activity`` differs between versions of jupyter_server.
ACTIVITY = ("system/test_local_activity.py", "system/test_terminal_activity.py")
#: One test for each part that old servers do differently: websockets, ``last_activity``, stdin,
#: terminals.
ACTIVITY_CI = (
    f"{ACTIVITY[0]}::test_polling_and_reconnecting_clients_do_not_keep_an_idle_kernel",
    f"{ACTIVITY[0]}::test_kernel_is_busy_again_after_its_input_was_answered",
    f"{ACTIVITY[1]}::test_silent_foreground_job_keeps_its_terminal_and_a_prompt_does_not",
    f"{ACTIVITY[0]}::test_presence_request_delays_the_removal_of_its_kernel",
)


@dataclass(frozen=True)
class Host:
    """A Python version and the packages of the host."""

    name: str
    python: str
    packages: tuple[str, ...]
    in_ci: bool = False
    #: Whether the tests with real processes run there in CI too.
    slow_in_ci: bool = False
    #: The time zone of the tests. `make test` itself runs them in a zone ahead of UTC.
    zone: str = "UTC"


HOSTS = (
    Host(
        "oldest (Studio Classic)",
        "3.9",
        (
            "jupyter_server==2.0.0rc3",
            "jupyter_server_terminals<0.4",  # newer ones need a newer server, and do not say so
            "jupyterlab>=3.6,<4",
            "boto3==1.26.0",
            "ipykernel",
        ),
        in_ci=True,
        slow_in_ci=True,
    ),
    Host(
        "old",
        "3.10",
        ("jupyter_server==2.0.0", "jupyterlab>=3.6,<4", "boto3<1.29", "ipykernel"),
    ),
    Host("current", "3.12", ("jupyter_server", "jupyterlab>=4,<4.4", "boto3<1.40", "ipykernel")),
    Host(
        "newest",
        "3.13",
        ("jupyter_server", "jupyterlab", "boto3", "ipykernel"),
        in_ci=True,
        zone="America/St_Johns",  # behind UTC, with summer time and half an hour
    ),
)
TOOLS = (
    "pytest",
    "pytest-jupyter[server]",
    "pytest-timeout",
    "pytest-rerunfailures",
    "pytest-xdist",
    "hypothesis",
    "psutil",
    "pyyaml",
)
SHOWN = ("jupyter_server", "jupyterlab", "boto3")
COLUMNS = ("host", "Python", *SHOWN, "server", "tests", "seconds")


class FailedError(Exception):
    """A check failed on a host; the text is its output."""


@dataclass
class Row:
    """The results of one host; ``trouble`` is the output of the check that failed."""

    host: Host
    found: dict[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def cells(self) -> list[str]:
        return [self.host.name, self.host.python, *(self.found.get(c, "") for c in COLUMNS[2:])]


def find_python(version: str) -> str | None:
    """An interpreter of that version: pyenv's, or one on PATH that runs."""
    for path in sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python")):
        return str(path)
    found = shutil.which(f"python{version}")
    if (
        found
        and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    ):
        return found
    return None


def run(*argv: str | Path, env: dict[str, str] | None = None, timeout: float = 900) -> str:
    done = subprocess.run(
        [str(a) for a in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        cwd=WORK,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise FailedError(f"{' '.join(map(str, argv[:4]))}:\n{done.stdout[-20000:]}")
    return done.stdout


def version_of(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return run(python, "-c", code).strip()


def try_host(host: Host, wheel: Path, uv: str, ci: bool) -> Row:
    """One row of the table. Does not raise when a check fails on that host."""
    row, begin = Row(host), time.monotonic()
    interpreter = find_python(host.python)
    if interpreter is None:
        row.found["tests"] = "not tried: this Python was not found"
        return row
    try:
        python = install(host, interpreter, wheel, uv, row)
        place = python.parents[1]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTHON"))}
        env.update(HOME=str(place), PATH=f"{python.parent}:{os.defpath}", TZ=host.zone)
        listed = run(python, "-m", "jupyter", "server", "extension", "list", env=env)
        if not re.search(r"auto_shutdown \S+ .*OK", listed):
            raise FailedError(f"the extension is not valid:\n{listed}")
        row.found["server"] = start_server(python, place, env)
        row.found["tests"] = run_tests(host, python, place, env, ci)
    except (FailedError, subprocess.TimeoutExpired) as error:
        row.trouble = str(error)
        row.found["tests"] = "FAILED"
    row.found["seconds"] = f"{time.monotonic() - begin:.0f}"
    return row


def install(host: Host, interpreter: str, wheel: Path, uv: str, row: Row) -> Path:
    """Make the environment and install the wheel; returns its interpreter."""
    place = WORK / host.python
    python = place / "bin" / "python"
    run(uv, "venv", "--quiet", "--clear", "--python", interpreter, place)
    run(uv, "pip", "install", "--quiet", "--python", python, *host.packages, *TOOLS)
    # jsonschema does without it, and its import takes longer than the rest of a server's start.
    run(uv, "pip", "uninstall", "--quiet", "--python", python, "rfc3987-syntax")
    row.found.update({package: version_of(python, package) for package in SHOWN})
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    if version_of(python, "jupyter_server") != row.found["jupyter_server"]:
        raise FailedError("installing changed jupyter_server")
    return python


def start_server(python: Path, place: Path, env: dict[str, str]) -> str:
    """Start a real server with the extension; returns the health that it reports."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [str(python), "-m", "jupyter", "server", "--no-browser", "--allow-root"]
    argv += [f"--port={port}", "--ServerApp.token=t", f"--ServerApp.root_dir={place}"]
    log = (place / "server.log").open("w")
    process = subprocess.Popen(argv, stdout=log, stderr=log, env=env, cwd=place)
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/auto-shutdown/status", headers={"Authorization": "token t"}
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return str(json.load(response)["health"]["state"])
            except OSError:
                time.sleep(0.2)
        raise FailedError(f"no answer:\n{(place / 'server.log').read_text()[-3000:]}")
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def copy_tests() -> None:
    """Copy the tests to a folder where this checkout is not on the path, so that they import the
    installed wheel."""
    shutil.rmtree(TESTS, ignore_errors=True)
    shutil.copytree(ROOT / "tests", TESTS, ignore=shutil.ignore_patterns("__pycache__"))
    # Some tests run the examples of a page, or compare a table with the code.
    shutil.copytree(ROOT / "docs", WORK / "docs", dirs_exist_ok=True)
    reports = Path("labextension", "src", "__tests__", "reports")
    shutil.copytree(ROOT / reports, WORK / reports, dirs_exist_ok=True)
    (WORK / "pytest.ini").write_text(
        "[pytest]\npythonpath = tests/core tests/world tests/cycle\n"
        "timeout = 300\nmarkers =\n    slow: slow\n    soak: longer\n"
    )


def selections(host: Host, ci: bool) -> list[list[str]]:
    """The arguments of each run of pytest on this host."""
    fast = [str(TESTS / name) for name in FAST]
    if not ci:
        return [["-m", "not soak", *fast, *(str(TESTS / name) for name in ACTIVITY)]]
    # Properties give the same result on each host.
    marked = "not soak and not hypothesis" + ("" if host.slow_in_ci else " and not slow")
    whole_servers = [str(TESTS / name) for name in ACTIVITY_CI]
    return [["-m", marked, *fast], ["-m", "not soak", *whole_servers]]


def run_tests(host: Host, python: Path, place: Path, env: dict[str, str], ci: bool) -> str:
    """Run the tests; returns pytest's own summaries."""
    argv = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", WORK / "pytest.ini"]
    argv += [
        "-n",
        "2",
        "--dist",
        "loadfile",
        "--reruns=1",
        "-rR",
        "--show-capture=no",
        f"--basetemp={place / 'tmp'}",
    ]
    summaries = []
    for selection in selections(host, ci):
        output = run(*argv, *selection, env=env, timeout=3600)
        for line in output.splitlines():
            if line.startswith("RERUN"):
                print(f"{host.name}: tried twice: {line.partition(' ')[2]}")
        summaries.append(output.strip().splitlines()[-1].strip("= ").partition(" in ")[0])
    return "; ".join(summaries)


def as_table(rows: Sequence[Row]) -> str:
    lines = [list(COLUMNS), *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--ci", action="store_true", help="the oldest and the newest, in short")
    parser.add_argument("pythons", nargs="*", help="only these versions, for example 3.9")
    given = parser.parse_args()
    hosts = [
        host
        for host in HOSTS
        if (host.in_ci or not given.ci) and (not given.pythons or host.python in given.pythons)
    ]
    WORK.mkdir(exist_ok=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv is not None, "uv is missing: run this through make test-compat"
    shutil.rmtree(WORK / "dist", ignore_errors=True)
    run(uv, "build", "--quiet", "--wheel", "--out-dir", WORK / "dist", ROOT)
    (wheel,) = (WORK / "dist").glob("*.whl")
    copy_tests()
    # One host for each core: these tests mostly wait.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        rows = list(pool.map(lambda host: try_host(host, wheel, uv, given.ci), hosts))
    for row in rows:
        if row.trouble:
            print(f"== {row.host.name}: Python {row.host.python}: FAILED\n{row.trouble}\n")
    print(as_table(rows))
    return 1 if any(row.trouble for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

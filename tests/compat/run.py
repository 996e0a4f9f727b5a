"""``make test-compat``: the fast tests on the oldest and the newest supported hosts.

For each host an environment is made with uv (which resolves Studio Classic's in seconds; pip does
not finish), our wheel is installed into it with ``--no-deps`` as an administrator would, and then:
the host's jupyter_server is what it was, the extension is listed as valid, a real server starts
with it and answers, and the fast tests pass. Only the standard library is used here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".compat"
#: What moves last_activity, and must not: it differs from server to server.
ACTIVITY = "system/test_local_activity.py"
FAST = ("core", "settings", "store", "world", "controller", "http")


@dataclass(frozen=True)
class Host:
    """An interpreter's version and what is installed for it."""

    name: str
    python: str
    packages: tuple[str, ...]


HOSTS = (
    Host(
        "oldest (Studio Classic)",
        "3.9",
        (
            "jupyter_server==2.0.0rc3",
            "jupyter_server_terminals<0.4",  # newer ones need a newer server, and do not say so
            "jupyterlab>=3.4,<4",
            "boto3<1.29",
            "ipykernel",
        ),
    ),
    Host(
        "old",
        "3.10",
        ("jupyter_server==2.0.0", "jupyterlab>=3.6,<4", "boto3==1.26.*", "ipykernel"),
    ),
    Host("current", "3.12", ("jupyter_server", "jupyterlab>=4,<4.4", "boto3", "ipykernel")),
    Host("newest", "3.13", ("jupyter_server", "jupyterlab", "boto3", "ipykernel")),
)
TOOLS = ("pytest", "pytest-jupyter[server]", "pytest-timeout", "hypothesis", "psutil", "pyyaml")


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
        raise RuntimeError(f"{' '.join(map(str, argv[:4]))}:\n{done.stdout[-6000:]}")
    return done.stdout


def version_of(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version('{package}'))"
    return run(python, "-c", code).strip()


def try_host(host: Host, interpreter: str, wheel: Path, uv: str) -> dict[str, str]:
    """What was found on one host; raises RuntimeError with the output of what failed."""
    place = WORK / host.python
    python = place / "bin" / "python"
    run(uv, "venv", "--quiet", "--clear", "--python", interpreter, place)
    run(uv, "pip", "install", "--quiet", "--python", python, *host.packages, *TOOLS)
    before = version_of(python, "jupyter_server")
    run(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel)
    if version_of(python, "jupyter_server") != before:
        raise RuntimeError("installing changed jupyter_server")
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTHON"))}
    env.update(HOME=str(place), PATH=f"{python.parent}:{os.defpath}")
    listed = run(python, "-m", "jupyter", "server", "extension", "list", env=env)
    if not re.search(r"auto_shutdown \S+ .*OK", listed):
        raise RuntimeError(f"not valid:\n{listed}")
    kind = start_server(python, place, env)
    return {
        "jupyter_server": before,
        "jupyterlab": version_of(python, "jupyterlab"),
        "boto3": version_of(python, "boto3"),
        "server": kind,
        "tests": run_tests(python, env),
    }


def start_server(python: Path, place: Path, env: dict[str, str]) -> str:
    """A real server with the extension, asked for its status; the health it reports."""
    port = 18000 + int(host_number(place)) % 1000
    argv = [str(python), "-m", "jupyter", "server", "--no-browser", "--allow-root"]
    argv += [f"--port={port}", "--ServerApp.token=t", f"--ServerApp.root_dir={place}"]
    log = (place / "server.log").open("w")
    process = subprocess.Popen(argv, stdout=log, stderr=log, env=env, cwd=place)
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/auto-shutdown/status", headers={"Authorization": "token t"}
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(request, timeout=5) as response:
                    return str(json.load(response)["health"]["state"])
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"no answer:\n{(place / 'server.log').read_text()[-3000:]}")
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def host_number(place: Path) -> str:
    return place.name.replace(".", "")


def run_tests(python: Path, env: dict[str, str]) -> str:
    """The fast tests against the installed wheel: the tree's own package is not on the path."""
    tests = WORK / "tests"
    shutil.rmtree(tests, ignore_errors=True)
    shutil.copytree(ROOT / "tests", tests)
    (WORK / "pytest.ini").write_text(
        "[pytest]\npythonpath = tests/core tests/world tests/controller\n"
        "timeout = 120\nmarkers =\n    slow: slow\n"
    )
    folders = [tests / name for name in (*FAST, ACTIVITY)]
    argv = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", WORK / "pytest.ini"]
    output = run(*argv, *folders, env=env)
    return output.strip().splitlines()[-1].strip("= ")


def main() -> int:
    WORK.mkdir(exist_ok=True)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    assert uv is not None, "uv is missing: run this through make test-compat"
    shutil.rmtree(WORK / "dist", ignore_errors=True)
    run(uv, "build", "--quiet", "--wheel", "--out-dir", WORK / "dist", ROOT)
    (wheel,) = (WORK / "dist").glob("*.whl")
    wanted = sys.argv[1:]
    failed = 0
    for host in HOSTS:
        if wanted and host.python not in wanted:
            continue
        interpreter = find_python(host.python)
        if interpreter is None:
            print(f"{host.name}: Python {host.python} was not found on this machine; not tried")
            continue
        try:
            found = try_host(host, interpreter, wheel, uv)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{host.name}: Python {host.python}: FAILED\n{error}")
            continue
        details = ", ".join(f"{key} {value}" for key, value in found.items())
        print(f"{host.name}: Python {host.python}: {details}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

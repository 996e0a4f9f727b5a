"""The hosts that the one bundle has to work in: each in an environment of its own, made with uv and
kept below ``.compat`` for the next time. What is tested is the bundle and the package of this tree;
that the wheel carries just those is the business of tests/packaging."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_shutdown.local_studio.labs import merge
from auto_shutdown.local_studio.ports import PORTS, free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http
from auto_shutdown.local_studio.server import TOKEN, JupyterServerApp

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".compat" / "ui"
BUNDLE = ROOT / "auto_shutdown" / "labextension"
NAME = "jupyterlab-auto-shutdown"


@dataclass(frozen=True)
class Host:
    """A host of the panel. ``module`` is the Python module that runs it; ``page`` is the path of a
    notebook's page below its base URL."""

    name: str
    packages: tuple[str, ...]
    module: str = "jupyterlab"
    page: str = "lab/tree/"


HOSTS = (
    # With a server whose last_activity moves on every reconnect.
    Host("jupyterlab-3.6", ("jupyterlab==3.6.8", "jupyter_server<2.15", "ipykernel")),
    Host("jupyterlab-4.0", ("jupyterlab==4.0.13", "ipykernel")),
    Host("notebook-7", ("notebook>=7.6,<8", "ipykernel"), "notebook", "notebooks/"),
)
#: The newest, with what shows widgets, progress bars and each kernel's processor time.
WIDGETS = Host(
    "jupyterlab-4.6-widgets",
    (
        "jupyterlab==4.6.6",
        "ipykernel",
        "ipywidgets==8.1.9",
        "tqdm==4.70.1",
        "jupyter-resource-usage==1.3.0",
    ),
)
#: The oldest; it has no notifications of its own.
OLDEST = Host("jupyterlab-3.1", ("jupyterlab==3.1.19", "ipykernel", "setuptools<80"))


def environment(host: Host) -> Path:
    """The interpreter of an environment with this host and the bundle. A lock allows one
    installation at a time, because tests run in several processes and two may need the same
    environment."""
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(host, WORK / host.name)


def _made(host: Host, place: Path) -> Path:
    python = place / "bin" / "python"
    stamp = place / "made-of.json"
    made_of = json.dumps([sys.version, *host.packages])
    if not stamp.exists() or stamp.read_text() != made_of:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
        assert uv, "make test installs uv"
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, place)
        _run(uv, "pip", "install", "--quiet", "--python", python, *host.packages)
        stamp.write_text(made_of)
    share = place / "share" / "jupyter" / "labextensions" / NAME
    built = share / "package.json"  # it names its files by what is in them
    if not built.exists() or built.read_bytes() != (BUNDLE / "package.json").read_bytes():
        shutil.rmtree(share, ignore_errors=True)
        shutil.copytree(BUNDLE, share)
    enable = place / "etc" / "jupyter" / "jupyter_server_config.d"
    enable.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "jupyter-config" / "jupyter_server_config.d" / "auto_shutdown.json", enable)
    return python


def _run(*argv: str | Path) -> None:
    done = subprocess.run(
        [str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


def serve(
    python: Path,
    module: str,
    place: Path,
    config_of_server: Mapping[str, Any] | None = None,
    **traits: object,
) -> JupyterServerApp:
    """A plain server of that environment. Its files are below ``place``. ``traits`` configure the
    extension, and ``config_of_server`` configures the rest."""
    port = free_port()
    home = place / "home"
    home.mkdir(parents=True, exist_ok=True)
    plain = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "open_browser": False,
            "allow_root": True,
            "root_dir": str(home),
            "token": TOKEN,
        },
        "LabApp": {"news_url": None},
        "AutoShutdown": {
            "metadata_path": str(place / "none.json"),
            "poll_interval_seconds": 2,
            **traits,
        },
    }
    config = merge(plain, config_of_server or {})
    path = place / "config.json"
    path.write_text(json.dumps(config))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AWS", "PYTHON"))}
    folders = {
        f"JUPYTER{name}_DIR": str(place / name.strip("_").lower())
        for name in ("_CONFIG", "_DATA", "_RUNTIME", "LAB_SETTINGS", "LAB_WORKSPACES")
    }
    env = {**kept, **folders, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    env["PATH"] = f"{python.parent}:{os.environ.get('PATH', os.defpath)}"

    def start() -> Leashed:
        argv = [str(python), "-m", PORTS, module, f"--config={path}"]
        process = Leashed(argv, place / "server.log", env, home)
        wait_for_http(f"http://127.0.0.1:{port}/api", process)
        return process

    return JupyterServerApp(f"http://127.0.0.1:{port}/", start)


def open_notebook(
    server: JupyterServerApp, path: str, cells: Sequence[str] = (), kernel: str = "python3"
) -> str:
    """Write a notebook with these cells, and start a kernel of its own for it. Returns the id of
    the kernel."""
    write_notebook(server, path, cells, kernel)
    session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
    return str(server.request("POST", "api/sessions", session)["kernel"]["id"])


def write_notebook(
    server: JupyterServerApp, path: str, cells: Sequence[str], kernel: str = "python3"
) -> None:
    """Write a notebook with these cells of code."""
    spec = {"name": kernel, "display_name": kernel}
    empty: dict[str, Any] = {"execution_count": None, "metadata": {}, "outputs": []}
    notebook = {
        "cells": [
            {"cell_type": "code", "id": f"cell-{number}", "source": source, **empty}
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    content = {"type": "notebook", "format": "json", "content": notebook}
    server.request("PUT", f"api/contents/{path}", content)

"""Jobs that no kernel manager shows, each started in the app of a space."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from extra_packages import packages_of
from hosts import Host, environment
from own_apps import LIMITS, row

from auto_shutdown.local_studio.ports import free_port
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.spaces import Space

OWN = "JupyterLab/default"
LIMIT = 60 * LIMITS["idle_timeout_minutes"]

#: A program that waits, and uses next to nothing.
WAITS = "import os, sys, time\nwhile os.path.exists(sys.argv[1]): time.sleep(0.3)\n"

#: One that uses about 6 % of a core.
COMPUTES = """
import os, sys, time
while os.path.exists(sys.argv[1]):
    begun = time.process_time()
    while time.process_time() - begun < 0.012:
        pass
    time.sleep(0.188)
"""

#: One that writes 1 MiB a second at about 1 % of a core.
COPIES = """
import os, sys, time
while os.path.exists(sys.argv[1]):
    with open(os.devnull, "wb") as target:
        target.write(bytes(512 * 1024))
    time.sleep(0.5)
"""

#: One that sends a small request every three seconds.
ASKS = """
import os, sys, time
while os.path.exists(sys.argv[1]):
    with open(os.devnull, "wb") as target:
        target.write(bytes(4096))
    time.sleep(3)
"""

SILENT_CELL = "import os, time\nwhile os.path.exists({!r}): time.sleep(0.3)"


class Desk:
    """A space, its server, and the file whose deletion ends the job."""

    def __init__(self, space: Space, server: JupyterServerApp, sockets: str) -> None:
        self.space, self.server = space, server
        self.home = space.lab.home
        self.flag = self.home / "at-work"
        self.flag.touch()
        self.started: list[Path] = []
        # The path of a Unix socket has at most 107 bytes. A folder of pytest may be longer.
        self.sockets = sockets

    def program(self, name: str, text: str) -> str:
        """A command line that prints ``text`` until the flag is deleted."""
        path, runs = self.home / f"{name}.py", self.home / f"{name}.runs"
        path.write_text(f"open({str(runs)!r}, 'w').close()\n{text}")
        self.started.append(runs)
        return f"{sys.executable} {path} {self.flag}"

    def in_a_terminal(self, *lines: str, close: bool = True) -> str:
        """Type into a new terminal, and close it once the commands have been carried out."""
        terminal = self.server.open_terminal()
        done = self.home / f"typed-{terminal}"
        self.server.type(terminal, "".join(f"{line}\r" for line in (*lines, f"touch {done}")))
        self.server.wait_for("what was typed", done.exists)
        # A program that has not left its terminal yet would be ended with it.
        self.server.wait_for("its programs", lambda: all(runs.exists() for runs in self.started))
        if close:
            self.server.request("DELETE", f"api/terminals/{terminal}")
        return terminal

    def in_a_kernel(self, code: str) -> str:
        kernel = str(self.server.request("POST", "api/kernels", {"name": "python3"})["id"])
        self.server.execute(kernel, code)
        return kernel


def pane_of_tmux(desk: Desk) -> None:
    command = desk.program("pane", WAITS)
    desk.in_a_terminal(f"tmux -S {desk.sockets}/t new-session -d '{command}'")


def shell_of_tmux(desk: Desk) -> None:
    """A user has typed the command in the shell of a tmux pane."""
    command = desk.program("typed", WAITS)
    tmux = f"tmux -S {desk.sockets}/t"
    desk.in_a_terminal(f"{tmux} new-session -d", f"{tmux} send-keys '{command}' Enter", "sleep 1")


def window_of_screen(desk: Desk) -> None:
    command = desk.program("window", WAITS)
    desk.in_a_terminal(f"SCREENDIR={desk.sockets} screen -dmS x {command}")


def notebook_with_a_silent_cell(desk: Desk) -> Path:
    runs = desk.home / "cell.runs"
    desk.started.append(runs)
    cell = {
        "cell_type": "code",
        "source": f"open({str(runs)!r}, 'w').close()\n{SILENT_CELL.format(str(desk.flag))}",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    path = desk.home / "in.ipynb"
    path.write_text(json.dumps(notebook))
    return path


def nbconvert(desk: Desk) -> None:
    """nbconvert runs a kernel of its own, with a silent cell."""
    path = notebook_with_a_silent_cell(desk)
    convert = f"{sys.executable} -m jupyter nbconvert --to notebook --execute {path}"
    desk.in_a_terminal(f"nohup {convert} > {desk.home}/convert.log 2>&1 &")


def papermill(desk: Desk) -> None:
    path = notebook_with_a_silent_cell(desk)
    run = f"{sys.executable} -m papermill {path} {desk.home}/out.ipynb"
    packages = packages_of(*PAPERMILL)
    desk.in_a_terminal(f"PYTHONPATH={packages} nohup {run} > {desk.home}/papermill.log 2>&1 &")


def jupyter_scheduler(desk: Desk) -> None:
    """The extension of the server runs the notebook in a process of its own."""
    notebook_with_a_silent_cell(desk)
    environments = desk.server.request("GET", "scheduler/runtime_environments")
    job = {
        "name": "job",
        "input_uri": "in.ipynb",
        "runtime_environment_name": environments[0]["name"],
        "output_formats": ["ipynb"],
    }
    job_id = desk.server.request("POST", "scheduler/jobs", job)["job_id"]

    def status() -> str:
        return str(desk.server.request("GET", f"scheduler/jobs/{job_id}")["status"])

    desk.server.wait_for("the job runs", lambda: status() == "IN_PROGRESS")
    desk.server.wait_for("its cell", lambda: all(runs.exists() for runs in desk.started))


def start_second_server(desk: Desk, python: str) -> JupyterServerApp:
    """A plain Jupyter server, started in a terminal."""
    port = free_port()
    options = (
        f"--ServerApp.port={port} --ServerApp.base_url=/ --ServerApp.allow_root=True "
        "--ServerApp.jpserver_extensions=\"{'auto_shutdown': False}\" "
        f"--IdentityProvider.token={JupyterServerApp.token} --ServerApp.ip=127.0.0.1"
    )
    log = desk.home / "second.log"
    command = f"nohup {python} -m jupyter_server {options} > {log} 2>&1 &"
    desk.in_a_terminal(command)
    second = object.__new__(JupyterServerApp)
    second.url = f"http://127.0.0.1:{port}/"

    def answers() -> object:
        try:
            return second.request("GET", "api")
        except OSError:
            return None

    desk.server.wait_for("the second server", answers)
    return second


def second_server(desk: Desk) -> None:
    """A plain Jupyter server with a kernel in a silent cell."""
    second = start_second_server(desk, sys.executable)
    kernel = second.request("POST", "api/kernels", {"name": "python3"})["id"]
    second.execute(kernel, SILENT_CELL.format(str(desk.flag)), wait=False)


def program_in_a_terminal_of_a_second_server(desk: Desk) -> None:
    second = start_second_server(desk, sys.executable)
    second.type(second.open_terminal(), f"{desk.program('foreground', WAITS)}\r")
    desk.server.wait_for("it runs", lambda: all(runs.exists() for runs in desk.started))


#: A client of the first kernel in Jupyter's runtime directory. It leaves while its cell runs.
CLIENT = """
import glob, os, time
from jupyter_client import BlockingKernelClient
from jupyter_core.paths import jupyter_runtime_dir
files = []
while not files:
    time.sleep(0.2)
    files = glob.glob(os.path.join(jupyter_runtime_dir(), "kernel-*.json"))
client = BlockingKernelClient(connection_file=files[0])
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=60)
client.execute({cell!r})
while not os.path.exists({runs!r}): time.sleep(0.2)
"""


def kernel_without_a_file_on_its_command_line(desk: Desk) -> None:
    runs, client = desk.home / "cell.runs", desk.home / "client.py"
    cell = f"open({str(runs)!r}, 'w').close()\n{SILENT_CELL.format(str(desk.flag))}"
    client.write_text(CLIENT.format(cell=cell, runs=str(runs)))
    desk.started.append(runs)
    kernel = f"setsid nohup {sys.executable} -m ipykernel_launcher > /dev/null 2>&1 &"
    desk.in_a_terminal(kernel, f"{sys.executable} {client}")


def older_second_server(desk: Desk) -> None:
    """The server reports the kernel as idle during the cell, and a query to the kernel moves its
    time stamp."""
    second = start_second_server(desk, str(environment(OLDER_SERVER)))
    assert second.request("GET", "api")["version"].startswith("2.14.")
    kernel = second.request("POST", "api/kernels", {"name": "python3"})["id"]
    second.execute(kernel, SILENT_CELL.format(str(desk.flag)), wait=False)
    with second.client(kernel) as client:
        client.hear("usage_reply", client.ask("usage_request", "control"))

    def state() -> str:
        return str(second.request("GET", f"api/kernels/{kernel}")["execution_state"])

    desk.server.wait_for("the server takes it for idle", lambda: state() == "idle")


def orphan_of_a_kernel(desk: Desk) -> None:
    """The kernel has ended, and process 1 has adopted its job."""
    command = desk.program("orphan", COMPUTES)
    kernel = desk.in_a_kernel(f"import os; os.system('setsid nohup {command} > /dev/null 2>&1 &')")
    desk.server.request("DELETE", f"api/kernels/{kernel}")


def job_of_a_kernel(desk: Desk) -> None:
    """The kernel still runs, and its removal would end the job."""
    command = desk.program("job", COMPUTES)
    kernel = desk.in_a_kernel(f"import os; os.system('nohup {command} > /dev/null 2>&1 &')")
    desk.server.wait_for("its job runs", lambda: all(runs.exists() for runs in desk.started))
    # A kernel is asked for its work a short time before its limit only.
    desk.server.request("PATCH", "auto-shutdown/settings", {"idle_timeout_minutes": None})
    desk.server.wait_for(
        "it holds its kernel",
        lambda: row(desk.server, kernel).get("reason") == "background-work",
    )


def upload(desk: Desk) -> None:
    desk.in_a_terminal(f"setsid nohup {desk.program('upload', COPIES)} > /dev/null 2>&1 &")


def loop_of_a_shell(desk: Desk) -> None:
    loop = f"while [ -e {desk.flag} ]; do sleep 2; done"
    desk.in_a_terminal(f"setsid nohup sh -c '{loop}' > /dev/null 2>&1 &")


def loop_that_polls(desk: Desk) -> None:
    desk.in_a_terminal(f"setsid nohup {desk.program('poll', ASKS)} > /dev/null 2>&1 &")


JOBS: dict[str, Callable[[Desk], None]] = {
    job.__name__: job
    for job in (
        pane_of_tmux,
        shell_of_tmux,
        window_of_screen,
        nbconvert,
        second_server,
        orphan_of_a_kernel,
        job_of_a_kernel,
        upload,
        loop_of_a_shell,
        loop_that_polls,
    )
}

#: The jobs that only `make soak` runs. It installs the programs that they need in places of their
#: own.
RUNNERS: dict[str, Callable[[Desk], None]] = {
    "papermill": papermill,
    "jupyter_scheduler": jupyter_scheduler,
    "older_second_server": older_second_server,
    "program_in_a_terminal_of_a_second_server": program_in_a_terminal_of_a_second_server,
    "kernel_without_a_file_on_its_command_line": kernel_without_a_file_on_its_command_line,
}

OLDER_SERVER = Host("jupyter-server-2.14", ("jupyter_server==2.14.2", "ipykernel"))

#: What jupyter-scheduler needs beside the packages of development.
SCHEDULER = (
    "jupyter-scheduler==2.12.1",
    "croniter==1.4.1",
    "fsspec==2026.9.0",
    "pytz==2024.2",
    "sqlalchemy==2.1.9",
)

PAPERMILL = ("papermill==2.7.0",)

#: What is installed before a space is opened: an installation may take longer than its limit.
NEEDS: dict[str, Callable[[], object]] = {
    "papermill": lambda: packages_of(*PAPERMILL),
    "jupyter_scheduler": lambda: packages_of(*SCHEDULER, deps=False),
    "older_second_server": lambda: environment(OLDER_SERVER),
}

"""A Studio with one of each resource for the tests of the panel, and the command line beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from lab_page import quiet_host

from auto_shutdown.local_studio.jupyter_names import image_terminal
from auto_shutdown.local_studio.server import JupyterServerApp
from auto_shutdown.local_studio.studio import LocalStudio


class Scene:
    """A Studio with one resource for each state: busy, idle, kept, a job, an empty app."""

    def __init__(self, studio: LocalStudio) -> None:
        self.studio = studio
        traits = {
            "metadata_path": str(studio.metadata_path),
            "poll_interval_seconds": 2,
            "max_idle_timeout_minutes": 480,
            "max_keep_alive_minutes": 600,
            "locked": ["dry_run"],
        }
        self.server = server = studio.start_server({"AutoShutdown": traits})
        names = ("train", "eval", "kept")
        self.kernels = {name: server.open_notebook(f"{name}.ipynb") for name in names}
        for kernel in self.kernels.values():
            server.execute(kernel, "1 + 1")
        server.execute(self.kernels["train"], "import time; time.sleep(900)", wait=False)
        server.open_terminal(image_terminal("datascience-1.0", "ml.t3.medium"))
        self.terminal = server.open_terminal()
        _type(server, self.terminal, "sleep 900\r")
        self.app = studio.create_app("pytorch-1.8", "ml.g5.xlarge")
        quiet_host(server)
        server.request("POST", "auto-shutdown/check")  # it may have been listed while it came up

    def keep_alive(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.request("GET", "auto-shutdown/keep-alive")[
            "keep_alive"
        ]
        return found

    def user(self) -> Any:
        return self.server.request("GET", "auto-shutdown/settings")["user"]


def _type(server: JupyterServerApp, terminal: str, text: str) -> None:
    from websocket import create_connection

    address = server.url.replace("http", "ws", 1) + f"terminals/websocket/{terminal}"
    connection = create_connection(f"{address}?token={server.token}", timeout=30)
    connection.send(json.dumps(["stdin", text]))
    server.wait_for("the command", lambda: "sleep" in str(connection.recv()))
    connection.close()


def command_line(server: JupyterServerApp, *arguments: str) -> str:
    """The output of ``jupyter auto-shutdown``."""
    argv = [sys.executable, "-m", "auto_shutdown", *arguments, "--url", server.url]
    environment = {**os.environ, "JUPYTER_TOKEN": server.token}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A process table by values: a server (``SERVER``), its kernel, terminal and language server."""

from __future__ import annotations

from typing import Any

from auto_shutdown.world.processes import Process

SERVER = 100
TTY = 34816


def process(pid: int, parent: int, **more: Any) -> Process:
    usual = {"group": pid, "foreground": -1, "started": pid, "cpu": 0.0, "command": "python"}
    return Process(pid, parent, **{**usual, "session": pid, **more})


BASE = (
    process(1, 0, command="init"),
    process(SERVER, 1, command="jupyter-lab"),
    process(200, SERVER),
    process(300, SERVER, command="bash", terminal=TTY, foreground=300),
    process(110, SERVER, command="pylsp"),
)

"""A process that listens on the ports of a kernel, and connection files that name the ports."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from process_table import process

from auto_shutdown.world.listening_kernels import CHANNELS, ConnectionFiles

HERE = os.getpid()


TABLE = {each.pid: each for each in (process(1, 0), process(HERE, 1), process(4_000_000, 1))}


NAME = f"kernel-{HERE}.json"


@contextlib.contextmanager
def listening_ports() -> Iterator[list[int]]:
    """Five ports on which this process listens."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for _ in CHANNELS
        ]


def write(path: Path, ports: list[Any], **more: Any) -> None:
    usual = {"ip": "127.0.0.1", "transport": "tcp", "key": "secret"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**usual, **dict(zip(CHANNELS, ports)), **more}))


def found(directory: Path, files: ConnectionFiles | None = None, *own: str) -> list[Any]:
    files = files or ConnectionFiles()
    kernels = files.kernels(TABLE, [directory], own, lambda _pid: ("x",))
    return [(kernel.process.pid, kernel.path.name) for kernel in kernels]

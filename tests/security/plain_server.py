"""A real Jupyter Server with the extension, outside of SageMaker, for requests of strangers."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_server.auth.authorizer import AllowAllAuthorizer

from auto_shutdown.local_studio.ports import PORTS, free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http

HERE = Path(__file__).resolve().parent
TOKEN = "a-token-that-nobody-guesses"


class Refusing(AllowAllAuthorizer):
    """Allows everything but this extension."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "auto_shutdown"


@dataclass
class PlainServer:
    url: str
    root: Path
    token: str = TOKEN
    pid: int = 0

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self.token}"}

    def traces(self) -> dict[str, bytes]:
        """The names of the files on disk. A refused request must not add any."""
        state = self.root / "state"
        paths = (path for path in state.rglob("*") if path.is_file() and path.name[0] != "m")
        return {str(path.relative_to(state)): path.read_bytes() for path in paths}

    def wait_until_it_watches(self) -> None:
        """The server answers a moment before its extensions have begun. Wait for the last of the
        lines that the extension logs at its start (cycle/start_lines.py)."""
        deadline = time.monotonic() + 60
        while "`jupyter auto-shutdown status` shows what is due" not in self.log:
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return (self.root / "server.log").read_text(errors="replace")


@contextmanager
def serving(root: Path, more: dict[str, Any] | None = None, **traits: Any) -> Iterator[PlainServer]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    config: dict[str, Any] = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "allow_root": True,
            "root_dir": str(root),
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True},
            **(more or {}).get("ServerApp", {}),
        },
        "IdentityProvider": {"token": TOKEN},
        "AutoShutdown": {
            "state_dir": str(root / "state"),
            "metadata_path": str(root / "none.json"),
            **traits,
        },
    }
    path = root / "config.json"
    path.write_text(json.dumps(config))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AWS"))}
    jupyter = {
        f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    env = {**kept, **jupyter, "HOME": str(root), "PYTHONPATH": str(HERE)}

    argv = [sys.executable, "-m", PORTS, "jupyter_server", f"--config={path}"]
    process = Leashed(argv, root / "server.log", env, root)
    try:
        wait_for_http(url + "api", process)
        found = PlainServer(url, root, pid=process.pid)
        found.wait_until_it_watches()
        yield found
    finally:
        process.stop()

"""The servers of race.py: a server with the extension, and a gateway for its kernels."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auto_shutdown.local_studio.ports import PORTS, free_port
from auto_shutdown.local_studio.processes import Leashed, wait_for_http
from auto_shutdown.local_studio.server import TOKEN, JupyterServerApp

HERE = Path(__file__).resolve().parent

#: The idle timeout. It is longer for a kernel behind a gateway: the extension first asks that
#: kernel about background work, which takes some tenths of a second, and uses only a fresh answer.
LIMIT_SECONDS = 0.4
GATEWAY_LIMIT_SECONDS = 2.4


def environment(root: Path, lines: Path) -> dict[str, str]:
    """The environment of the servers. Their kernel managers (recording_kernels.py) write to
    ``lines``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "AWS"))}
    path = os.pathsep.join([str(HERE), kept.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {
        **kept,
        "HOME": str(root),
        "JUPYTER_CONFIG_DIR": str(root / "config"),
        "JUPYTER_DATA_DIR": str(root / "data"),
        "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
        "PYTHONPATH": path,
        "RACE_LINES": str(lines),
    }


@contextmanager
def gateway(root: Path, env: dict[str, str]) -> Iterator[str]:
    """A kernel gateway. Gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [
        sys.executable,
        "-m",
        PORTS,
        "kernel_gateway",
        "--KernelGatewayApp.ip=127.0.0.1",
        f"--KernelGatewayApp.port={port}",
        "--JupyterWebsocketPersonality.list_kernels=True",
    ]
    process = Leashed(argv, root / "gateway.log", env, root)
    try:
        wait_for_http(url + "/api", process)
        yield url
    finally:
        process.stop()


@contextmanager
def server(root: Path, env: dict[str, str], gateway_url: str | None) -> Iterator[JupyterServerApp]:
    """A server with the extension. Its kernels run behind ``gateway_url``, if that is given."""
    port = free_port()
    manager = "RecordingGatewayKernels" if gateway_url else "RecordingKernels"
    config: dict[str, Any] = {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "allow_root": True,
            "root_dir": str(root),
            "kernel_manager_class": f"recording_kernels.{manager}",
            "jpserver_extensions": {"auto_shutdown": True},
        },
        "IdentityProvider": {"token": TOKEN},
        "AutoShutdown": {
            "metadata_path": str(root / "none.json"),
            "min_idle_timeout_minutes": 0.001,
            "idle_timeout_minutes": (GATEWAY_LIMIT_SECONDS if gateway_url else LIMIT_SECONDS) / 60,
            "warn_minutes": 0,
            "grace_minutes": 0,
            "poll_interval_seconds": 0.2,
        },
    }
    if gateway_url:
        config["GatewayClient"] = {"url": gateway_url}
    path = root / f"config-{manager}.json"
    path.write_text(json.dumps(config))
    argv = [sys.executable, "-m", PORTS, "jupyter_server", f"--config={path}"]
    log = root / f"server-{manager}.log"

    def start() -> Leashed:
        process = Leashed(argv, log, env, root)
        wait_for_http(f"http://127.0.0.1:{port}/api", process)
        return process

    app = JupyterServerApp(f"http://127.0.0.1:{port}/", start)
    try:
        yield app
    finally:
        app.stop()

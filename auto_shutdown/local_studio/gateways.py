"""KernelGateway apps: one real ``jupyter_kernel_gateway`` process each."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .ports import PORTS, free_port
from .processes import Leashed, wait_for_http

#: Its sitecustomize.py runs in each Python process of an app.
APP_HOST = Path(__file__).with_name("app_host")


class Gateway:
    """The container of one app: a kernel gateway with its own home directory."""

    def __init__(self, root: Path, app_name: str) -> None:
        home = root / "apps" / app_name
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
        env.update(HOME=str(home), JUPYTER_RUNTIME_DIR=str(home / "runtime"))
        path = filter(None, [str(APP_HOST), env.get("PYTHONPATH")])
        env.update(PYTHONPATH=os.pathsep.join(path), KG_ENV_PROCESS_WHITELIST="PYTHONPATH")
        self.process = Leashed(
            [
                sys.executable,
                "-m",
                PORTS,
                "kernel_gateway",
                "--KernelGatewayApp.ip=127.0.0.1",
                f"--KernelGatewayApp.port={self.port}",
                "--JupyterWebsocketPersonality.list_kernels=True",
            ],
            home / "gateway.log",
            env,
            home,
        )

    def wait(self) -> None:
        """Wait until the gateway answers. Raises RuntimeError when it does not."""
        wait_for_http(f"{self.url}/api", self.process)

    def stop(self) -> None:
        """Stop the gateway and its kernels, as ``docker stop`` would."""
        self.process.stop()

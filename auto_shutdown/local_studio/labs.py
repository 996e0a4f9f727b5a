"""The JupyterLab of a Studio space or a notebook instance: one real process with local kernels, in
its own container, that ends with its app or instance."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from .container import contained, possible
from .ports import PORTS, free_port
from .processes import Leashed, wait_for_http
from .server import TOKEN


@lru_cache(maxsize=1)
def isolated() -> bool:
    """Whether labs run in containers here. Without containers, the extension takes other processes
    of this machine for work in the app."""
    return possible()


@dataclass
class Lab:
    """One JupyterLab. ``directory`` has the files outside the home, ``home`` is the user's home
    directory, ``metadata`` is the content of SageMaker's metadata file, ``python`` is its
    interpreter."""

    directory: Path
    home: Path
    base_url: str
    metadata: Mapping[str, str]
    environment: Mapping[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    root_dir: Path | None = None
    python: str = sys.executable

    def __post_init__(self) -> None:
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_url.rstrip('/')}/"

    @property
    def metadata_path(self) -> Path:
        return self.directory / "resource-metadata.json"

    @property
    def activity_file(self) -> Path:
        """SageMaker's file with the time of the last activity. The real file is in /tmp, so it is
        deleted with the app."""
        return self.directory / "sagemaker-last-active-timestamp"

    def launch(self) -> Leashed:
        """Start the server and wait until it answers. Raises RuntimeError when it does not."""
        for path in (self.directory, self.home):
            path.mkdir(parents=True, exist_ok=True)
        self.activity_file.unlink(missing_ok=True)
        self.metadata_path.write_text(json.dumps(self.metadata))
        config = self.directory / "jupyter_server_config.json"
        config.write_text(json.dumps(merge(self._config(), self.config)))
        argv = [self.python, "-m", PORTS, "jupyterlab", f"--config={config}"]
        process = Leashed(
            contained(argv) if isolated() else argv,
            self.directory / "server.log",
            {**environment(), **self.environment, "HOME": str(self.home)},
            self.home,
        )
        try:
            wait_for_http(f"{self.url}api", process)
        except BaseException:
            process.stop()
            raise
        return process

    def _config(self) -> dict[str, Any]:
        ours = {
            "metadata_path": str(self.metadata_path),
            "activity_file": str(self.activity_file),
        }
        plain = server_config(self.port, self.root_dir or self.home, self.base_url)
        extensions = {"jpserver_extensions": {"auto_shutdown": True}}
        return merge(plain, {"ServerApp": extensions, "AutoShutdown": ours})


def server_config(port: int, root_dir: Path, base_url: str) -> dict[str, Any]:
    """The configuration that every JupyterLab of this Studio has."""
    return {
        "ServerApp": {
            "ip": "127.0.0.1",
            "port": port,
            "port_retries": 0,
            "base_url": base_url,
            "open_browser": False,
            "allow_root": True,
            "root_dir": str(root_dir),
        },
        "IdentityProvider": {"token": TOKEN},
        "LabApp": {"news_url": None, "check_for_updates_class": "jupyterlab.NeverCheckForUpdate"},
    }


def environment() -> dict[str, str]:
    """The environment of this process without the variables of Jupyter, AWS and XDG."""
    foreign = ("JUPYTER", "AWS", "XDG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``base``, updated with ``over``; objects within are merged in the same way."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged

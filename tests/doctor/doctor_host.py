"""A healthy host for the doctor to examine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import auto_shutdown
from auto_shutdown import doctor
from auto_shutdown.doctor import cron, installation
from auto_shutdown.local_studio.api import Fault
from auto_shutdown.local_studio.studio import CREDENTIALS, LocalStudio

BUNDLE = Path(auto_shutdown.__file__).parent / "labextension"


PANEL = installation.PANEL


class Host:
    """A healthy host, with methods that break it."""

    def __init__(self, studio: LocalStudio, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.studio, self.root, self.patch = studio, root, monkeypatch
        self.user, self.env = root / "user", root / "env" / "etc" / "jupyter"
        self.metadata = root / "metadata.json"
        shutil.copy(studio.metadata_path, self.metadata)
        self._lay_out_jupyter()
        shutil.copytree(BUNDLE, self.panel, symlinks=True)
        self.write(
            self.env / "jupyter_server_config.d" / "auto_shutdown.json",
            {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}},
        )
        self.enable_lab(True)
        self.configure()
        studio.api.faults.clear()
        studio.api.calls.clear()

    def _lay_out_jupyter(self) -> None:
        for name in list(os.environ):
            if name.startswith(("JUPYTER", "AWS")):
                self.patch.delenv(name)
        environ = {
            **CREDENTIALS,
            "HOME": str(self.root),
            "JUPYTER_CONFIG_DIR": str(self.user),
            "JUPYTER_DATA_DIR": str(self.root / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.root / "runtime"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": os.pathsep.join(  # without sudo, which would show this machine's crontab
                p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, "sudo").exists()
            ),
            "AWS_ENDPOINT_URL_SAGEMAKER": self.studio.endpoint_url,
        }
        for name, value in environ.items():
            self.patch.setenv(name, value)
        self.patch.setattr(cron, "CRONTABS", (self.root / "cron",))
        share = str(self.root / "env" / "share" / "jupyter")
        for name, value in (
            ("ENV_JUPYTER_PATH", [share]),
            ("SYSTEM_JUPYTER_PATH", []),
            ("ENV_CONFIG_PATH", [str(self.env)]),
            ("SYSTEM_CONFIG_PATH", []),
        ):
            self.patch.setattr(f"jupyter_core.paths.{name}", value)

    @property
    def panel(self) -> Path:
        return self.root / "env" / "share" / "jupyter" / "labextensions" / PANEL

    def write(self, path: Path, content: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def enable_lab(self, enabled: bool) -> None:
        """The file with which JupyterLab is installed as an extension of the server."""
        self.write(
            self.env / "jupyter_server_config.d" / "jupyterlab.json",
            {"ServerApp": {"jpserver_extensions": {"jupyterlab": enabled}}},
        )

    def configure(self, **traits: Any) -> None:
        """The content of the administrator's file."""
        given = {"metadata_path": str(self.metadata), "state_dir": str(self.root / "state")}
        admin = self.env / "jupyter_server_config.d" / "admin.json"
        self.write(admin, {"AutoShutdown": {**given, **traits}})

    def person(self, content: Any, name: str = "jupyter_server_config.json") -> None:
        """A configuration file in the user's own directory."""
        self.write(self.user / name, content)

    def fault(self, operation: str, code: str, message: str = "injected", **more: Any) -> None:
        self.studio.api.faults.append(Fault(operation, code, message, **more))

    def change_metadata(self, **changes: Any) -> None:
        """Change the content of the metadata file."""
        content = {**json.loads(self.metadata.read_text()), **changes}
        self.write(self.metadata, {k: v for k, v in content.items() if v is not None})

    def module(self, name: str) -> None:
        """A package that is installed."""
        self.write(self.root / "packages" / f"{name}.py", "")
        self.patch.syspath_prepend(str(self.root / "packages"))

    def version(self, distribution: str, version: str | None) -> None:
        real = importlib.metadata.version

        def version_of(name: str) -> str:
            if name != distribution:
                return real(name)
            if version is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return version

        self.patch.setattr(importlib.metadata, "version", version_of)


def troubles(findings: list[doctor.Finding]) -> list[tuple[str, str]]:
    """The findings that are not ok. Findings about the server are left out: it runs in none of
    these tests."""
    return [
        (f.level.value, f.check)
        for f in findings
        if f.level is not doctor.Level.OK and f.check != "server"
    ]

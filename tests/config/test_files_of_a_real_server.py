"""The configuration files of a real server: which value applies, and which source it names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from configuration_files import JSON_60, PY, written
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.config import provenance


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"auto_shutdown": True}},
        "AutoShutdown": {
            "state_dir": str(tmp_path / "state"),
            "metadata_path": str(tmp_path / "none.json"),
        },
    }


@pytest.fixture
def jp_argv() -> list[str]:
    return ["--AutoShutdown.warn_minutes=3"]


@pytest.fixture
def drop_in(jp_env_config_path: Path) -> Path:
    """The directory in which an administrator puts configuration files, in place of
    ``/etc/jupyter``."""
    path = jp_env_config_path / "jupyter_server_config.d" / "auto_shutdown_admin.json"
    path.parent.mkdir(parents=True)
    locked = {"idle_timeout_minutes": 60, "locked": ["dry_run"]}
    path.write_text(json.dumps({"AutoShutdown": locked}))
    return path


async def test_drop_in_file_is_in_force_and_named_as_source(
    drop_in: Path, jp_serverapp: Any, jp_fetch: Any
) -> None:
    """Jupyter itself reads nothing but ``jpserver_extensions`` from there."""
    await eventually(lambda: CONTROLLER in jp_serverapp.web_app.settings, "the extension starts")
    answer = json.loads((await jp_fetch("auto-shutdown", "settings")).body)
    assert answer["settings"]["idle_timeout_minutes"] == 60
    assert answer["locked"] == ["dry_run"]
    expected = {
        "idle_timeout_minutes": str(drop_in),
        "locked": str(drop_in),
        "warn_minutes": provenance.COMMAND_LINE,
        "state_dir": provenance.PROGRAM,
        "metadata_path": provenance.PROGRAM,
    }
    assert answer["sources"] == expected
    report = json.loads((await jp_fetch("auto-shutdown", "status")).body)
    assert report["policy"]["sources"] == expected


LOADED = """
from jupyter_server.serverapp import ServerApp
app = ServerApp()
app.initialize(["--no-browser", "--allow-root", "--port=0"], new_httpserver=False)
print(app.extension_manager.extension_points["auto_shutdown"].app.idle_timeout_minutes)
"""


DROP_IN, OTHER = "jupyter_server_config.d/a.json", "jupyter_server_config.d/b.json"


JSON_30 = JSON_60.replace("60", "30")


@pytest.mark.parametrize(
    ("files", "minutes"),
    [
        ({f"system/{DROP_IN}": JSON_60, f"system/{OTHER}": JSON_30}, 30),
        ({f"user/{DROP_IN}": JSON_60, "system/jupyter_server_config.json": JSON_30}, 30),
        ({f"user/{DROP_IN}": JSON_30, f"system/{OTHER}": JSON_60}, 30),
        ({"user/jupyter_server_config.json": JSON_30,
          "user/jupyter_server_config.py": PY + "c.AutoShutdown.idle_timeout_minutes = 60"}, 30),
        ({"user/jupyter_auto_shutdown_config.json": JSON_60,
          "system/jupyter_config.json": JSON_30}, 30),
    ],
    ids=["drop-ins", "file over drop-in", "user over system", "json over py", "server over own"],
)  # fmt: skip
@pytest.mark.slow
def test_order_of_configuration_files_is_that_of_a_real_server(
    files: dict[str, str], minutes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = written(tmp_path, files)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", os.pathsep.join(directories))
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert float(done.stdout.split()[-1]) == minutes

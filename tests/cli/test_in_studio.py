"""The command line in a terminal of Studio, with real apps, kernels and a real server. It finds the
server by Jupyter's runtime files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="the local Studio is not installed")

from auto_shutdown.local_studio.api import Fault, denied
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[LocalStudio]:
    with LocalStudio(tmp_path) as found:
        yield found


def test_commands_work_in_a_terminal_of_studio(studio: LocalStudio) -> None:
    traits = {"metadata_path": str(studio.metadata_path), "max_keep_alive_minutes": 240}
    server = studio.start_server({"AutoShutdown": traits})
    (studio.home / "deep").mkdir()
    kernel = server.open_notebook("deep/train.ipynb")
    env = studio._environment()

    def shell(*argv: str, code: int = 0) -> str:
        words = [str(Path(sys.executable).with_name("jupyter")), "auto-shutdown", *argv]
        done = subprocess.run(
            words, env=env, cwd=studio.home, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert server.token not in done.stdout + done.stderr
        return done.stdout

    def json_of(*argv: str, code: int = 0) -> Any:
        return json.loads(shell(*argv, "--json", code=code))

    # The status shows the app, and the notebook below it.
    shell("check")
    lines = shell("status").splitlines()
    assert f"Studio Classic of ada in {studio.domain_id}" in lines[1]
    rows = [line.split() for line in lines]
    app = next(i for i, row in enumerate(rows) if row[:1] == ["app"])
    assert rows[app + 1][:2] == ["kernel", "train.ipynb"]

    # A keep-alive by the name of the notebook, within the administrator's limit.
    held = json_of("keep-alive", "kernel", "train.ipynb", "--minutes", "240")["keep_alive"]
    assert [hold["id"] for hold in held] == [kernel]
    shell("keep-alive", "kernel", "train.ipynb", "--minutes", "241", code=1)

    # The doctor reads the configuration of this server, and sends it a request.
    report = json_of("doctor")
    levels = {finding["check"]: finding["level"] for finding in report["findings"]}
    assert report["failures"] == 0
    assert levels["server"] == levels["sagemaker:DeleteApp"] == levels["credentials"] == "ok"
    assert any("max_keep_alive_minutes = 240" in f["message"] for f in report["findings"])
    assert studio.status(rows[app][1]) == "InService"

    studio.api.faults.append(
        Fault("DeleteApp", "AccessDeniedException", denied("sagemaker:DeleteApp", "*"))
    )
    report = json_of("doctor", code=1)
    failed = [f["check"] for f in report["findings"] if f["level"] == "failure"]
    assert failed == ["sagemaker:DeleteApp"]
    studio.api.faults.clear()

    # The history shows the removal.
    server.request("POST", "auto-shutdown/remove", {"kind": "kernel", "id": kernel})
    assert shell("history").splitlines()[1].split()[3:5] == ["deep/train.ipynb", "removed"]

    server.stop()
    shell("status", code=3)
    report = json_of("doctor")
    assert [f["check"] for f in report["findings"] if f["level"] == "warning"] == ["server"]

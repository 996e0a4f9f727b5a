"""Studio Classic's host (Python 3.9, jupyter_server 2.0.0rc3, JupyterLab 3.6): installed from the
offline bundle, without an index and without a network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from clean_root import SERVER, CleanRoot, make_environment, possible

from auto_shutdown import __version__
from auto_shutdown.install.bundle import Bundle
from auto_shutdown.install.iam import Scope
from auto_shutdown.install.lifecycle import Script
from auto_shutdown.install.names import ENVIRONMENTS


def find_python() -> str | None:
    for path in sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python")):
        return str(path)
    return shutil.which("python3.9")


PYTHON = find_python()
#: As in tests/compat/run.py.
PACKAGES = (
    "jupyter_server==2.0.0rc3",
    "jupyter_server_terminals<0.4",
    "jupyterlab>=3.6,<4",
    "boto3<1.29",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(possible()), reason=possible() or "-"),
    pytest.mark.skipif(PYTHON is None, reason="needs Python 3.9"),
]


def test_bundle_installs_on_studio_classic(wheel: Path, tmp_path: Path) -> None:
    assert PYTHON is not None
    environment = make_environment(tmp_path / "studio", PYTHON, *PACKAGES, compiled=False)
    root = CleanRoot(tmp_path / "root", environment, ENVIRONMENTS["jupyter-server"])
    script = Script("jupyter-server", "/opt/bundle/", configuration={"idle_timeout_minutes": 45})
    Bundle(["jupyter-server"], script, Scope(), wheel).write(root.path("/opt/bundle"))
    before = root.packages()
    assert "jupyter-server==2.0.0rc3" in before

    done = root.start(root.path("/opt/bundle/on-start-jupyter-server.sh").read_text())
    assert done.returncode == 0, done.stdout
    assert root.packages() == before | {f"jupyterlab-auto-shutdown=={__version__}"}
    listed = plain(root.jupyter("server", "extension", "list"))
    assert re.search(rf"auto_shutdown {re.escape(__version__)} .*OK", listed), listed
    panel = plain(root.jupyter("labextension", "list"))
    assert re.search(rf"jupyterlab-auto-shutdown v{re.escape(__version__)} enabled .*OK", panel), (
        panel
    )
    found = json.loads(root.python("-c", SERVER, "auto-shutdown/status").splitlines()[-1])
    report = found["auto-shutdown/status"]
    assert report["health"]["armed"] is True
    assert report["policy"]["idle_timeout_minutes"] == 45
    # An administrator's own machine may be as old.
    printed = root.jupyter("auto-shutdown", "lifecycle-config", "--for", "jupyterlab")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()  # of the wheel that pip installed
    assert printed == Script("jupyterlab", sha256=digest, as_code=True).render()
    assert "ListApps" in root.jupyter("auto-shutdown", "iam-policy", "--for", "user")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)

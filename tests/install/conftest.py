"""A wheel of this tree, built once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    uv = Path(sys.executable).with_name("uv")
    argv = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", out, ROOT]
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    subprocess.run([*argv, "--python", sys.executable], check=True, env=environment)
    (found,) = out.glob("*.whl")
    return found

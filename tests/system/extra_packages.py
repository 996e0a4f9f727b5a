"""Packages that only a few long tests need. They are kept below ``.compat`` for the next time, and
not in the environment of development, so that no other test sees them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def packages_of(*requirements: str, deps: bool = True) -> Path:
    """A folder with these packages, for PYTHONPATH. It is kept for the next time."""
    place = ROOT / ".compat" / "packages" / requirements[0]
    if not place.exists():
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
        making = place.with_name(f"{place.name}.{os.getpid()}")
        install = [uv, "pip", "install", "--quiet", "--python", sys.executable]
        more = [] if deps else ["--no-deps"]
        subprocess.run([*install, *more, "--target", making, *requirements], check=True)
        making.rename(place)
    return place


def debian_packages(program: str, *packages: str) -> str:
    """The path of ``program``, after these packages of Debian were installed if it was missing."""
    if shutil.which(program) is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends"]):
            more = packages if command[0] == "install" else ()
            subprocess.run(["apt-get", *command, *more], check=True, env=environment)
    found = shutil.which(program)
    assert found is not None, program
    return found

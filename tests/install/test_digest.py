"""The digest of the wheel that this command was installed from, after pip and after uv."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from auto_shutdown.install import digest
from auto_shutdown.install.errors import UsageError

pytestmark = pytest.mark.slow

#: In the new environment, with the requirements of this one behind it.
ASK = f"""
import sys
sys.path.append({sysconfig.get_path("purelib")!r})
from auto_shutdown.install.digest import installed_digest
print(installed_digest())
"""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    uv = Path(sys.executable).with_name("uv")
    place = tmp_path / "environment"
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, place], check=True)
    return place


def ask(environment: Path) -> str:
    argv = [environment / "bin" / "python", "-c", ASK]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def install(environment: Path, tool: str, wheel: Path) -> None:
    python = environment / "bin" / "python"
    argv = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    if tool == "uv":
        uv = Path(sys.executable).with_name("uv")
        argv = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel]
    subprocess.run(argv, check=True)


def test_digest_of_an_installed_wheel_is_found_after_pip_and_uv(
    environment: Path, wheel: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(wheel, tmp_path))
    expected = hashlib.sha256(copy.read_bytes()).hexdigest()
    install(environment, "pip", copy)
    assert ask(environment) == expected
    install(environment, "uv", copy)  # which records no digest, only where the file is
    assert ask(environment) == expected
    # The same file name, built again with other content: not what is installed here.
    with zipfile.ZipFile(copy) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (record,) = (name for name in content if name.endswith("RECORD"))
    ours = b"auto_shutdown/__init__.py,sha256="
    content[record] = content[record].replace(ours, ours + b"x")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    assert ask(environment) == ""
    copy.unlink()
    assert ask(environment) == ""


def test_checkout_has_no_digest() -> None:
    """These tests run from one."""
    assert digest.installed_digest() == ""
    with pytest.raises(UsageError, match="Give the wheel with --wheel FILE"):
        digest.default_digest("jupyterlab-auto-shutdown==0.1.0")


def test_digest_of_another_version_has_to_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "installed_digest", lambda: "d" * 64)
    assert digest.default_digest("jupyterlab-auto-shutdown==0.1.0") == "d" * 64
    with pytest.raises(UsageError, match=r"SHA-256 of jupyterlab-auto-shutdown==9\.9 is not"):
        digest.default_digest("jupyterlab-auto-shutdown==9.9")

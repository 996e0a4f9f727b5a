"""The offline bundle, and the wheel that is rebuilt from the installed files."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from auto_shutdown import __version__
from auto_shutdown.install.bundle import Bundle
from auto_shutdown.install.errors import UsageError
from auto_shutdown.install.iam import Scope
from auto_shutdown.install.lifecycle import Script

NAME = f"jupyterlab_auto_shutdown-{__version__}-py3-none-any.whl"
PLATFORMS = ("jupyter-server", "jupyterlab", "notebook-instance")
SCOPE = Scope(region="us-west-2", account="123456789012", domain="d-1")


def bundle(wheel: Path | None, source: str = "s3://bucket/wheels/", **traits: object) -> Bundle:
    return Bundle(PLATFORMS, Script(PLATFORMS[0], source, configuration=traits), SCOPE, wheel)


def test_bundle_holds_all_that_is_needed(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "new" / "bundle"
    paths = bundle(wheel, dry_run=True).write(place)
    scripts = [f"on-start-{platform}.sh" for platform in PLATFORMS]
    policies = [f"iam-policy-{who}.json" for who in ("administrator", "user", "notebook-instance")]
    beside = [NAME, "README.md", "SHA256SUMS", "configuration.json"]
    assert sorted(path.name for path in paths) == sorted([*scripts, *policies, *beside])
    argv = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    checked = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=True)
    assert len(checked.stdout.splitlines()) == len(paths) - 1
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    for name in scripts:
        text = (place / name).read_text()
        assert f"\nSHA256={digest}\n" in text
        assert f"\nSOURCE=s3://bucket/wheels/{NAME}\n" in text
        assert '"dry_run": true' in text
    user = json.loads((place / "iam-policy-user.json").read_text())
    assert f"arn:aws:s3:::bucket/wheels/{NAME}" in str(user)
    assert "StopNotebookInstance" not in str(user)
    assert "StopNotebookInstance" in (place / "iam-policy-notebook-instance.json").read_text()


def test_commands_in_the_readme_of_a_bundle_work(wheel: Path, tmp_path: Path) -> None:
    made = bundle(wheel, dry_run=True)
    more = {"region": "us-west-2", "environment": "/opt/other"}
    replace(made, script=replace(made.script, **more)).write(tmp_path / "b")
    text = (tmp_path / "b" / "README.md").read_text()
    assert f"aws s3 cp {NAME} s3://bucket/wheels/{NAME}" in text
    found = re.findall(
        r"jupyter auto-shutdown (lifecycle-config.*?--attach domain .*?)\n", text, re.S
    )
    assert len(found) == 2
    for command in found:
        argv = shlex.split(command)
        assert argv[-4:] == ["--attach", "domain", "--domain", "d-1"]
        assert argv[argv.index("--config") + 1] == "configuration.json"
        assert argv[argv.index("--wheel") + 1] == NAME
        # The same script as the one in the bundle.
        printed = cli(*argv[:-4], cwd=tmp_path / "b")
        platform = argv[argv.index("--for") + 1]
        assert printed == (tmp_path / "b" / f"on-start-{platform}.sh").read_text()


def cli(*argv: str, cwd: Path) -> str:
    line = [sys.executable, "-m", "auto_shutdown", *argv]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("source", ["/opt/wheels/", "jupyterlab-auto-shutdown==" + __version__])
def test_bundle_for_another_source_names_it(wheel: Path, tmp_path: Path, source: str) -> None:
    bundle(wheel, source).write(tmp_path / "b")
    assert not (tmp_path / "b" / "configuration.json").exists()
    readme = (tmp_path / "b" / "README.md").read_text()
    assert "aws s3 cp" not in readme
    assert "s3:GetObject" not in (tmp_path / "b" / "iam-policy-user.json").read_text()


def test_bundle_for_one_platform_holds_only_its_files(wheel: Path, tmp_path: Path) -> None:
    script = Script("notebook-instance", "/opt/")
    Bundle(["notebook-instance"], script, SCOPE, wheel).write(tmp_path / "b")
    names = {path.name for path in (tmp_path / "b").iterdir()}
    assert "iam-policy-user.json" not in names
    assert "on-start-jupyterlab.sh" not in names
    readme = (tmp_path / "b" / "README.md").read_text()
    assert "--attach" not in readme
    assert "on-start-notebook-instance.sh" in readme


def test_an_invalid_bundle_leaves_no_files(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "b"
    with pytest.raises(UsageError, match="would install"):
        bundle(wheel, "jupyterlab-auto-shutdown==9.9").write(place)
    with pytest.raises(UsageError, match="at least 10"):
        bundle(wheel, idle_timeout_minutes=1).write(place)
    assert not place.exists()
    with pytest.raises(UsageError, match="there is no such file"):
        bundle(tmp_path / NAME).write(place)
    place.mkdir()
    (place / "mine").write_text("mine")
    with pytest.raises(UsageError, match="must be a new or an empty folder"):
        bundle(wheel).write(place)
    assert [path.name for path in place.iterdir()] == ["mine"]


def test_bundle_from_a_checkout_needs_a_wheel(tmp_path: Path) -> None:
    """This suite runs on an editable install."""
    with pytest.raises(UsageError, match="link to a checkout"):
        bundle(None).write(tmp_path / "b")
    assert not (tmp_path / "b").exists()


# -- a wheel from what is installed ---------------------------------------------------------------

REBUILD = """
import pathlib, sys
from auto_shutdown.install.wheel import rebuild
from auto_shutdown.install.errors import UsageError
try:
    print(rebuild(pathlib.Path(sys.argv[1])))
except UsageError as error:
    sys.exit(str(error))
"""


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter in whose environment pip has put it."""
    place = tmp_path_factory.mktemp("installed") / "env"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--seed", "--python", sys.executable, place], check=True)
    python = place / "bin" / "python"
    argv = [uv, "pip", "install", "--quiet", "--python", python, "jupyter_server"]
    subprocess.run(argv, check=True)
    argv = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(argv, check=True)
    return python


def rebuild(python: Path, place: Path) -> subprocess.CompletedProcess[str]:
    place.mkdir(exist_ok=True)
    argv = [python, "-I", "-c", REBUILD, place]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_bundle_rebuilds_the_wheel_from_an_installed_package(
    installed: Path, wheel: Path, tmp_path: Path
) -> None:
    done = rebuild(installed, tmp_path / "one")
    assert done.returncode == 0, done.stderr
    made = tmp_path / "one" / NAME
    old, new = zipfile.ZipFile(wheel), zipfile.ZipFile(made)
    assert sorted(new.namelist()) == sorted(old.namelist())
    for name in old.namelist():
        if not name.endswith("/RECORD"):
            assert new.read(name) == old.read(name), name
    rebuild(installed, tmp_path / "two")
    assert (tmp_path / "two" / NAME).read_bytes() == made.read_bytes()
    # pip takes it, and checks each file against its RECORD.
    argv = [installed, "-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall", made]
    subprocess.run(argv, check=True, capture_output=True)
    assert rebuild(installed, tmp_path / "three").returncode == 0
    assert (tmp_path / "three" / NAME).read_bytes() == made.read_bytes()

    edited = next(
        installed.parents[1].glob("lib/python3.*/site-packages/auto_shutdown/world/clock.py")
    )
    edited.write_text(edited.read_text() + "\n# mine\n")
    done = rebuild(installed, tmp_path / "four")
    assert done.returncode == 1
    assert "was edited since it was installed" in done.stderr
    assert "auto_shutdown/world/clock.py" in done.stderr
    edited.unlink()
    assert "cannot be read" in rebuild(installed, tmp_path / "five").stderr

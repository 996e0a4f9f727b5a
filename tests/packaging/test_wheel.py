"""The wheel: what is in it, and that it installs and enables itself without node."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from auto_shutdown import __version__

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "auto_shutdown" / "labextension"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*argv: str | Path, **more: object) -> str:
    done = subprocess.run(
        [str(a) for a in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the tree as it is, with its fresh bundle."""
    out = tmp_path_factory.mktemp("dist")
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv, "make test installs uv"
    run(uv, "build", "--wheel", "--python", sys.executable, "--out-dir", out, cwd=ROOT)
    (found,) = out.glob("*.whl")
    return found


def test_wheel_holds_one_freshly_built_bundle(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    entries = [n for n in names if re.search(r"remoteEntry\.[0-9a-f]+\.js$", n)]
    assert len(entries) == 1
    data = f"jupyterlab_auto_shutdown-{__version__}.data/data/"
    place = data + "share/jupyter/labextensions/jupyterlab-auto-shutdown/"
    assert entries[0].startswith(place)
    assert place + "install.json" in names
    built = json.loads((BUNDLE / "package.json").read_text())
    assert built["jupyterlab"]["_build"]["load"] == "static/" + Path(entries[0]).name
    folders = (ROOT / "labextension" / name for name in ("src", "style", "schema"))
    files = (p for folder in folders for p in folder.rglob("*") if p.is_file())
    sources = [p for p in files if "__tests__" not in p.parts]
    assert {p.suffix for p in sources} == {".ts", ".tsx", ".css", ".js", ".json"}
    newest_source = max(p.stat().st_mtime for p in sources)
    assert (BUNDLE / "package.json").stat().st_mtime >= newest_source, "make build makes it anew"


#: Bytes of JavaScript, the style sheet included, not compressed. A page loads some when it starts,
#: and the view when somebody opens the panel: together the bundle, for which 100 KB is the target.
MOST_BYTES_AT_START = 70_000
MOST_BYTES_WITH_THE_PANEL = 100_000
#: What the browser loads when somebody unfolds the settings, removes something or brings it back,
#: and the documentation behind "Help".
MOST_BYTES_OF_DIALOGS = 25_000
MOST_BYTES_OF_DOCUMENTATION = 10_000


def test_bundle_is_small_and_has_its_schema(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    place = "share/jupyter/labextensions/jupyterlab-auto-shutdown/"
    bundle = [entry for entry in archive.infolist() if place in entry.filename]
    sizes = {Path(e.filename).name: e.file_size for e in bundle if e.filename.endswith(".js")}
    del sizes["style.js"]  # for builds of JupyterLab itself; no page loads it
    # The builder names a file that loads on demand, and numbers the others.
    parts = {name.split(".")[0]: size for name, size in sizes.items()}
    on_demand = {"view", "settings", "dialogs", "bringback", "docs"}
    at_start = {name for name in parts if name.isdigit() or name == "remoteEntry"}
    assert len(parts) == len(sizes)
    assert at_start | on_demand == set(parts)
    start = sum(parts[name] for name in at_start)
    assert 0 < start < MOST_BYTES_AT_START
    assert start + parts["view"] < MOST_BYTES_WITH_THE_PANEL
    dialogs = sum(parts[name] for name in ("settings", "dialogs", "bringback"))
    assert dialogs < MOST_BYTES_OF_DIALOGS
    assert parts["docs"] < MOST_BYTES_OF_DOCUMENTATION
    (schema,) = (e for e in bundle if e.filename.endswith("/plugin.json"))
    assert set(json.loads(archive.read(schema))["properties"]) == {
        "statusBar",
        "notifications",
        "notificationLeadMinutes",
        "presence",
    }


def test_wheel_contains_these_files(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert "auto_shutdown/api/rest-api.yml" in names
    assert not [n for n in names if n.startswith("tests/") or n.endswith(".ts")]
    (config,) = (n for n in names if n.endswith("jupyter_server_config.d/auto_shutdown.json"))
    enabled = json.loads(archive.read(config))
    assert enabled == {"ServerApp": {"jpserver_extensions": {"auto_shutdown": True}}}
    scripts = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    assert "jupyter-auto-shutdown = auto_shutdown.cli.main:main" in scripts
    assert wheel.stat().st_size < 850_000
    metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    unconditional = [line for line in required if "extra ==" not in line]
    assert unconditional == ["Requires-Dist: jupyter-server<3,>=1.21"]


def test_wheel_enables_itself_in_a_fresh_environment_without_node(
    wheel: Path, tmp_path: Path
) -> None:
    uv = Path(sys.executable).with_name("uv")
    python = tmp_path / "env" / "bin" / "python"
    run(uv, "venv", "--python", sys.executable, tmp_path / "env")
    run(uv, "pip", "install", "--python", python, "jupyter_server")
    version = "import jupyter_server; print(jupyter_server.__version__)"
    before = run(python, "-c", version)
    env = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    env.update(PATH=f"{python.parent}:/nonexistent", HOME=str(tmp_path))
    run(uv, "pip", "install", "--python", python, wheel, env={**env, "PATH": os.defpath})
    assert run(python, "-c", version) == before
    listed = run(python, "-m", "jupyter", "server", "extension", "list", env=env)
    plain = re.sub(r"\x1b\[\d+m", "", listed)
    assert "auto_shutdown enabled" in plain
    assert re.search(rf"auto_shutdown {re.escape(__version__)} OK", plain), plain


def test_version_is_the_same_everywhere() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert package["version"] == __version__
    assert __version__ in (ROOT / "CHANGELOG.md").read_text()


def test_lock_files_name_no_download_host() -> None:
    assert "://" not in (ROOT / "labextension" / "yarn.lock").read_text()


def test_the_wheel_brings_the_panel_in_other_languages(wheel: Path) -> None:
    """JupyterLab finds the catalogues below the package that the entry point names."""
    archive = zipfile.ZipFile(wheel)
    (entries,) = (n for n in archive.namelist() if n.endswith("/entry_points.txt"))
    text = archive.read(entries).decode()
    assert "[jupyterlab.locale]\njupyterlab_auto_shutdown = auto_shutdown" in text
    for language in ("de_DE", "ko_KR", "zh_CN"):
        name = f"auto_shutdown/locale/{language}/LC_MESSAGES/jupyterlab_auto_shutdown.json"
        assert json.loads(archive.read(name))[""]["language"] == language.replace("_", "-")

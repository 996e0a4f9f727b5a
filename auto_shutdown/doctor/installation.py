"""Checks the installation: versions, the extension in the server, the panel in JupyterLab."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_path, jupyter_path
from jupyter_server.extension.config import ExtensionConfigManager

from .. import safe_files
from .._version import __version__
from ..config.provenance import MOST_BYTES as LONGEST_CONFIGURATION
from ..core.finding import Finding, failure, ok, warning
from ..world.platform import LOCAL
from .situation import Situation

EXTENSION = "auto_shutdown"
PANEL = "jupyterlab-auto-shutdown"

#: A longer ``package.json`` or ``page_config.json`` is not read.
MOST_BYTES = 1_000_000

OLDEST_PYTHON = (3, 9)
OLDEST_SERVER, NEWEST_SERVER = (1, 21), (3,)
OLDEST_LAB = (3, 1)
OLDEST_BOTO3 = (1, 26)


def examine(situation: Situation) -> Iterator[Finding]:
    yield _python()
    yield ok("auto_shutdown", f"{__version__}, in {Path(__file__).parents[1]}")
    yield _server(situation)
    yield _boto3(situation)
    yield _extension(situation)
    yield from _front_end(situation)


def version_of(distribution: str) -> str | None:
    """The version of a distribution; None when it is not installed in this environment."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version. A pre-release counts as its release: ``2.0.0rc3`` gives
    (2, 0, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _python() -> Finding:
    text = f"{platform.python_version()}, {sys.prefix}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return failure("python", text, "Python 3.9 or newer is needed.")
    return ok("python", text)


def _server(situation: Situation) -> Finding:
    version = version_of("jupyter_server")
    if version is None or not OLDEST_SERVER <= _numbers(version) < NEWEST_SERVER:
        text = "not installed" if version is None else f"{version} is not supported"
        return failure("jupyter_server", text, "Install jupyter_server 1.21 or newer, below 3.")
    running = situation.client.server.version if situation.client else ""
    if running and running != version:
        return warning(
            "jupyter_server",
            f"{version} here, but {running} in the running server: they use different environments",
            "Run the doctor with the server's own Python: python -m auto_shutdown doctor",
        )
    return ok("jupyter_server", version)


def _boto3(situation: Situation) -> Finding:
    version = version_of("boto3")
    if situation.platform.kind == LOCAL:
        return ok("boto3", f"{version or 'not installed'}; needed on SageMaker only")
    remedy = "pip install boto3 (1.26 or newer) into this server's environment."
    if version is None:
        return failure("boto3", "not installed: the extension cannot list or remove apps", remedy)
    if _numbers(version) < OLDEST_BOTO3:
        return failure("boto3", f"{version} is too old", remedy)
    return ok("boto3", version)


def _extension(situation: Situation) -> Finding:
    try:
        importlib.import_module("auto_shutdown.extension")
        importlib.import_module("auto_shutdown.assembly")
    except Exception as error:
        text = f"cannot be loaded: {type(error).__name__}"
        return failure(
            "extension", text, "Reinstall jupyterlab-auto-shutdown with its requirements."
        )
    too_long = _too_long(situation)
    if too_long:
        remedy = f"Correct or delete {too_long}."
        return warning("extension", f"not checked, because {too_long} is too long", remedy)
    enabled = enabled_extensions(situation).get(EXTENSION)
    if enabled:
        return ok("extension", "enabled")
    where = _deciding_file(situation, EXTENSION)
    text = f"disabled by {where}" if where else "not enabled by any configuration file"
    remedy = "jupyter server extension enable --sys-prefix auto_shutdown, then restart the server."
    if where:
        remedy = f"Remove it from {where}, or: {remedy}"
    return failure("extension", text, remedy)


def enabled_extensions(situation: Situation) -> dict[str, bool]:
    """The server's extensions, and whether each is enabled, merged as the server merges them. Empty
    if a file is so long that Jupyter's own code would read it for minutes."""
    if _too_long(situation):
        return {}
    manager: Any = ExtensionConfigManager(read_config_path=list(situation.directories))
    enabled: dict[str, bool] = dict(manager.get_jpserver_extensions())
    configured = situation.value("ServerApp", "jpserver_extensions")
    if isinstance(configured, dict):
        enabled.update(configured)
    return enabled


def _too_long(situation: Situation) -> str:
    """The path of a configuration file that is too long; empty if there is none."""
    for file in situation.files:
        with contextlib.suppress(OSError):
            if file.problem and os.stat(file.path).st_size > LONGEST_CONFIGURATION:
                return str(file.path)
    return ""


def _deciding_file(situation: Situation, extension: str) -> str:
    """The file that decides whether an extension is enabled; empty when no file does."""
    paths = [
        str(file.path)
        for file in situation.files
        if extension in (file.section("ServerApp").get("jpserver_extensions") or {})
    ]
    return paths[-1] if paths else ""


def _front_end(situation: Situation) -> Iterator[Finding]:
    version = version_of("jupyterlab")
    if version is None:
        yield ok("jupyterlab", "not installed: everything works, without the panel")
        return
    if _numbers(version) < OLDEST_LAB:
        text = f"{version} is too old for the panel; the rest works"
        yield warning("jupyterlab", text, "The panel needs JupyterLab 3.1 or newer.")
        return
    yield ok("jupyterlab", version)
    yield _panel()


def _panel() -> Finding:
    again = "Reinstall jupyterlab-auto-shutdown, whose wheel contains it, and reload the page."
    places = [Path(path, PANEL) for path in jupyter_path("labextensions")]
    place = next((path for path in places if (path / "package.json").is_file()), None)
    if place is None:
        return warning("panel", "its files are in none of Jupyter's data directories", again)
    built = _json(place / "package.json")
    load = str(built.get("jupyterlab", {}).get("_build", {}).get("load", ""))
    if not load or not (place / load).is_file():
        return warning("panel", f"{place} is incomplete", again)
    if built.get("version") != __version__:
        text = f"{place} has version {built.get('version')}, the extension has {__version__}"
        return warning("panel", text, again)
    disabled = _disabled_by()
    if disabled:
        remedy = f"jupyter labextension enable {PANEL}, and reload the page."
        return warning("panel", f"disabled by {disabled}", remedy)
    return ok("panel", str(place))


def _disabled_by() -> str:
    """The file that disables the panel in JupyterLab; empty when no file does."""
    for directory in jupyter_config_path():
        file = os.path.join(directory, "labconfig", "page_config.json")
        off = _json(Path(file)).get("disabledExtensions", {})
        if off.get(PANEL) if isinstance(off, dict) else PANEL in off:
            return file
    return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        content = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
        value = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

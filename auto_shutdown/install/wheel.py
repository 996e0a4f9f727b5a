"""Rebuilds the wheel from the installed files.

pip does not keep the wheel that it installs. The file ``RECORD`` lists each unpacked file with its
path and digest; with this list the module makes a wheel that installs the same files. It has
another digest than the original wheel. To use the original wheel, give it with ``--wheel``.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sysconfig
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path

from .errors import UsageError
from .names import DISTRIBUTION

#: Files that the installer writes; they are not part of a wheel.
_INSTALLER = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")

#: The time of each file in the wheel. It is fixed, so that the same files make the same wheel.
_TIME = (2020, 2, 2, 0, 0, 0)

_REMEDY = (
    "Give a wheel with --wheel (`make build` makes it from a checkout, `pip download` gets it)."
)


def rebuild(directory: Path) -> Path:
    """Write the wheel into ``directory``, and return its path. Raises UsageError if this package is
    not installed from a wheel, or if an installed file has changed."""
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        raise UsageError(f"{DISTRIBUTION} is not installed here. {_REMEDY}") from None
    contents = _contents(installed)
    name = f"{DISTRIBUTION.replace('-', '_')}-{installed.version}"
    record = f"{name}.dist-info/RECORD"
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows((path, *_digest(content)) for path, content in contents.items())
    rows.writerow((record, "", ""))
    path = directory / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in [*contents.items(), (record, text.getvalue().encode())]:
            entry = zipfile.ZipInfo(member, _TIME)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def _contents(installed: Distribution) -> dict[str, bytes]:
    """The content of each file of the wheel, by its path in the wheel."""
    files = installed.files or []
    if not any(str(path) == "auto_shutdown/__init__.py" for path in files):
        raise UsageError(f"{DISTRIBUTION} is installed as a link to a checkout. {_REMEDY}")
    data = f"{DISTRIBUTION.replace('-', '_')}-{installed.version}.data/data"
    contents: dict[str, bytes] = {}
    for path in sorted(files, key=str):
        if path.suffix == ".pyc" or (
            path.parent.suffix == ".dist-info" and path.name in _INSTALLER
        ):
            continue
        place = str(path)
        if path.parts[0] == "..":
            outside = _under_prefix(path)
            if outside is None:  # the program of the command line, which the installer makes
                continue
            place = f"{data}/{outside}"
        contents[place] = _read(path)
    return contents


def _under_prefix(path: PackagePath) -> str | None:
    """The path, relative to the environment, of a file outside of site-packages; None for a
    program."""
    prefix = Path(sysconfig.get_path("data")).resolve()
    located = Path(str(path.locate())).resolve()
    if located.parent == Path(sysconfig.get_path("scripts")).resolve():
        return None
    try:
        return located.relative_to(prefix).as_posix()
    except ValueError:
        raise UsageError(
            f"{located} does not belong to this environment ({prefix}). {_REMEDY}"
        ) from None


def _read(path: PackagePath) -> bytes:
    located = Path(str(path.locate()))
    try:
        content = located.read_bytes()
    except OSError as error:
        raise UsageError(f"{located} cannot be read ({type(error).__name__}). {_REMEDY}") from None
    if path.hash is not None and _digest(content)[0] != f"{path.hash.mode}={path.hash.value}":
        raise UsageError(f"{located} was edited since it was installed. {_REMEDY}")
    return content


def _digest(content: bytes) -> tuple[str, int]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}", len(content)

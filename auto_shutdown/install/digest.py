"""The SHA-256 of the wheel that this installation came from.

A script without a digest lets the apps install whatever an index serves under our name. So a script
always carries a digest, and by default it is that of the wheel which the administrator installed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .._version import __version__
from .errors import UsageError
from .lifecycle import version_of
from .names import DISTRIBUTION

_SHA256 = re.compile(r"[0-9a-f]{64}")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def default_digest(source: str) -> str:
    """The digest for a script that installs ``source``, when none is given. Raises UsageError, with
    the ways to give one, if it is not known."""
    found = installed_digest() if version_of(source) == __version__ else ""
    if not found:
        raise UsageError(
            f"The SHA-256 of {source} is not known here. Without it the apps would install "
            "whatever is served under this name. Give the wheel with --wheel FILE (to get it from "
            f"an index: pip download --no-deps {DISTRIBUTION}=={version_of(source)}), or its "
            "digest with --sha256."
        )
    return found


def installed_digest() -> str:
    """The digest of the wheel that was installed here, from pip's record of it (PEP 610) or from
    the file that the record names; empty if neither tells."""
    try:
        found = distribution(DISTRIBUTION)
        record = json.loads(found.read_text("direct_url.json") or "{}")
        archive = record.get("archive_info") or {}
        digest = str((archive.get("hashes") or {}).get("sha256", ""))
    except (PackageNotFoundError, ValueError, AttributeError):
        return ""
    if _SHA256.fullmatch(digest):
        return digest
    parts = urlsplit(str(record.get("url", "")))
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or path.suffix != ".whl" or not _is_same(path, found):
        return ""
    return file_digest(path)


def _is_same(wheel: Path, found: Distribution) -> bool:
    """Whether the wheel still holds what was installed: it may have been built again since."""
    installed = {
        str(path): f"{path.hash.mode}={path.hash.value}"
        for path in found.files or []
        if path.hash is not None and path.parts[0] == "auto_shutdown"
    }
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
            rows = csv.reader(io.StringIO(archive.read(name).decode()))
            inside = {row[0]: row[1] for row in rows if row[0].startswith("auto_shutdown/")}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    # pip also records the bytecode that it compiled.
    return bool(inside) and all(installed.get(path) == digest for path, digest in inside.items())

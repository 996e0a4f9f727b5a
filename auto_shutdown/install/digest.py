"""The SHA-256 of the wheel from which this package was installed.

Without a digest in the script, the apps would install any package that an index serves under this
package's name. So a script always contains a digest. By default it is the digest of the wheel that
the administrator installed.
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
    """The SHA-256 of a file, in hexadecimal digits. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def default_digest(source: str) -> str:
    """The digest of the wheel that ``source`` installs, for a command without ``--sha256`` and
    ``--wheel``. Raises UsageError, with the ways to give it, if it is not known."""
    digest = installed_digest() if version_of(source) == __version__ else ""
    if not digest:
        raise UsageError(
            f"The SHA-256 of {source} is not known here. Without it the apps would install "
            "any file that is served under this name. Give the wheel with --wheel FILE (to get "
            f"it from an index: pip download --no-deps {DISTRIBUTION}=={version_of(source)}), or "
            "its digest with --sha256."
        )
    return digest


def installed_digest() -> str:
    """The digest of the installed wheel, from pip's record of the installation (PEP 610,
    ``direct_url.json``), or from the wheel file that the record names; empty if both are
    missing."""
    try:
        installed = distribution(DISTRIBUTION)
        record = json.loads(installed.read_text("direct_url.json") or "{}")
        archive = record.get("archive_info") or {}
        digest = str((archive.get("hashes") or {}).get("sha256", ""))
    except (PackageNotFoundError, ValueError, AttributeError):
        return ""
    if _SHA256.fullmatch(digest):
        return digest
    parts = urlsplit(str(record.get("url", "")))
    path = Path(unquote(parts.path))
    if parts.scheme != "file" or path.suffix != ".whl" or not _is_same(path, installed):
        return ""
    return file_digest(path)


def _is_same(wheel: Path, installed: Distribution) -> bool:
    """Whether the wheel contains the installed files. It may have been built again since the
    installation."""
    digests = {
        str(path): f"{path.hash.mode}={path.hash.value}"
        for path in installed.files or []
        if path.hash is not None and path.parts[0] == "auto_shutdown"
    }
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
            rows = csv.reader(io.StringIO(archive.read(name).decode()))
            inside = {row[0]: row[1] for row in rows if row[0].startswith("auto_shutdown/")}
    except (OSError, ValueError, zipfile.BadZipFile):
        return False
    # The installation has more files, because pip also records the bytecode that it compiled.
    return bool(inside) and all(digests.get(path) == digest for path, digest in inside.items())

"""The zip of the scheduled run, made from the installed package, without internet access. The
function needs only this package's modules, and boto3, which AWS Lambda has. The same files give the
same bytes on every machine, so the digest in the zip's name changes only if a file changes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]

#: What the function imports, relative to the package: whole folders and single files.
CONTENTS = (
    "__init__.py",
    "_version.py",
    "core",
    "domain",
    "safe_files.py",
    "world/__init__.py",
    "world/aws_errors.py",
)

#: The earliest time that a zip file can hold would confuse tools that subtract a time zone.
_TIME = (2020, 2, 2, 0, 0, 0)


def build(policy: Mapping[str, Any] | None) -> bytes:
    """The zip, with ``policy`` (the JSON of a policy file) in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in sorted(_members(policy)):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o100644 << 16
            # Stored: compressed bytes depend on the version of zlib.
            archive.writestr(entry, content, zipfile.ZIP_STORED)
    return stream.getvalue()


def digest(content: bytes) -> str:
    """Enough of the SHA-256 to name a zip."""
    return hashlib.sha256(content).hexdigest()[:16]


def _members(policy: Mapping[str, Any] | None) -> Iterator[tuple[str, bytes]]:
    for name in CONTENTS:
        path = PACKAGE / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".html"):
                yield f"{PACKAGE.name}/{file.relative_to(PACKAGE).as_posix()}", file.read_bytes()
    if policy is not None:
        yield "policy.json", (json.dumps(policy, indent=1, sort_keys=True) + "\n").encode()

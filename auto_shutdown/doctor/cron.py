"""Finds other tools that cron starts and that stop idle apps. The scripts of AWS's samples add
themselves to root's crontab, where neither Jupyter nor SageMaker shows them.

The doctor has no check of its own for cron: cullers.py calls ``examine``, and shows the findings in
its check ``other cullers``.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .. import safe_files
from ..core.finding import Finding, warning
from ..world.other_tools import tools_in
from ..world.platform import LOCAL
from .situation import Situation

#: Where Debian and Amazon Linux have their crontabs: files, and directories of files.
CRONTABS = (
    Path("/etc/crontab"),
    Path("/etc/cron.d"),
    Path("/var/spool/cron/crontabs"),
    Path("/var/spool/cron"),
)

#: The command that prints root's crontab, for an account that may use sudo without a password, as
#: in Studio.
AS_ROOT = ("sudo", "-n", "crontab", "-l", "-u", "root")

MOST_BYTES = 1_000_000
SUDO_SECONDS = 5.0

REMEDY = (
    "Use only one of the two: remove the other tool from its lifecycle configuration (if that is "
    "the default one, `jupyter auto-shutdown lifecycle-config --attach … --replace` does it) and "
    "start the app again."
)


def examine(situation: Situation, check: str) -> Iterator[Finding]:
    """One warning for each tool that a crontab starts. ``check`` is the name of the caller's check,
    which the findings carry."""
    crontabs: dict[str, str] = {}
    for where, text in _crontabs(situation.platform.kind != LOCAL):
        for tool in tools_in(text):
            crontabs.setdefault(tool, where)
    for tool, where in crontabs.items():
        yield warning(
            check,
            f"cron runs {tool} ({where}): it deletes this app by its own rules, warns nobody, and "
            "ignores keep-alives and background work",
            REMEDY,
        )


def _crontabs(may_use_sudo: bool) -> Iterator[tuple[str, str]]:
    """The location and the text of each crontab that can be read."""
    root_was_read = False
    for place in CRONTABS:
        for path in _files(place):
            try:
                text = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
            except OSError:
                continue
            root_was_read = root_was_read or path.name == "root"
            yield str(path), text.decode("utf-8", "replace")
    if may_use_sudo and not root_was_read and shutil.which(AS_ROOT[0]):
        text_of_root = _root_crontab()
        if text_of_root:
            yield "root's crontab", text_of_root


def _files(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir()) if place.is_dir() else [place]
    except OSError:
        return []


def _root_crontab() -> str:
    try:
        done = subprocess.run(
            AS_ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SUDO_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

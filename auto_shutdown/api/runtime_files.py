"""Reads the files in which Jupyter servers describe themselves: ``jpserver-PID.json`` in Jupyter's
runtime directory.

``jupyter_server.serverapp.list_running_servers`` reads the same files. It waits for ever on a named
pipe, and one file that cannot be read hides all servers. Importing it takes half a second.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import safe_files
from ..world.server_files import MOST_BYTES

_NAME = re.compile(r"jpserver-(?P<pid>.+)\.json")


@dataclass
class RuntimeFiles:
    """The content of the files whose servers run, and a sentence on each file that cannot be
    used."""

    servers: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_runtime_files() -> RuntimeFiles:
    """Read the runtime directory of this account. Never raises."""
    from jupyter_core.paths import jupyter_runtime_dir

    found, directory = RuntimeFiles(), Path(jupyter_runtime_dir())
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        found.problems.append(f"{directory} cannot be read: {error.strerror}.")
        return found
    for match in filter(None, map(_NAME.fullmatch, names)):
        path = directory / match[0]
        try:
            described = _read(path)
        except FileNotFoundError:
            continue  # its server has ended meanwhile
        except OSError as error:
            if not _has_ended(match["pid"]):
                found.problems.append(f"{path} cannot be read: {error.strerror}.")
            continue
        if described is not None:
            found.servers.append(described)
    return found


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a runtime file. None if its server has ended, or if the content is not that of
    a runtime file (a server may still be writing it). Raises OSError."""
    content = safe_files.read_bytes(path, MOST_BYTES, follow=True)
    try:
        described = json.loads(content)
        is_of_a_server = isinstance(described["url"], str) and _is_running(described["pid"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
    return described if is_of_a_server else None


def _has_ended(pid: str) -> bool:
    """Whether the process that a file's name gives has ended. False if it gives no process id."""
    try:
        return not _is_running(int(pid))
    except (ValueError, OverflowError):
        return False


def _is_running(pid: int) -> bool:
    """Whether a process has this id. Raises TypeError and OverflowError if it is no process id."""
    if sys.platform == "win32":  # os.kill would end the process
        from jupyter_server.utils import check_pid

        return bool(check_pid(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another account
        return True
    return True

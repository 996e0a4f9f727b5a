"""Find the other Jupyter servers of this home in this container, by their runtime files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import safe_files
from . import proc_files
from .file_remedies import TOO_MANY_OPEN
from .processes import Process, Table

#: The largest runtime file in bytes. A longer file is something else, and is not read.
MOST_BYTES = 64 * 1024

#: A server's runtime file: ``jpserver-PID.json`` (jupyter_server), ``nbserver-PID.json`` (notebook
#: before 7).
PREFIXES = ("jpserver-", "nbserver-")


@dataclass(frozen=True)
class OtherServer:
    """A running server, from its runtime file."""

    pid: int
    url: str
    token: str = field(default="", repr=False)

    def __str__(self) -> str:
        where = f" at {self.url}" if self.url else ""
        return f"the Jupyter server{where} (process {self.pid})"


def find(
    table: Table, directories: Iterable[Path], own_pid: int, hidden: Iterable[int] = ()
) -> list[OtherServer]:
    """The other servers that have a runtime file in one of ``directories`` and are still running,
    and the processes ``hidden``, whose addresses are unknown. Raises OSError. A directory that does
    not exist counts as empty."""
    servers = [OtherServer(pid, "") for pid in hidden if pid != own_pid]
    for directory in directories:
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            prefix = next((p for p in PREFIXES if name.startswith(p)), None)
            if prefix is None or not name.endswith(".json"):
                continue
            pid = name[len(prefix) : -len(".json")]
            # Another container may share the home, and a file can outlive its server.
            if pid.isdecimal() and int(pid) != own_pid and int(pid) in table:
                server = _read(directory / name, int(pid))
                if server is not None and _is_of(directory / name, table[server.pid]):
                    servers.append(server)
    # A process may have two files, and one of them may have no usable address.
    return list({server.pid: server for server in sorted(servers, key=lambda s: s.url)}.values())


def runtime_directories(
    table: Table,
    own: Path,
    home: str,
    arguments: Callable[[int], Sequence[str]] = proc_files.read_arguments,
) -> tuple[list[Path], list[int]]:
    """Where servers of this home keep their runtime files: our own directory, and those of running
    servers of the same ``home`` that were started with a directory of their own. Then the process
    ids of those servers whose directory cannot be listed. Raises OSError."""
    named: dict[Path, list[int]] = {own: []}
    for process in table.values():
        if not process.has_ended and is_server(arguments(process.pid)):
            given = proc_files.read_environment(process.pid, PLACES)
            if given.get("HOME") == home:
                named.setdefault(runtime_directory_of(given), []).append(process.pid)
    hidden = []
    for directory in named.keys() - {own}:
        # Any program may name any directory. One that cannot be listed says nothing about the
        # processes outside of that server.
        if not _can_be_listed(directory):
            hidden += named.pop(directory)
    return sorted(named), sorted(hidden)


def _can_be_listed(directory: Path) -> bool:
    """Whether a directory can be listed, or does not exist. Raises OSError if no file descriptor is
    left."""
    try:
        os.scandir(directory).close()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise
        return False
    return True


#: The variables that determine where Jupyter keeps its files (jupyter_core.paths).
PLACES = ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "XDG_DATA_HOME", "HOME")


def runtime_directory_of(given: Mapping[str, str]) -> Path:
    """The runtime directory of a process whose environment has these of :data:`PLACES`. It needs
    ``HOME``. An empty variable counts as unset, as in jupyter_core.paths."""
    if given.get("JUPYTER_RUNTIME_DIR"):
        return Path(given["JUPYTER_RUNTIME_DIR"])
    if given.get("JUPYTER_DATA_DIR"):
        return Path(given["JUPYTER_DATA_DIR"], "runtime")
    if given.get("XDG_DATA_HOME"):
        return Path(given["XDG_DATA_HOME"], "jupyter", "runtime")
    return Path(given["HOME"], ".local", "share", "jupyter", "runtime")


#: Programs that are a Jupyter server with kernels and terminals, and their modules.
_PROGRAMS = ("jupyter-lab", "jupyter-server", "jupyter-notebook", "jupyter-nbclassic", "jupyterhub")
_MODULES = ("jupyterlab", "jupyter_server", "notebook", "nbclassic", "jupyterhub")


def is_server(arguments: Sequence[str]) -> bool:
    """Whether a command line starts a Jupyter server."""
    for index, word in enumerate(arguments[:4]):
        name = Path(word).name
        if name.startswith(_PROGRAMS):
            return True
        if word == "-m" and len(arguments) > index + 1:
            return arguments[index + 1].split(".")[0] in _MODULES
        if name == "jupyter" and len(arguments) > index + 1:
            return arguments[index + 1] in ("lab", "server", "notebook", "nbclassic")
    return False


#: A server writes its runtime file after its start. The file may seem older than the process by at
#: most this time (seconds), because the clock of a shared file system differs.
_SKEW = 60.0


def _is_of(path: Path, process: Process) -> bool:
    """Whether this process may have written the runtime file. Raises OSError.

    A home outlives its containers, and a new container uses the same process ids again. So a file
    that is older than the process is of an earlier process. If the command line shows that the
    process is a server, the age does not count: somebody may have set the clock. An age that cannot
    be read does not count either."""
    if not process.command.startswith(("python", "jupyter", "pt_main")):
        return False
    if is_server(proc_files.read_arguments(process.pid)):
        return True
    started_at = proc_files.started_at(process)
    try:
        written_at = os.stat(path).st_mtime
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return started_at is None or written_at > started_at.timestamp() - _SKEW


def _read(path: Path, pid: int) -> OtherServer | None:
    """The server of the runtime file. None if the file was deleted since it was listed. A file that
    is still being written, makes no sense, or cannot be read (``sudo jupyter lab``) gives a server
    without an address: nobody can ask that server, so what runs in it is unknown. Raises OSError if
    no file descriptor is left."""
    try:
        # Another container's user may have made it, where a home is shared.
        text = safe_files.read_bytes(path, MOST_BYTES, follow=True, any_owner=True)
        content = json.loads(text)
        url = str(content["url"])
    except (FileNotFoundError, safe_files.UnsafeFileError):
        return None
    except (ValueError, KeyError, TypeError, RecursionError):
        return OtherServer(pid, "")
    except OSError as error:
        if error.errno in TOO_MANY_OPEN:
            raise
        return OtherServer(pid, "")
    return OtherServer(
        pid, url if url.endswith("/") else url + "/", str(content.get("token") or "")
    )

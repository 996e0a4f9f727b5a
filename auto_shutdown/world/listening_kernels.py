"""Kernels on this host that do not name their connection file on their command line:
``ipython kernel``, ``python -m ipykernel_launcher``, ``embed_kernel()`` in a script, or a kernel
that has changed its process title.

Such a kernel writes ``kernel-PID.json`` into Jupyter's runtime directory (ipykernel,
``IPKernelApp.init_connection_file``). A file can outlive its kernel, and another container can use
the same home. So this module looks for the process that listens on all ports of the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from . import proc_files
from .connections import Endpoint, listening_sockets
from .foreground import Arguments
from .processes import Process, Table
from .server_files import PLACES, runtime_directory_of
from .shell_probe import Connection, read_connection_file

#: The name of a connection file in a runtime directory (jupyter_client, ipykernel).
PREFIX, SUFFIX = "kernel-", ".json"

#: The channels of a kernel in its connection file. The kernel listens on all of them.
CHANNELS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")

#: The device, inode, time of change (ns) and size of a file.
Version = tuple[int, int, int, int]


class ListeningKernel(NamedTuple):
    """A kernel that listens on all ports of a connection file."""

    process: Process
    path: Path
    connection: Connection


class ConnectionFiles:
    """The connection files of the runtime directories. Keeps their contents between two looks,
    because a home may have hundreds of old files. Blocks: call it in a worker thread."""

    def __init__(self) -> None:
        self._contents: dict[Path, tuple[Version, Connection | None]] = {}
        self._owners: dict[Path, int] = {}

    def kernels(
        self,
        table: Table,
        directories: Iterable[Path],
        own_ids: Collection[str],
        arguments: Arguments = proc_files.read_arguments,
    ) -> list[ListeningKernel]:
        """The kernels of the connection files in ``directories``, and in the runtime directories of
        Python kernels, except those of ``own_ids``. Raises OSError if a directory or the table of
        sockets cannot be read."""
        everywhere = directories_of_kernels(table, arguments).union(directories)
        connections = self._read(everywhere, own_ids)
        if not connections:
            return []
        listening = listening_sockets()
        found = []
        for path, connection in connections.items():
            sockets = [listening.get(endpoint, frozenset()) for endpoint in endpoints(connection)]
            if sockets and all(sockets):
                owner = self._owner_of(table, path, sockets)
                if owner is not None:
                    self._owners[path] = owner.pid
                    found.append(ListeningKernel(owner, path, connection))
        self._owners = {path: pid for path, pid in self._owners.items() if path in connections}
        return found

    def _read(
        self, directories: Iterable[Path], own_ids: Collection[str]
    ) -> dict[Path, Connection]:
        contents: dict[Path, tuple[Version, Connection | None]] = {}
        for directory in directories:
            try:
                names = os.listdir(directory)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                if not name.startswith(PREFIX) or not name.endswith(SUFFIX):
                    continue
                path = directory / name
                version = _version_of(path)
                if version is None or _id_of(path) in own_ids:
                    continue
                old_version, connection = self._contents.get(path, (None, None))
                if version != old_version:
                    try:
                        connection = read_connection_file(path)
                    except ValueError:  # another kind of file, or half written
                        connection = None
                    except OSError as error:
                        if error.errno in (errno.EMFILE, errno.ENFILE):
                            raise
                        continue  # not a file that this user may read; the next look tries again
                contents[path] = version, connection
        self._contents = contents
        return {path: found for path, (_, found) in contents.items() if found is not None}

    def _owner_of(
        self, table: Table, path: Path, sockets: Sequence[Collection[int]]
    ) -> Process | None:
        """The process that listens on all ``sockets``. A process that it has forked may have them,
        too. If no process shows any of them (another user's, or a security module hides them), the
        process that the name of the file gives."""
        name = _id_of(path)
        named = int(name) if name.isdecimal() else -1
        for pid in (self._owners.get(path, -1), named):
            if pid in table and _number_of(table[pid], sockets) == len(sockets):
                return table[pid]
        numbers = {process: _number_of(process, sockets) for process in table.values()}
        if not any(numbers.values()):
            return table.get(named)
        owners = (process for process, number in numbers.items() if number == len(sockets))
        return min(owners, key=lambda process: (process.started, process.pid), default=None)


def directories_of_kernels(table: Table, arguments: Arguments) -> set[Path]:
    """The runtime directories of the kernels that name no connection file on their command line, as
    far as the command line shows that they are kernels. Raises OSError."""
    found = set()
    for process in table.values():
        if not process.has_ended and _is_kernel(arguments(process.pid)):
            environment = proc_files.read_environment(process.pid, PLACES)
            if "HOME" in environment:
                found.add(runtime_directory_of(environment))
    return found


def _is_kernel(arguments: Sequence[str]) -> bool:
    """Whether a command line starts a Python kernel (``ipython kernel``, ``-m ipykernel``)."""
    names = [Path(word).name.lower() for word in arguments[:4]]
    is_ipython = any(name.startswith("ipython") for name in names)
    return any(name.startswith("ipykernel") for name in names) or (is_ipython and "kernel" in names)


def endpoints(connection: Connection) -> list[Endpoint]:
    """Where the kernel of a connection file listens: TCP ports, or paths of Unix sockets. Empty if
    the file does not say it in the usual way."""
    ports = [connection[name] for name in CHANNELS if name in connection]
    if not all(isinstance(port, int) for port in ports):
        return []
    if connection.get("transport") == "ipc":
        return [f"{connection.get('ip')}-{port}" for port in ports]
    return list(ports)


def _number_of(process: Process, sockets: Sequence[Collection[int]]) -> int:
    """The number of ``sockets`` that the process has open."""
    inodes = proc_files.read_sockets(process.pid)
    return sum(not inodes.isdisjoint(each) for each in sockets)


def _id_of(path: Path) -> str:
    return path.name[len(PREFIX) : -len(SUFFIX)]


def _version_of(path: Path) -> Version | None:
    """What changes when the file is written again; None if the file is gone."""
    try:
        status = os.stat(path)
    except OSError:  # it was deleted, or is a link that leads nowhere
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

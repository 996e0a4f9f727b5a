"""Find the kernels on this host that do not name their connection file on their command line:
``ipython kernel``, ``python -m ipykernel_launcher``, ``embed_kernel()`` in a script, or a kernel
that has changed its process title.

Such a kernel writes ``kernel-PID.json`` into Jupyter's runtime directory (ipykernel,
``IPKernelApp.init_connection_file``). The file alone proves nothing: it can outlive its kernel, and
another container with the same home may have written it. So this module looks for the process that
listens on all ports of the file. Only if no process shows the sockets, the process id in the file's
name counts. If a runtime directory cannot be read, each likely kernel that names this directory and
listens on enough sockets counts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from .. import safe_files
from . import proc_files
from .connections import Endpoint, OpenSockets, listening_sockets
from .file_remedies import TOO_MANY_OPEN
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

#: The version and the content of each file. The content is None for a file of another kind.
Files = dict[Path, tuple[Version, Optional[Connection]]]

#: The errors of a file that is gone, of a link that leads nowhere, and of a file that this user may
#: not read.
NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM})


class ListeningKernel(NamedTuple):
    """A kernel that listens on all ports of a connection file. ``connection`` is None for a kernel
    whose runtime directory cannot be read; ``path`` is then where its file usually is."""

    process: Process
    path: Path
    connection: Connection | None


class ConnectionFiles:
    """Finds kernels from the connection files of the runtime directories. Keeps the contents of the
    files between two looks, because a home may have hundreds of old files. Remembers each found
    kernel as long as its process listens, because somebody may delete the file, or the file may be
    unreadable for a while. Blocks: call it in a worker thread."""

    def __init__(self) -> None:
        self._files: Files = {}
        self._kernels: dict[Path, tuple[Version, ListeningKernel]] = {}

    def kernels(
        self,
        table: Table,
        directories: Iterable[Path],
        own_ids: Collection[str],
        arguments: Arguments = proc_files.read_arguments,
    ) -> list[ListeningKernel]:
        """The kernels of the connection files in ``directories``, and in the runtime directories of
        Python kernels, except those of ``own_ids``. Raises OSError if one of ``directories`` or the
        table of sockets cannot be read."""
        unread = self._read(set(directories), processes_by_directory(table, arguments), own_ids)
        connections = self._connections(own_ids)
        if not connections and not unread:
            self._kernels = {}
            return []
        listening = listening_sockets()
        sockets = OpenSockets(table)
        candidates = []
        for path, (version, connection) in connections.items():
            needed = [listening.get(endpoint, frozenset()) for endpoint in endpoints(connection)]
            owner = self._owner_of(sockets, path, needed) if needed and all(needed) else None
            if owner is not None and self._may_have(path, owner):
                candidates.append((version, ListeningKernel(owner, path, connection)))
        self._kernels = {kernel.path: (version, kernel) for version, kernel in _newest(candidates)}
        found = [kernel for _, kernel in self._kernels.values()]
        return found + _unknown_kernels(unread, found, listening, sockets)

    def _read(
        self,
        directories: Collection[Path],
        processes: Mapping[Path, Sequence[Process]],
        own_ids: Collection[str],
    ) -> dict[Process, Path]:
        """Read the connection files of ``directories``, and of the directories of ``processes``.
        Returns the processes whose directories cannot be read, with the directory: any program may
        name any directory. Raises OSError if one of ``directories`` cannot be read."""
        files: Files = {}
        unread: dict[Process, Path] = {}
        for directory in directories:
            self._read_directory(directory, own_ids, files)
        for directory in processes.keys() - directories:
            try:
                self._read_directory(directory, own_ids, files)
            except (OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno in TOO_MANY_OPEN:
                    raise  # what cannot be read without a free file descriptor is unknown
                unread.update(dict.fromkeys(processes[directory], directory))
        self._files = files
        return unread

    def _read_directory(self, directory: Path, own_ids: Collection[str], files: Files) -> None:
        """Add the connection files of ``directory`` to ``files``. Raises OSError if the directory
        cannot be read, and, after it has read the others, if a new file cannot be read."""
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        problem: OSError | None = None
        for name in names:
            path = directory / name
            is_of_kernel = name.startswith(PREFIX) and name.endswith(SUFFIX)
            if not is_of_kernel or _id_of(path) in own_ids:
                continue
            try:
                files[path] = self._read_file(path)
            except OSError as error:
                if error.errno in TOO_MANY_OPEN:
                    raise
                if isinstance(error, safe_files.UnsafeFileError) or error.errno in NO_FILE:
                    continue
                if path in self._files:
                    files[path] = self._files[path]
                else:
                    problem = error
        if problem is not None:
            raise problem

    def _read_file(self, path: Path) -> tuple[Version, Connection | None]:
        """The version and the content of this file. Opens it only if it has changed. Raises
        OSError."""
        status = os.stat(path)
        version = status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
        old = self._files.get(path)
        if old is not None and old[0] == version:
            return old
        try:
            return version, read_connection_file(path)
        except ValueError:  # another kind of file, or half written
            return version, None

    def _connections(self, own_ids: Collection[str]) -> dict[Path, tuple[Version, Connection]]:
        """The connections of the files, and of the kernels that the last look found."""
        connections = {
            path: (version, kernel.connection)
            for path, (version, kernel) in self._kernels.items()
            if kernel.connection is not None and _id_of(path) not in own_ids
        }
        for path, (version, connection) in self._files.items():
            if connection is not None:
                connections[path] = version, connection
        return connections

    def _may_have(self, path: Path, owner: Process) -> bool:
        """Whether this process may be the kernel of ``path``. Without a usable file, it can only be
        the process of the last look: another process on the same ports has another key."""
        _, connection = self._files.get(path, (None, None))
        return connection is not None or self._kernels[path][1].process.key == owner.key

    def _owner_of(
        self, sockets: OpenSockets, path: Path, needed: Sequence[Collection[int]]
    ) -> Process | None:
        """The process that listens on all ``needed`` sockets. A process that it has forked may have
        them, too; then the older process counts. If no process shows any of them (it is another
        user's, or a security module hides them), the process whose id is in the file's name."""
        name = _id_of(path)
        named = int(name) if name.isdecimal() else -1
        known = self._kernels[path][1].process.pid if path in self._kernels else -1
        for pid in (known, named):
            if pid in sockets.table and all(map(sockets.of(pid).intersection, needed)):
                return sockets.table[pid]
        holders = [sockets.holders(inodes) for inodes in needed]
        if not any(holders):
            process = sockets.table.get(named)
            return None if process is None or process.has_ended else process
        owners = (sockets.table[pid] for pid in set.intersection(*holders))
        return min(owners, key=lambda process: (process.started, process.pid), default=None)


def _newest(
    candidates: Iterable[tuple[Version, ListeningKernel]],
) -> list[tuple[Version, ListeningKernel]]:
    """These kernels, without those of old files. A kernel with fixed ports that was killed and
    started again has two files with the same ports, and its old key no longer works. The file of
    the running kernel has its process id in its name, or is the newest."""

    def rank(candidate: tuple[Version, ListeningKernel]) -> tuple[bool, int]:
        version, kernel = candidate
        return _id_of(kernel.path) == str(kernel.process.pid), version[2]

    used: set[tuple[int, Endpoint]] = set()
    newest = []
    for version, kernel in sorted(candidates, key=rank, reverse=True):
        mine = {(kernel.process.pid, endpoint) for endpoint in endpoints(kernel.connection or {})}
        if used.isdisjoint(mine):
            used |= mine
            newest.append((version, kernel))
    return newest


def _unknown_kernels(
    unread: Mapping[Process, Path],
    found: Iterable[ListeningKernel],
    listening: Mapping[Endpoint, frozenset[int]],
    sockets: OpenSockets,
) -> list[ListeningKernel]:
    """Those of the processes ``unread`` that listen on as many sockets as a kernel does. A process
    that a kernel has forked has the same sockets, and is no kernel."""
    if not unread:
        return []
    waiting = frozenset().union(*listening.values())
    known = frozenset().union(*(sockets.of(kernel.process.pid) for kernel in found))
    kernels = []
    for process in sorted(unread, key=lambda process: (process.started, process.pid)):
        its_own = sockets.of(process.pid) & waiting
        if len(its_own) >= len(CHANNELS) and known.isdisjoint(its_own):
            path = unread[process] / f"{PREFIX}{process.pid}{SUFFIX}"
            kernels.append(ListeningKernel(process, path, None))
            known |= its_own
    return kernels


def processes_by_directory(table: Table, arguments: Arguments) -> dict[Path, list[Process]]:
    """The Python kernels, as far as their command lines show them, by their runtime directory.
    Raises OSError."""
    found: dict[Path, list[Process]] = {}
    for process in table.values():
        if not process.has_ended and _is_kernel(arguments(process.pid)):
            environment = proc_files.read_environment(process.pid, PLACES)
            if environment.get("HOME"):
                found.setdefault(runtime_directory_of(environment), []).append(process)
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


def _id_of(path: Path) -> str:
    return path.name[len(PREFIX) : -len(SUFFIX)]

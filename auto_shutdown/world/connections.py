"""The TCP connections of this host to other hosts, and the sockets on which its processes listen,
from ``/proc/net`` (proc(5))."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Union

from . import proc_files
from .processes import Process, Table

#: The states of an established connection, and of a socket that waits for connections, in
#: ``/proc/net/tcp``.
ESTABLISHED, LISTEN = "01", "0A"

#: The flag of a Unix socket that waits for connections, in ``/proc/net/unix`` (``__SO_ACCEPTCON``).
ACCEPTS_CONNECTIONS = 0x10000

#: A TCP port of this host, or the path of a Unix socket.
Endpoint = Union[int, str]

#: How an IPv4 address in IPv6 form (``::ffff:0:0/96``) begins in ``/proc/net/tcp6``.
MAPPED = "0" * 16 + "FFFF0000"


def remote_connections() -> frozenset[int]:
    """The inodes of all established TCP connections to another host.

    A connection to a loopback address or to this host's own address does not count. The processes
    of a Ray or Spark cluster use such connections among themselves. The result is empty where there
    is no readable table of connections. Raises OSError if no file descriptor is left."""
    rows = _tcp_rows()
    own = {_host_of(fields[1]) for fields in rows}
    return frozenset(
        int(fields[9])
        for fields in rows
        if fields[3] == ESTABLISHED
        and not _is_loopback(fields[2])
        and _host_of(fields[2]) not in own
    )


def listening_sockets() -> dict[Endpoint, frozenset[int]]:
    """The inodes of the sockets that wait for connections at each endpoint. Empty where there is no
    table of sockets. Raises OSError if no file descriptor is left."""
    found: dict[Endpoint, frozenset[int]] = {}
    for fields in _tcp_rows():
        if fields[3] == LISTEN:
            port = int(fields[1].rpartition(":")[2], 16)
            found[port] = found.get(port, frozenset()) | {int(fields[9])}
    for fields in (line.split(None, 7) for line in _lines("unix")):
        try:
            if len(fields) == 8 and int(fields[3], 16) & ACCEPTS_CONNECTIONS:
                found[fields[7]] = found.get(fields[7], frozenset()) | {int(fields[6])}
        except ValueError:  # the rest of a path that contains a line break
            continue
    return found


def _tcp_rows() -> list[list[str]]:
    lines = [*_lines("tcp"), *_lines("tcp6")]
    return [fields for fields in map(str.split, lines) if len(fields) > 9]


def _lines(name: str) -> list[str]:
    """The rows of a table in ``/proc/net``; none if there is no such table (no IPv6), or if a
    security module forbids to read it. Only a line feed ends a row: a path in it may contain other
    line breaks."""
    try:
        content = (proc_files.PROC / "net" / name).read_bytes()
    except (FileNotFoundError, PermissionError):
        return []
    return content.decode(errors="replace").split("\n")[1:]


class OpenSockets:
    """The sockets that the processes of ``table`` have open. Reads each process at most once, and
    all processes only if somebody asks who holds a socket."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._of: dict[int, frozenset[int]] = {}

    def of(self, pid: int) -> frozenset[int]:
        """The inodes of the sockets of this process. Raises OSError."""
        if pid not in self._of:
            self._of[pid] = proc_files.read_sockets(pid)
        return self._of[pid]

    def holders(self, inodes: Iterable[int]) -> set[int]:
        """The process ids of the processes that have one of these sockets open. Raises OSError."""
        return set().union(*(self._pids.get(inode, ()) for inode in inodes))

    @cached_property
    def _pids(self) -> dict[int, list[int]]:
        pids: dict[int, list[int]] = {}
        for pid in self.table:
            for inode in self.of(pid):
                pids.setdefault(inode, []).append(pid)
        return pids


def have_connection(
    members: Iterable[Process], connections: frozenset[int], left_out: Collection[int | None]
) -> bool:
    """Whether one of the processes ``members`` has one of ``connections`` (inodes) open. Processes
    whose process ids are in ``left_out`` do not count. Raises OSError."""
    return bool(connections) and any(
        process.pid not in left_out and proc_files.read_sockets(process.pid) & connections
        for process in members
    )


def _host_of(address: str) -> str:
    """The address without its port. An IPv4 address in IPv6 form becomes plain IPv4."""
    host = address.partition(":")[0]
    return host[-8:] if host.startswith(MAPPED) else host


def _is_loopback(address: str) -> bool:
    """Whether ``address`` (``0100007F:1F90``) is a loopback address. Its words are in the host's
    byte order, which is little-endian on every host of SageMaker."""
    host = address.partition(":")[0]
    if len(host) == 8:
        return host.endswith("7F")
    return host == "0" * 24 + "01000000" or (host.startswith(MAPPED) and host.endswith("7F"))

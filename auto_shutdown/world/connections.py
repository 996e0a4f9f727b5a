"""The TCP connections of this host to other hosts, from ``/proc/net/tcp`` (proc(5))."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from . import proc_files
from .processes import Process

#: The state of an established connection in ``/proc/net/tcp``.
ESTABLISHED = "01"

#: How an IPv4 address in IPv6 form (``::ffff:0:0/96``) begins in ``/proc/net/tcp6``.
MAPPED = "0" * 16 + "FFFF0000"


def remote_connections() -> frozenset[int]:
    """The inodes of all established TCP connections to another host.

    A connection to a loopback address or to this host's own address does not count. The processes
    of a Ray or Spark cluster use such connections among themselves. The result is empty where there
    is no table of connections. Raises OSError if no file descriptor is left."""
    rows: list[list[str]] = []
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc_files.PROC / "net" / name).read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # no IPv6, or no network at all
        rows += [fields for fields in map(str.split, lines) if len(fields) > 9]
    own = {_host_of(fields[1]) for fields in rows}
    return frozenset(
        int(fields[9])
        for fields in rows
        if fields[3] == ESTABLISHED
        and not _is_loopback(fields[2])
        and _host_of(fields[2]) not in own
    )


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

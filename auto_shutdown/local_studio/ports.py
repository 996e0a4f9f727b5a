"""TCP ports that no other socket takes between their choice and their use.

The usual way is a race: a program binds port 0, closes the socket and passes the port's number to a
new process. Until that process binds the port, the system may give it to any other socket. Jupyter
chooses the five ports of a kernel in this way, up to a second before the kernel binds them, and a
restart of the kernel uses the same ports again. In a measurement with 40 other sockets, 5 of 400
kernels lost a port.

The ports of this module are below the range from which the system chooses. No two processes of this
user get the same port until all ports of the range have been used.

    python -m auto_shutdown.local_studio.ports MODULE ARGUMENTS

runs ``python -m MODULE ARGUMENTS`` with such ports for the kernels that it starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import runpy
import socket
import sys
import tempfile
from pathlib import Path

#: The name under which this module runs another one.
PORTS = "auto_shutdown.local_studio.ports"

FIRST = 10000
#: The first port of the system's range by Linux's default, for when /proc does not tell it.
DEFAULT_LIMIT = 32768


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and that no other caller gets for a long time. Raises
    OSError when no port is free."""
    path = Path(tempfile.gettempdir()) / f"local-studio-ports-{os.getuid()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    count = _limit() - FIRST
    with open(os.open(path, flags, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        last = int(text) if text.isdecimal() else FIRST
        for step in range(1, count + 1):
            port = FIRST + (last - FIRST + step) % count
            if _is_free(port):
                file.seek(0)
                file.truncate()
                file.write(str(port))
                return port
    raise OSError(f"no port between {FIRST} and {FIRST + count} is free")


def _limit() -> int:
    """The first port of the range from which the system chooses."""
    with contextlib.suppress(OSError, ValueError):
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        if first > FIRST + 1000:
            return first
    return DEFAULT_LIMIT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def use_for_kernels() -> None:
    """Make jupyter_client choose the ports of its kernels with ``free_port``, in this process."""
    from jupyter_client.connect import LocalPortCache

    def find_available_port(self: LocalPortCache, ip: str) -> int:
        return free_port()

    LocalPortCache.find_available_port = find_available_port  # type: ignore[method-assign]


if __name__ == "__main__":
    use_for_kernels()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

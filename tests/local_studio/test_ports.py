"""No two callers get the same port, and the system gives none of them to another socket."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from auto_shutdown.local_studio import ports
from auto_shutdown.local_studio.ports import PORTS, free_port

TWENTY = (
    "from auto_shutdown.local_studio.ports import free_port\nfor _ in range(20): print(free_port())"
)


def test_callers_in_many_processes_get_different_ports() -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", TWENTY], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    given = [int(line) for one in running for line in one.communicate(timeout=60)[0].split()]
    assert len(given) == len(set(given)) == 80


def test_system_never_chooses_one_of_the_reserved_ports() -> None:
    given = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert ports.FIRST <= given < ports._limit() <= other.getsockname()[1]


def test_port_in_use_is_never_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_is_free", lambda port: port % 2 == 0)
    assert [free_port() % 2 for _ in range(4)] == [0, 0, 0, 0]
    monkeypatch.setattr(ports, "_is_free", lambda port: False)
    with pytest.raises(OSError, match="no port between"):
        free_port()


def test_module_runs_with_reserved_ports_for_its_kernels(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(
        "import sys\n"
        "from jupyter_client.connect import LocalPortCache as Cache\n"
        "print(__name__, sys.argv[1:], Cache.instance().find_available_port('127.0.0.1'))\n"
    )
    argv = [sys.executable, "-m", PORTS, "probe", "--option"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=tmp_path)
    name, arguments, port = done.stdout.split()
    assert (name, arguments) == ("__main__", "['--option']")
    assert ports.FIRST <= int(port) < ports._limit()

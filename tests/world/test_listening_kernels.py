"""Kernels without a connection file on their command line: the extension finds them by their
sockets."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from listening_process import HERE, NAME, TABLE, found, write
from process_table import process

from auto_shutdown.world import (
    connections,
    foreign_kernels,
    proc_files,
    server_files,
)
from auto_shutdown.world.listening_kernels import ConnectionFiles, endpoints

pytestmark = pytest.mark.skipif(not proc_files.PROC.exists(), reason="no /proc here")


@pytest.mark.parametrize(
    "name",
    [NAME, "kernel-4000000.json", "kernel-abc.json"],
    ids=["its process id", "another process id", "no process id"],
)
def test_a_kernel_is_found_by_the_process_that_listens_on_its_ports(
    tmp_path: Path, ports: list[int], name: str
) -> None:
    write(tmp_path / name, ports)
    (tmp_path / "jpserver-1.json").write_text("{}")
    assert found(tmp_path) == [(HERE, name)]
    assert found(tmp_path, None, name[len("kernel-") : -len(".json")]) == []
    assert found(tmp_path / "gone") == []


def test_the_file_of_an_ended_kernel_is_ignored(tmp_path: Path, ports: list[int]) -> None:
    """Another process now has its process id, and may use one of its ports."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
    write(tmp_path / NAME, [*ports[:4], free])
    assert found(tmp_path) == []


def test_ports_on_which_different_processes_listen_are_no_kernel(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program now uses one of the ports in an old file."""
    own = proc_files.read_sockets(HERE)
    (first,) = connections.listening_sockets()[ports[0]]
    shown = {HERE: own - {first}, 4_000_000: frozenset({first})}
    monkeypatch.setattr(proc_files, "read_sockets", lambda pid: shown.get(pid, frozenset()))
    write(tmp_path / NAME, ports)
    assert found(tmp_path) == []


def test_the_unix_sockets_of_a_kernel(tmp_path: Path) -> None:
    connection = {"transport": "ipc", "ip": "/r/kernel-5-ipc", "shell_port": 1, "hb_port": 2}
    assert endpoints(connection) == ["/r/kernel-5-ipc-1", "/r/kernel-5-ipc-2"]
    path = str(tmp_path / "s-1")
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(path)
        assert path not in connections.listening_sockets()
        waiting.listen()
        assert connections.listening_sockets()[path] <= proc_files.read_sockets(HERE)


def test_a_kernel_whose_sockets_cannot_be_seen_is_the_process_in_the_name_of_its_file(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proc_files, "read_sockets", lambda _pid: frozenset())
    write(tmp_path / "kernel-1.json", ports)
    write(tmp_path / "kernel-abc.json", ports)
    assert found(tmp_path) == [(1, "kernel-1.json")]


def test_the_kernels_of_this_server_and_of_a_command_line_are_no_other_kernels(
    tmp_path: Path, ports: list[int]
) -> None:
    write(tmp_path / NAME, ports)
    listening = ConnectionFiles().kernels(TABLE, [tmp_path], (), lambda _pid: ("x",))

    def find(own: set[int], *words: str) -> list[Any]:
        return foreign_kernels.find(
            TABLE, own, (), lambda pid: words if pid == HERE else ("x",), None, listening
        )

    assert [(k.process.pid, k.kernel_id) for k in find(set(), "python")] == [(HERE, str(HERE))]
    assert find({HERE}, "python") == []
    assert len(find(set(), "python", "-f", str(tmp_path / NAME))) == 1


@pytest.mark.parametrize("words", [["-m", "ipykernel_launcher"], ["-m", "IPython", "kernel"]])
def test_a_real_kernel_with_a_runtime_directory_of_its_own_is_asked(
    tmp_path: Path, words: list[str]
) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "r")}
    command = [sys.executable, *words]
    kernel = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    path = tmp_path / "r" / f"kernel-{kernel.pid}.json"
    try:
        table = {kernel.pid: process(kernel.pid, 1)}
        for _ in range(600):
            listening = ConnectionFiles().kernels(table, [], ())
            if listening or kernel.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                kernel.wait(0.1)
        assert [(each.process.pid, each.path) for each in listening] == [(kernel.pid, path)]
        (other,) = foreign_kernels.find(table, (), (), lambda _pid: ("x",), None, listening)
        (answer,) = foreign_kernels.ask([other], 30.0).values()
        assert (answer.free, answer.failure) == (True, "")
    finally:
        kernel.kill()
        kernel.wait()
    assert path.exists(), "a killed kernel leaves its file behind"
    assert ConnectionFiles().kernels(table, [path.parent], ()) == []


def test_a_look_reads_the_sockets_of_each_process_once(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host may have hundreds of kernels, each with a file that does not name its process."""
    read: list[int] = []

    def read_sockets(pid: int) -> frozenset[int]:
        read.append(pid)
        return original(pid)

    original = proc_files.read_sockets
    monkeypatch.setattr(proc_files, "read_sockets", read_sockets)
    for name in ("a", "b", "1", str(HERE)):
        write(tmp_path / f"kernel-{name}.json", ports)
    assert found(tmp_path) == [(HERE, NAME)]
    assert sorted(read) == sorted(TABLE)
    for name in ("a", "1", str(HERE)):
        (tmp_path / f"kernel-{name}.json").unlink()
    files = ConnectionFiles()
    assert found(tmp_path, files) == [(HERE, "kernel-b.json")]
    read.clear()
    assert found(tmp_path, files) == [(HERE, "kernel-b.json")]
    assert read == [HERE], "the process of a known kernel is asked first"


def test_a_restarted_kernel_with_fixed_ports_is_asked_with_its_newest_file(
    tmp_path: Path, ports: list[int]
) -> None:
    for name, age in (("old", 20), ("new", 10), ("older", 30)):
        write(tmp_path / f"kernel-{name}.json", ports)
        os.utime(tmp_path / f"kernel-{name}.json", (1_000_000 - age, 1_000_000 - age))
    assert found(tmp_path) == [(HERE, "kernel-new.json")]
    write(tmp_path / NAME, ports)
    os.utime(tmp_path / NAME, (1, 1))
    assert found(tmp_path) == [(HERE, NAME)], "its name holds the process id"


def test_two_kernels_of_one_process_are_both_found(tmp_path: Path, ports: list[int]) -> None:
    connection = {"ip": "127.0.0.1", "transport": "tcp", "key": "secret"}
    for name, port in zip("ab", ports):
        text = json.dumps({**connection, "shell_port": port})
        (tmp_path / f"kernel-{name}.json").write_text(text)
    assert sorted(found(tmp_path)) == [(HERE, "kernel-a.json"), (HERE, "kernel-b.json")]


def test_a_path_of_a_unix_socket_may_hold_any_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["x\na b c zz e f g h", "x\ra b\x0bc\x1c \x85", "plain-1"]
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(name)
        listening = connections.listening_sockets()
        assert "plain-1" not in listening
        waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
        waiting.bind("plain\r2\x0b\x1c3")
        waiting.listen()
        assert "plain\r2\x0b\x1c3" in connections.listening_sockets()


def test_a_forbidden_table_of_sockets_counts_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", forbid)
    assert (connections.listening_sockets(), connections.remote_connections()) == ({}, frozenset())


@pytest.mark.parametrize(
    ("given", "directory"),
    [
        ({"JUPYTER_RUNTIME_DIR": "/r", "JUPYTER_DATA_DIR": "/d"}, "/r"),
        ({"JUPYTER_RUNTIME_DIR": "", "JUPYTER_DATA_DIR": "/d"}, "/d/runtime"),
        ({"JUPYTER_DATA_DIR": "", "XDG_DATA_HOME": "/x"}, "/x/jupyter/runtime"),
        ({"JUPYTER_RUNTIME_DIR": "", "XDG_DATA_HOME": ""}, "/h/.local/share/jupyter/runtime"),
    ],
)
def test_an_empty_variable_counts_as_unset(given: dict[str, str], directory: str) -> None:
    assert server_files.runtime_directory_of({"HOME": "/h", **given}) == Path(directory)


def test_a_superscript_is_no_process_id(tmp_path: Path) -> None:
    (tmp_path / "jpserver-²³.json").write_text("{}")
    assert server_files.find(TABLE, [tmp_path], 1) == []

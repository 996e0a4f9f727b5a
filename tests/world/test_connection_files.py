"""Connection files that change, disappear or cannot be read."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import listening_process
import pytest
from listening_process import HERE, NAME, TABLE, found, write

from auto_shutdown.world import (
    foreign_kernels,
    listening_kernels,
    proc_files,
    shell_probe,
)
from auto_shutdown.world.listening_kernels import CHANNELS, ConnectionFiles

pytestmark = pytest.mark.skipif(not proc_files.PROC.exists(), reason="no /proc here")


def test_a_file_is_read_again_when_it_changes(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def read(path: Path) -> Any:
        opened.append(path.name)
        return shell_probe.read_connection_file(path)

    monkeypatch.setattr(listening_kernels, "read_connection_file", read)
    files = ConnectionFiles()
    (tmp_path / NAME).write_text('{"half": ')
    assert [found(tmp_path, files), found(tmp_path, files)] == [[], []]
    assert opened == [NAME]
    write(tmp_path / NAME, ports)
    assert found(tmp_path, files) == [(HERE, NAME)]


@pytest.mark.parametrize("bad", ["pipe", "directory", "loop", "dangling", "ports", "list"])
def test_an_odd_file_hides_no_kernel(tmp_path: Path, ports: list[int], bad: str) -> None:
    path = tmp_path / "kernel-0.json"
    if bad == "pipe":
        os.mkfifo(path)
    elif bad == "directory":
        path.mkdir()
    elif bad in ("loop", "dangling"):
        path.symlink_to(path if bad == "loop" else tmp_path / "gone")
    elif bad == "ports":
        write(path, ["1", None, {}, [], 1.5])
    else:
        path.write_text("[]")
    write(tmp_path / NAME, ports)
    assert found(tmp_path) == [(HERE, NAME)]


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOENT])
@pytest.mark.parametrize("step", ["stat", "read"])
def test_a_kernel_is_kept_while_its_file_cannot_be_read(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch, error: int, step: str
) -> None:
    path = tmp_path / "kernel-abc.json"
    write(path, ports)
    files = ConnectionFiles()
    assert found(tmp_path, files) == [(HERE, path.name)]

    def fail(path: Path) -> Any:
        raise OSError(error, "failed", str(path))

    with monkeypatch.context() as patch:
        if step == "read":
            path.write_text(path.read_text() + " ")
            patch.setattr(listening_kernels, "read_connection_file", fail)
        else:
            patch.setattr(listening_kernels.os, "stat", fail)
        assert found(tmp_path, files) == [(HERE, path.name)]
    assert found(tmp_path, files) == [(HERE, path.name)]


def test_a_kernel_is_kept_without_its_file_until_it_stops_listening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ConnectionFiles()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in CHANNELS]
        write(tmp_path / "kernel-abc.json", [server.getsockname()[1] for server in servers])
        found(tmp_path, files)
        (tmp_path / "kernel-abc.json").unlink()
        assert found(tmp_path, files) == found(tmp_path, files) == [(HERE, "kernel-abc.json")]
        assert found(tmp_path, files, "abc") == [], "this server has the kernel now"
        write(tmp_path / "kernel-abc.json", [server.getsockname()[1] for server in servers])
        found(tmp_path, files)
        (tmp_path / "kernel-abc.json").unlink()
        with monkeypatch.context() as patch:
            own = proc_files.read_sockets(HERE)
            shown = {4_000_000: own}
            patch.setattr(proc_files, "read_sockets", lambda pid: shown.get(pid, frozenset()))
            assert found(tmp_path, files) == [], "another process listens on its ports"
        write(tmp_path / "kernel-abc.json", [server.getsockname()[1] for server in servers])
        found(tmp_path, files)
        (tmp_path / "kernel-abc.json").unlink()
        restarted = {**TABLE, HERE: replace(TABLE[HERE], started=TABLE[HERE].started + 1)}
        monkeypatch.setattr(listening_process, "TABLE", restarted)
        assert found(tmp_path, files) == [], "another process now has its process id"
        write(tmp_path / "kernel-abc.json", [server.getsockname()[1] for server in servers])
        assert found(tmp_path, files) == [(HERE, "kernel-abc.json")]
        (tmp_path / "kernel-abc.json").unlink()
    assert found(tmp_path, files) == [], "the kernel no longer listens"


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_new_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def fail(path: Path) -> Any:
        raise OSError(error, "failed", str(path))

    write(tmp_path / NAME, ports)
    monkeypatch.setattr(listening_kernels, "read_connection_file", fail)
    with pytest.raises(OSError, match="failed"):
        found(tmp_path)


@pytest.mark.parametrize("error", [errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.ESTALE])
def test_an_unreadable_directory_of_a_process_makes_only_its_kernel_unknown(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def list_directory(path: Any) -> list[str]:
        if path == bad:
            raise OSError(error, "failed")
        return original(path)

    bad, original = tmp_path / "bad", os.listdir
    environment = {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(bad)}
    words = ("python", "-m", "ipykernel")
    monkeypatch.setattr(proc_files, "read_environment", lambda _pid, _names: environment)
    monkeypatch.setattr(listening_kernels.os, "listdir", list_directory)
    kernels = ConnectionFiles().kernels(TABLE, [tmp_path], (), lambda _pid: words)
    assert kernels == [(TABLE[HERE], bad / NAME, None)], "the other processes do not listen"
    with monkeypatch.context() as patch:
        own = proc_files.read_sockets(HERE)
        patch.setattr(proc_files, "read_sockets", lambda pid: own if pid > 1 else frozenset())
        again = ConnectionFiles().kernels(TABLE, [tmp_path], (), lambda _pid: words)
        assert len(again) == 1, "a process that the kernel has forked has its sockets, too"

    def find(own: set[int], *words: str) -> list[Any]:
        return foreign_kernels.find(TABLE, own, ("own",), lambda _pid: words, None, kernels)

    (kernel,) = find(set(), *words)
    (answer,) = foreign_kernels.ask([kernel], 1.0).values()
    assert (answer.free, answer.failure) == (False, "its runtime directory cannot be read")
    assert find({HERE}, *words) == []
    assert find(set(), *words, "-f", "/r/kernel-own.json") == []
    with pytest.raises(OSError, match="failed"):
        ConnectionFiles().kernels(TABLE, [bad], (), lambda _pid: ("x",))
    error = errno.EMFILE
    with pytest.raises(OSError, match="failed"):
        ConnectionFiles().kernels(TABLE, [tmp_path], (), lambda _pid: words)

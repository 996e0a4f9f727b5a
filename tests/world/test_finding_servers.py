"""How other Jupyter servers of the same host are found."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from process_table import BASE, SERVER, process

from auto_shutdown.world import other_servers, proc_files, server_files
from auto_shutdown.world.other_servers import UnansweredError


class TestFindingOtherServers:
    def test_irregular_runtime_files_neither_hang_nor_raise(self, tmp_path: Path) -> None:
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        os.mkfifo(tmp_path / "jpserver-500.json")
        assert server_files.find(table, [tmp_path], SERVER) == []

    @pytest.mark.parametrize("content", ["", "{", "[" * 60_000, "{}", '{"url": ["x"'])
    async def test_a_server_with_an_invalid_runtime_file_is_unknown(
        self, tmp_path: Path, content: str
    ) -> None:
        """The file may be incomplete, and the kernels of the server may work."""
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        (tmp_path / "jpserver-500.json").write_text(content)
        (server,) = server_files.find(table, [tmp_path], SERVER)
        with pytest.raises(UnansweredError, match=r"runtime file of .* \(process 500\)"):
            await other_servers.tenants_of(server)

    async def test_a_server_whose_runtime_file_may_not_be_read_is_unknown(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """``sudo jupyter lab`` writes a file that only root may read. The fault once named /proc,
        and nothing at all was removed."""
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        (tmp_path / "jpserver-500.json").write_text("{}")

        def refuse(*_arguments: Any, **_more: Any) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(server_files.safe_files, "read_bytes", refuse)
        (server,) = server_files.find(table, [tmp_path], SERVER)
        with pytest.raises(UnansweredError, match="cannot be read or understood"):
            await other_servers.tenants_of(server)

    @pytest.mark.parametrize(
        ("age", "words", "found"),
        [
            (0, ("python", "train.py"), True),
            (30, ("python", "train.py"), True),
            (3600, ("python", "train.py"), False),
            (3600, ("jupyter-lab",), True),
        ],
    )
    def test_a_runtime_file_older_than_its_process_belongs_to_another_process(
        self, tmp_path: Path, monkeypatch: Any, age: float, words: tuple[str, ...], found: bool
    ) -> None:
        """A home folder outlives its containers, and process ids are used again."""
        started_at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        monkeypatch.setattr(proc_files, "started_at", lambda _process: started_at)
        monkeypatch.setattr(proc_files, "read_arguments", lambda _pid: words)
        table = {500: process(500, 1, command="python")}
        path = tmp_path / "jpserver-500.json"
        path.write_text(json.dumps({"url": "http://localhost:8889"}))
        os.utime(path, (started_at.timestamp() - age,) * 2)
        assert bool(server_files.find(table, [tmp_path], SERVER)) is found

    def test_running_server_is_found_by_its_runtime_file(self, tmp_path: Path) -> None:
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        content = {"url": "http://localhost:8889", "token": "secret"}
        for pid in (500, SERVER, 999):  # another one, our own, and one that has ended
            (tmp_path / f"jpserver-{pid}.json").write_text(json.dumps(content))
        (tmp_path / "nbserver-500.json").write_text("{")
        (tmp_path / "jpserver-500-open.html").write_text("")
        (found,) = server_files.find(table, [tmp_path, tmp_path / "none"], SERVER)
        assert (found.pid, found.url, found.token) == (500, "http://localhost:8889/", "secret")
        assert "secret" not in repr(found)

    @pytest.mark.parametrize(
        ("words", "server"),
        [
            (("/opt/conda/bin/python", "/opt/conda/bin/jupyter-lab", "--port=1"), True),
            (("python", "-m", "jupyterlab"), True),
            (("python", "/usr/bin/jupyter", "notebook"), True),
            (("python", "/usr/bin/jupyter", "nbconvert"), False),
            (("python", "-m", "ipykernel_launcher", "-f", "x"), False),
            ((), False),
        ],
    )
    def test_command_lines_that_are_a_jupyter_server(
        self, words: tuple[str, ...], server: bool
    ) -> None:
        assert server_files.is_server(words) is server

    def test_runtime_directories_follow_from_environment_and_home(self, monkeypatch: Any) -> None:
        table = {500: process(500, 1), 501: process(501, 1), 502: process(502, 1)}
        given = {
            500: {"HOME": "/home/a", "JUPYTER_RUNTIME_DIR": "/run/a"},
            501: {"HOME": "/home/a"},
            502: {"HOME": "/home/b"},
        }
        monkeypatch.setattr(proc_files, "read_environment", lambda pid, _names: given[pid])
        found, hidden = server_files.runtime_directories(
            table, Path("/own"), "/home/a", lambda _pid: ("jupyter-lab",)
        )
        usual = Path("/home/a/.local/share/jupyter/runtime")
        assert found == sorted([Path("/own"), Path("/run/a"), usual])
        assert hidden == []

    @pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.ELOOP, errno.ENAMETOOLONG])
    def test_server_whose_runtime_directory_cannot_be_listed_is_unknown(
        self, error: int, tmp_path: Path, monkeypatch: Any
    ) -> None:
        """Once, nothing could be judged while such a process ran."""
        scandir = os.scandir

        def refuse(path: Any) -> Any:
            if str(path) == "/refused":
                raise OSError(error, os.strerror(error))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)
        table = {pid: process(pid, 1, command="jupyter-lab") for pid in (500, 501, SERVER)}
        given = {500: "/refused", 501: str(tmp_path), SERVER: "/refused"}
        monkeypatch.setattr(
            proc_files,
            "read_environment",
            lambda pid, _names: {"HOME": "/home/a", "JUPYTER_RUNTIME_DIR": given[pid]},
        )
        content = json.dumps({"url": "http://localhost:8889"})
        (tmp_path / "jpserver-501.json").write_text(content)
        directories, hidden = server_files.runtime_directories(
            table, tmp_path, "/home/a", lambda _pid: ("jupyter-lab",)
        )
        assert (directories, hidden) == ([tmp_path], [SERVER, 500])
        found = server_files.find(table, directories, SERVER, hidden)
        assert [(server.pid, server.url) for server in found] == [
            (500, ""),
            (501, "http://localhost:8889/"),
        ]

    def test_no_free_file_descriptor_makes_all_servers_unknown(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        def refuse(*_arguments: Any, **_more: Any) -> Any:
            raise OSError(errno.EMFILE, "Too many open files")

        environment = {"HOME": "/home/a", "JUPYTER_RUNTIME_DIR": "/other"}
        monkeypatch.setattr(proc_files, "read_environment", lambda _pid, _names: environment)
        table = {500: process(500, 1, command="jupyter-lab")}
        (tmp_path / "jpserver-500.json").write_text("{}")
        monkeypatch.setattr(server_files.safe_files, "read_bytes", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            server_files.find(table, [tmp_path], SERVER)
        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            server_files.runtime_directories(
                table, tmp_path, "/home/a", lambda _pid: ("jupyter-lab",)
            )

    def test_runtime_file_that_cannot_be_read_leaves_its_server_unknown(
        self, tmp_path: Path, monkeypatch: Any
    ) -> None:
        def refuse(*_arguments: Any, **_more: Any) -> Any:
            raise OSError(errno.EIO, "Input/output error")

        table = {500: process(500, 1, command="python")}
        (tmp_path / "jpserver-500.json").write_text("{}")
        monkeypatch.setattr(proc_files, "read_arguments", lambda _pid: ("python", "x.py"))
        monkeypatch.setattr(server_files.safe_files, "read_bytes", refuse)
        monkeypatch.setattr(proc_files, "started_at", lambda _process: None)
        monkeypatch.setattr(server_files.os, "stat", refuse)
        (server,) = server_files.find(table, [tmp_path], SERVER)
        assert (server.pid, server.url) == (500, "")

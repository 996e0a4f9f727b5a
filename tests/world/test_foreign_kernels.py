"""How the kernels of other programs are found: by their processes and connection files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from process_table import BASE, process

from auto_shutdown.world import foreign_kernels
from auto_shutdown.world.foreign_kernels import OtherFiles
from auto_shutdown.world.shell_probe import read_connection_file

CONNECTION = {"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "key": "secret"}


class TestForeignKernels:
    def find(
        self,
        words: Mapping[int, tuple[str, ...]],
        ids: tuple[str, ...] = (),
        files: OtherFiles | None = None,
        started: int = 1,
    ) -> list[Any]:
        others = (process(500, 400, started=started), process(400, 1, started=started))
        table = {p.pid: p for p in (*BASE, *others)}
        return foreign_kernels.find(table, {200}, ids, lambda pid: words.get(pid, ("x",)), files)

    def test_foreign_kernel_is_found_by_the_connection_file_in_its_command_line(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "kernel-abc.json"
        path.write_text(json.dumps(CONNECTION))
        papermill = ("python", "-m", "papermill", "in.ipynb")
        for words in (("python", "-f", str(path)), ("R", "--args", str(path))):
            (found,) = self.find({400: papermill, 500: words})
            assert str(found) == "a kernel of papermill (process 500)"
            assert (found.kernel_id, found.connection) == ("abc", CONNECTION)
            assert "secret" not in repr(found)
        given_code = ("/opt/python3.12", "-s", "-c", "password = 'secret'; main()")
        (found,) = self.find({400: given_code, 500: ("python", "-f", str(path))})
        assert str(found) == "a kernel of python3.12 (process 500)"
        assert self.find({500: ("python", f"--f={path}"), 200: ("python", "-f", str(path))})
        assert self.find({500: ("python", "-f", str(path))}, ids=("abc",)) == []
        assert self.find({200: ("python", "-f", str(path))}) == []

    def test_other_json_files_are_no_kernels_and_a_missing_one_cannot_be_asked(
        self, tmp_path: Path
    ) -> None:
        other = tmp_path / "package.json"
        other.write_text("{}")
        assert self.find({500: ("node", str(other))}) == []
        assert self.find({500: ("node", str(tmp_path / "gone.json"))}) == []
        (found,) = self.find({500: ("python", "-f", str(tmp_path / "kernel-gone.json"))})
        answers = foreign_kernels.ask([found], 0.1)
        assert "FileNotFoundError" in answers[found].failure

    @pytest.mark.parametrize("content", ["", '{"shell_port": 1', "{}", "[]"])
    def test_a_kernel_with_an_invalid_connection_file_cannot_be_queried(
        self, tmp_path: Path, content: str
    ) -> None:
        """The file may be incomplete."""
        path = tmp_path / "kernel-new.json"
        path.write_text(content)
        (found,) = self.find({500: ("python", "-f", str(path))})
        assert foreign_kernels.ask([found], 0.1)[found].failure.startswith("its connection file")

    def test_a_file_of_another_kind_is_opened_for_a_limited_time_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file may be large, or on a slow file system. But a kernel may also write its file
        late."""
        opened: list[str] = []

        def read(path: Path) -> Any:
            opened.append(path.name)
            return read_connection_file(path)

        monkeypatch.setattr(foreign_kernels, "read_connection_file", read)
        late, other = tmp_path / "late.json", tmp_path / "package.json"
        other.write_text("{}")
        words = {500: ("python", "-f", str(late)), 400: ("node", str(other))}
        now, age = [0.0], foreign_kernels.SETTLED_SECONDS
        files = OtherFiles(lambda: now[0])
        assert self.find(words, files=files) == []
        now[0] = age - 1
        late.write_text(json.dumps(CONNECTION))
        assert [kernel.kernel_id for kernel in self.find(words, files=files)] == ["late"]
        assert opened.count("package.json") == 2
        opened.clear()
        now[0] = age
        assert [kernel.kernel_id for kernel in self.find(words, files=files)] == ["late"]
        assert opened == ["late.json"]
        # Another process of the same id may name a connection file.
        node = process(400, 1, started=1)
        assert files.has(node, other)
        other.write_text(json.dumps(CONNECTION))
        assert len(self.find(words, files=files, started=2)) == 2
        assert not files.has(node, other), "that process has ended"

    def test_irregular_connection_files_neither_hang_nor_raise(self, tmp_path: Path) -> None:
        pipe, nested = tmp_path / "pipe.json", tmp_path / "nested.json"
        os.mkfifo(pipe)
        nested.write_text("[" * 60_000)
        (tmp_path / "long.json").write_text(" " * 100_000)
        for name in ("pipe", "nested", "long"):
            assert self.find({500: ("cat", str(tmp_path / f"{name}.json"))}) == []
        os.mkfifo(tmp_path / "kernel-pipe.json")
        (found,) = self.find({500: ("python", "-f", str(tmp_path / "kernel-pipe.json"))})
        assert "cannot be read" in found.failure

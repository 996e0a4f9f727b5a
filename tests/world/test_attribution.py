"""Who started a process, which programs are in a terminal's foreground, and which kernels and
servers are not ours: by values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.model import Kernel, Ref, Terminal
from auto_shutdown.world import foreign_kernels, other_servers, proc_files, questions_to_servers
from auto_shutdown.world.attribution import SETTLED_SECONDS, Attribution, ProcessHistory
from auto_shutdown.world.foreground import foreground_programs, is_prompt, program_of
from auto_shutdown.world.foreign_kernels import OtherFiles
from auto_shutdown.world.other_servers import OtherServer, UnansweredError
from auto_shutdown.world.processes import Process
from auto_shutdown.world.questions_to_servers import QuestionsToServers
from auto_shutdown.world.shell_probe import read_connection_file

URL = "http://here:8888/"
SERVER = 100
KERNEL = Kernel("k", paths=("a.ipynb",))
TERMINAL = Terminal("1")
ROOTS = {KERNEL.ref: 200, TERMINAL.ref: 300}
TTY = 34816


def process(pid: int, parent: int, **more: Any) -> Process:
    usual = {"group": pid, "foreground": -1, "started": pid, "cpu": 0.0, "command": "python"}
    return Process(pid, parent, **{**usual, "session": pid, **more})


BASE = (
    process(1, 0, command="init"),
    process(SERVER, 1, command="jupyter-lab"),
    process(200, SERVER),
    process(300, SERVER, command="bash", terminal=TTY, foreground=300),
    process(110, SERVER, command="pylsp"),
)


class Host:
    """A process table and environments, and the history of them."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self.now = 0.0
        self.environments: dict[int, dict[str, str]] = {}
        self.of_others: set[int] = set()
        self.history = ProcessHistory(
            URL,
            lambda: self.now,
            own or {},
            lambda pid, _names: self.environments.get(pid, {}),
            self.of_others.__contains__,
        )

    def attribute(self, *more: Process, roots: Mapping[Ref, int] = ROOTS) -> Attribution:
        table = {p.pid: p for p in (*BASE, *more)}
        return self.history.attribute(table, roots, (KERNEL, TERMINAL), SERVER)


class TestOwners:
    def test_process_belongs_to_its_ancestor_or_to_its_session(self) -> None:
        child, grandchild = process(210, 200), process(211, 210)
        nohup = process(310, 1, session=300)  # re-parented, and still in the shell's session
        found = Host().attribute(child, grandchild, nohup).owners
        assert {pid: found[pid] for pid in (200, 210, 211)} == dict.fromkeys(
            (200, 210, 211), KERNEL.ref
        )
        assert found[310] == TERMINAL.ref
        assert not {1, SERVER, 110} & found.keys()

    def test_process_older_than_the_leader_of_its_session_has_no_owner(self) -> None:
        older = process(150, 1, session=300, started=5)
        assert 150 not in Host().attribute(older).owners

    def test_orphan_belongs_to_the_owner_it_was_seen_with(self) -> None:
        """Its parent has ended, and it has a session of its own."""
        host = Host()
        host.attribute(process(310, 300))
        orphan = process(310, SERVER, session=310)  # to a server that is process 1
        assert host.attribute(orphan).owners[310] == TERMINAL.ref
        reused = process(310, 1, started=9999)
        assert 310 not in Host().attribute(reused).owners

    def test_kernel_is_found_by_the_notebook_in_its_environment(self) -> None:
        host = Host()
        host.environments[500] = {"JPY_PARENT_PID": str(SERVER), "JPY_SESSION_NAME": "a.ipynb"}
        assert host.attribute(process(500, 1)).owners[500] == KERNEL.ref


class TestAdrift:
    @pytest.mark.parametrize(
        ("environment", "adrift", "ours"),
        [
            ({}, False, False),
            ({"JUPYTER_SERVER_URL": URL}, True, True),
            ({"JUPYTER_SERVER_URL": "http://other/"}, True, False),
            ({"JPY_PARENT_PID": "77"}, True, False),
            ({"JPY_PARENT_PID": str(SERVER), "JPY_SESSION_NAME": "gone.ipynb"}, True, False),
        ],
    )
    def test_orphan_is_ours_by_its_environment(
        self, environment: dict[str, str], adrift: bool, ours: bool
    ) -> None:
        host = Host()
        host.environments[500] = environment
        found = host.attribute(process(500, SERVER))
        assert ((500 in found.adrift), (500 in found.from_terminals)) == (adrift, ours)

    def test_variables_of_the_servers_own_environment_show_no_owner(self) -> None:
        host = Host(own={"JUPYTER_SERVER_URL": "http://outer/"})
        host.environments[110] = {"JUPYTER_SERVER_URL": "http://outer/"}
        assert host.attribute().adrift == frozenset()

    def test_job_of_a_closed_terminal_is_still_ours(self) -> None:
        host = Host()
        job = process(310, 300, session=310)
        host.attribute(job)
        orphan = process(310, 1, session=310)
        found = host.attribute(orphan, roots={KERNEL.ref: 200})
        assert (310 in found.owners, 310 in found.adrift) == (False, True)
        assert 310 in found.from_terminals

    def test_an_environment_read_between_fork_and_exec_is_read_again(self) -> None:
        host = Host()
        assert host.attribute(process(500, SERVER)).adrift == frozenset()
        host.environments[500] = {"JUPYTER_SERVER_URL": URL}
        host.now = SETTLED_SECONDS / 2
        assert host.attribute(process(500, SERVER)).adrift == {500}


class TestClearedEnvironment:
    """``env -i setsid nohup JOB &``: a parent, a session and an environment show nothing."""

    def host(self) -> Host:
        host = Host(own={"HOME": "/home/me"})
        host.environments = {pid: {"HOME": "/home/me"} for pid in (1, 110)}
        return host

    def test_the_job_and_its_descendants_are_adrift(self) -> None:
        job, child = process(500, 1), process(501, 500, session=500)
        assert self.host().attribute(job, child).adrift == {500, 501}

    def test_a_job_whose_session_has_lost_its_leader_is_adrift(self) -> None:
        assert self.host().attribute(process(501, 1, session=500)).adrift == {501}

    @pytest.mark.parametrize(
        "other",
        [
            process(500, 110),  # its parent is known
            process(500, 1, started=SERVER),  # a daemon that is as old as the server
            process(500, 1, session=1),  # a program of a supervisor that is process 1
            process(500, 1, state="Z"),
        ],
        ids=["a child", "a daemon", "a supervised program", "an ended job"],
    )
    def test_another_process_without_variables_is_none(self, other: Process) -> None:
        assert self.host().attribute(other).adrift == frozenset()

    def test_an_orphan_with_an_environment_is_none(self) -> None:
        host = self.host()
        host.environments[500] = {"HOME": "/home/me"}
        assert host.attribute(process(500, 1)).adrift == frozenset()

    def test_the_environment_of_another_user_cannot_be_read(self) -> None:
        host = self.host()
        host.of_others.add(500)
        assert host.attribute(process(500, 1)).adrift == frozenset()

    def test_a_server_without_the_variable_cannot_tell(self) -> None:
        assert Host().attribute(process(500, 1)).adrift == frozenset()

    def test_a_known_owner_comes_first(self) -> None:
        host = self.host()
        host.attribute(process(500, 300))
        found = host.attribute(process(500, 1))
        assert (found.owners[500], found.adrift) == (TERMINAL.ref, frozenset())


@pytest.mark.parametrize(
    ("words", "prompt"),
    [
        (("bash",), True),
        (("-bash",), True),
        (("/bin/bash", "-l", "-i"), True),
        (("bash", "--norc"), True),
        (("bash", "--rcfile", "/home/me/rc"), True),
        (("/bin/bash", "--init-file", "/opt/editor/shellIntegration-bash.sh", "-i"), True),
        (("bash", "-O", "globstar", "+o", "vi"), True),
        (("zsh", "-o", "nobeep", "-l"), True),
        (("fish", "-l", "-C", "source /opt/editor/init.fish"), True),
        (("bash", "--rcfile", "/home/me/rc", "train.sh"), False),
        (("bash", "-C", "train.sh"), False),
        (("fish", "--command=python train.py"), False),
        (("bash", "train.sh"), False),
        (("sh", "-c", "python train.py"), False),
        (("bash", "-lc", "make"), False),
    ],
)
def test_command_lines_that_are_a_shell_at_its_prompt(words: tuple[str, ...], prompt: bool) -> None:
    assert is_prompt(words) is prompt


class TestForeground:
    words: Mapping[int, tuple[str, ...]] = {400: ("bash",), 410: ("sh", "-c", "sleep 9")}

    def programs(self, *more: Process, server: int = SERVER) -> list[str]:
        table = {p.pid: p for p in (*BASE, *more)}
        arguments = lambda pid: self.words.get(pid, ("bash",))  # noqa: E731
        return [p.command for p in foreground_programs(table, server, (300,), arguments)]

    def pane(self, pid: int, command: str, front: int, **more: Any) -> Process:
        return process(pid, 1, command=command, terminal=7, session=400, foreground=front, **more)

    def test_program_started_by_a_pane_itself_is_found(self) -> None:
        assert self.programs(process(400, 1, command="python", terminal=7, foreground=400)) == [
            "python"
        ]

    def test_prompt_screen_and_getty_are_not_programs(self) -> None:
        assert self.programs(process(400, 1, command="bash", terminal=7, foreground=400)) == []
        assert self.programs(process(400, 1, command="screen", terminal=7, foreground=400)) == []
        assert self.programs(process(400, 1, command="agetty", terminal=7, foreground=400)) == []

    def test_command_typed_in_a_pane_and_command_substitution_are_found(self) -> None:
        shell = self.pane(400, "bash", 401)
        assert self.programs(shell, self.pane(401, "make", 401)) == ["make"]
        # $(make) runs in the group of the shell itself.
        assert self.programs(
            self.pane(400, "bash", 400), self.pane(401, "make", 400, group=400)
        ) == ["make"]
        script = process(410, 1, command="sh", terminal=8, foreground=410)
        assert self.programs(script) == ["sh"]

    def test_stopped_job_in_a_pane_is_found(self) -> None:
        shell = self.pane(400, "bash", 400)
        assert self.programs(shell, self.pane(401, "vim", 400, state="T")) == ["vim"]
        assert self.programs(shell, self.pane(401, "gdb", 400, state="t")) == []

    def test_ended_process_and_terminal_of_the_server_are_not_programs(self) -> None:
        ended = process(400, 1, command="make", terminal=7, foreground=400, state="Z")
        assert self.programs(ended) == []
        assert program_of([ended]) is None
        line = process(90, 1, command="supervisord", terminal=9, foreground=90)
        own = process(SERVER, 90, command="jupyter-lab", terminal=9, session=90, group=90)
        assert self.programs(line, own) == []


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
    def test_a_kernel_whose_connection_file_makes_no_sense_cannot_be_asked(
        self, tmp_path: Path, content: str
    ) -> None:
        """The file may be half written."""
        path = tmp_path / "kernel-new.json"
        path.write_text(content)
        (found,) = self.find({500: ("python", "-f", str(path))})
        assert foreign_kernels.ask([found], 0.1)[found].failure.startswith("its connection file")

    def test_a_file_of_another_kind_is_not_opened_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be large, or on a slow file system. But a kernel may write its file late."""
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


class TestOtherServers:
    def test_irregular_runtime_files_neither_hang_nor_raise(self, tmp_path: Path) -> None:
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        os.mkfifo(tmp_path / "jpserver-500.json")
        assert other_servers.find(table, [tmp_path], SERVER) == []

    @pytest.mark.parametrize("content", ["", "{", "[" * 60_000, "{}", '{"url": ["x"'])
    async def test_a_server_whose_runtime_file_makes_no_sense_is_unknown(
        self, tmp_path: Path, content: str
    ) -> None:
        """The file may be half written. Its kernels may be at work."""
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        (tmp_path / "jpserver-500.json").write_text(content)
        (server,) = other_servers.find(table, [tmp_path], SERVER)
        with pytest.raises(UnansweredError, match=r"runtime file of .* \(process 500\)"):
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
    def test_a_runtime_file_from_before_its_process_is_of_another(
        self, tmp_path: Path, monkeypatch: Any, age: float, words: tuple[str, ...], found: bool
    ) -> None:
        """A home outlives its containers, and process ids are used again."""
        started_at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        monkeypatch.setattr(proc_files, "started_at", lambda _process: started_at)
        monkeypatch.setattr(proc_files, "read_arguments", lambda _pid: words)
        table = {500: process(500, 1, command="python")}
        path = tmp_path / "jpserver-500.json"
        path.write_text(json.dumps({"url": "http://localhost:8889"}))
        os.utime(path, (started_at.timestamp() - age,) * 2)
        assert bool(other_servers.find(table, [tmp_path], SERVER)) is found

    def test_running_server_is_found_by_its_runtime_file(self, tmp_path: Path) -> None:
        table = {p.pid: p for p in (*BASE, process(500, 1, command="jupyter-lab"))}
        content = {"url": "http://localhost:8889", "token": "secret"}
        for pid in (500, SERVER, 999):  # another one, our own, and one that has ended
            (tmp_path / f"jpserver-{pid}.json").write_text(json.dumps(content))
        (tmp_path / "nbserver-500.json").write_text("{")
        (tmp_path / "jpserver-500-open.html").write_text("")
        (found,) = other_servers.find(table, [tmp_path, tmp_path / "none"], SERVER)
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
        assert other_servers.is_server(words) is server

    async def test_stamp_moved_by_our_question_to_another_server_is_not_activity(
        self, monkeypatch: Any
    ) -> None:
        server = OtherServer(500, "http://x/")
        begun = datetime.now(timezone.utc)
        used, ours, used_again = (begun + timedelta(seconds=seconds) for seconds in (-60, 0.1, 60))
        kernel = other_servers.Tenant(server, "k", "R", "kernel", used, asking_moves_stamp=True)
        answers = [kernel, *[replace(kernel, active_at=ours)] * 2]

        async def tenants(_server: OtherServer) -> list[other_servers.Tenant]:
            return [answers.pop(0)]

        monkeypatch.setattr(other_servers, "tenants_of", tenants)
        monkeypatch.setattr(questions_to_servers, "REST_SECONDS", 0.0)
        questions = QuestionsToServers()
        await questions.asked([kernel], begun)
        assert answers == [], "it was looked at until the stamp was at rest"
        assert questions.without(replace(kernel, active_at=ours)) == kernel
        for other in (used_again, None):
            assert questions.without(replace(kernel, active_at=other)).active_at == other
        elsewhere = replace(kernel, id="l", active_at=ours)
        assert questions.without(elsewhere) == elsewhere

    @pytest.mark.parametrize("seconds", [-1.0, 1.0])
    async def test_stamp_moved_beside_our_question_is_activity(
        self, seconds: float, monkeypatch: Any
    ) -> None:
        server, begun = OtherServer(500, "http://x/"), datetime.now(timezone.utc)
        before, after = begun - timedelta(minutes=1), begun + timedelta(seconds=seconds)
        kernel = other_servers.Tenant(server, "k", "R", "kernel", before, asking_moves_stamp=True)

        async def tenants(_server: OtherServer) -> list[other_servers.Tenant]:
            return [replace(kernel, active_at=after)]

        monkeypatch.setattr(other_servers, "tenants_of", tenants)
        monkeypatch.setattr(questions_to_servers, "REST_SECONDS", 0.0)
        questions = QuestionsToServers()
        await questions.asked([kernel], begun)
        used = replace(kernel, active_at=after)
        assert questions.without(used) == used

    async def test_other_server_is_asked_for_its_report_and_then_for_its_models(
        self, monkeypatch: Any
    ) -> None:
        at = datetime(2026, 1, 1, tzinfo=timezone.utc)
        stamp = "2026-01-01T00:00:00Z"
        row = {"kind": "kernel", "id": "k", "name": "python3", "app": "KernelGateway/a"}
        answers: dict[str, Any] = {
            "auto-shutdown/status?panel=false": {
                "resources": [
                    {**row, "idle_since": stamp, "kept_until": None},
                    {**row, "idle_since": None, "kept_until": None},
                    {**row, "idle_since": stamp, "kept_until": stamp},
                    {"kind": "app", "id": "x"},
                ]
            },
            "api/kernels?no_track_activity=1": [
                {"id": "k", "name": "R", "last_activity": stamp, "execution_state": "idle"},
                {"id": "l", "name": "R", "last_activity": stamp, "execution_state": "busy"},
            ],
            "api/terminals?no_track_activity=1": [{"name": "1", "last_activity": stamp}],
            "api": {"version": "2.14.2"},
        }

        async def get(_server: OtherServer, path: str) -> Any:
            if path not in answers:
                raise UnansweredError("HTTP 404", 404)
            if isinstance(answers[path], Exception):
                raise answers[path]
            return answers[path]

        monkeypatch.setattr(other_servers, "_get", get)
        server = OtherServer(500, "http://x/")
        judged = await other_servers.tenants_of(server)
        assert [t.active_at for t in judged] == [at, None, None]
        assert {(t.app, t.is_judged) for t in judged} == {("a", True)}
        del answers["auto-shutdown/status?panel=false"]
        plain = await other_servers.tenants_of(server)
        assert [(t.id, t.active_at, t.asking_moves_stamp) for t in plain] == [
            ("k", at, True),
            ("l", None, True),
            ("1", at, False),
        ]
        for version, older in (("2.15.0", False), ("3.0.1", False), ("6.5.7", True)):
            answers["api"]["version"] = version
            assert (await other_servers.tenants_of(server))[0].asking_moves_stamp is older
        terminals = answers.pop("api/terminals?no_track_activity=1")
        assert [t.id for t in await other_servers.tenants_of(server)] == ["k", "l"]
        for failure in (UnansweredError("HTTP 500", 500), UnansweredError("timed out")):
            answers["api/terminals?no_track_activity=1"] = failure
            with pytest.raises(UnansweredError):
                await other_servers.tenants_of(server)
        answers["api/terminals?no_track_activity=1"] = terminals
        for wrong in ([{"id": "k", "last_activity": "yesterday"}], {"message": "no"}, [7]):
            answers["api/kernels?no_track_activity=1"] = wrong
            with pytest.raises(UnansweredError):
                await other_servers.tenants_of(server)

    def test_runtime_directories_follow_from_environment_and_home(self, monkeypatch: Any) -> None:
        table = {500: process(500, 1), 501: process(501, 1), 502: process(502, 1)}
        given = {
            500: {"HOME": "/home/a", "JUPYTER_RUNTIME_DIR": "/run/a"},
            501: {"HOME": "/home/a"},
            502: {"HOME": "/home/b"},
        }
        monkeypatch.setattr(proc_files, "read_environment", lambda pid, _names: given[pid])
        found = other_servers.runtime_directories(
            table, Path("/own"), "/home/a", lambda _pid: ("jupyter-lab",)
        )
        usual = Path("/home/a/.local/share/jupyter/runtime")
        assert found == sorted([Path("/own"), Path("/run/a"), usual])

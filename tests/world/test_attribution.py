"""The owner of a process, and the programs in the foreground of a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from process_table import BASE, SERVER, process

from auto_shutdown.core.model import Kernel, Ref, Terminal
from auto_shutdown.world.attribution import SETTLED_SECONDS, Attribution, ProcessHistory
from auto_shutdown.world.foreground import foreground_programs, is_prompt, program_of
from auto_shutdown.world.processes import Process

URL = "http://here:8888/"
KERNEL = Kernel("k", paths=("a.ipynb",))
TERMINAL = Terminal("1")
ROOTS = {KERNEL.ref: 200, TERMINAL.ref: 300}


class Host:
    """A process table and environments, and the history of them."""

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self.now = 0.0
        self.environments: dict[int, dict[str, str]] = {}
        self.of_others: set[int] = set()
        self.own = dict(own or {})
        self.history = ProcessHistory(
            URL,
            lambda: self.now,
            self.own,
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

    def test_orphan_belongs_to_its_last_known_owner(self) -> None:
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


class TestOwnerless:
    @pytest.mark.parametrize(
        ("environment", "ownerless", "ours"),
        [
            ({}, False, False),
            ({"JUPYTER_SERVER_URL": URL}, True, True),
            ({"JUPYTER_SERVER_URL": "http://other/"}, True, False),
            ({"JPY_PARENT_PID": "77"}, True, False),
            ({"JPY_PARENT_PID": str(SERVER), "JPY_SESSION_NAME": "gone.ipynb"}, True, False),
        ],
    )
    def test_environment_shows_that_an_orphan_belongs_to_this_server(
        self, environment: dict[str, str], ownerless: bool, ours: bool
    ) -> None:
        host = Host()
        host.environments[500] = environment
        found = host.attribute(process(500, SERVER))
        assert ((500 in found.ownerless), (500 in found.from_terminals)) == (ownerless, ours)

    def test_variables_of_the_servers_own_environment_show_no_owner(self) -> None:
        host = Host(own={"JUPYTER_SERVER_URL": "http://outer/"})
        host.environments[110] = {"JUPYTER_SERVER_URL": "http://outer/"}
        assert host.attribute().ownerless == frozenset()

    def test_job_of_a_closed_terminal_belongs_to_this_server(self) -> None:
        host = Host()
        job = process(310, 300, session=310)
        host.attribute(job)
        orphan = process(310, 1, session=310)
        found = host.attribute(orphan, roots={KERNEL.ref: 200})
        assert (310 in found.owners, 310 in found.ownerless) == (False, True)
        assert 310 in found.from_terminals

    def test_an_environment_read_between_fork_and_exec_is_read_again(self) -> None:
        host = Host()
        assert host.attribute(process(500, SERVER)).ownerless == frozenset()
        host.environments[500] = {"JUPYTER_SERVER_URL": URL}
        host.now = SETTLED_SECONDS / 2
        assert host.attribute(process(500, SERVER)).ownerless == {500}


class TestClearedEnvironment:
    """``env -i setsid nohup JOB &``: neither the parent nor the session nor the environment shows
    the owner."""

    USUAL: ClassVar = {"HOME": "/home/me", "PATH": "/usr/bin", "HOSTNAME": "here"}

    def host(self) -> Host:
        host = Host(own=self.USUAL)
        host.environments = dict.fromkeys((1, 110), self.USUAL)
        return host

    def test_the_job_and_its_descendants_are_ownerless(self) -> None:
        job, child = process(500, 1), process(501, 500, session=500)
        assert self.host().attribute(job, child).ownerless == {500, 501}

    def test_a_job_whose_session_has_lost_its_leader_is_ownerless(self) -> None:
        assert self.host().attribute(process(501, 1, session=500)).ownerless == {501}

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
        assert self.host().attribute(other).ownerless == frozenset()

    @pytest.mark.parametrize(
        ("names", "cleared"),
        [
            ("HOME", True),
            ("HOME PATH", True),
            ("PATH HOSTNAME", True),
            ("HOME PATH LANG PWD SHLVL", True),
            ("HOME PATH HOSTNAME", False),  # a container
            ("HOME PATH LOGNAME SHELL", False),  # cron
            ("HOME PATH USER SUDO_USER", False),
        ],
    )
    def test_an_orphan_has_a_cleared_environment_if_a_usual_variable_is_missing(
        self, names: str, cleared: bool
    ) -> None:
        host = self.host()
        host.environments[500] = dict.fromkeys(names.split(), "x")
        assert host.attribute(process(500, 1)).ownerless == ({500} if cleared else frozenset())

    @pytest.mark.parametrize("process_1", [False, True])
    def test_a_variable_that_the_server_or_process_1_lacks_is_expected_of_no_job(
        self, process_1: bool
    ) -> None:
        host = self.host()
        if process_1:
            host.environments[1] = {"HOME": "/", "PATH": "/usr/bin"}
        else:
            host.own.pop("HOSTNAME")
        host.environments[500] = {"HOME": "/home/me", "PATH": "/usr/bin"}
        assert host.attribute(process(500, 1)).ownerless == frozenset()

    def test_the_environment_of_another_user_cannot_be_read(self) -> None:
        host = self.host()
        host.of_others.add(500)
        assert host.attribute(process(500, 1)).ownerless == frozenset()

    def test_a_server_without_the_variables_cannot_tell(self) -> None:
        assert Host().attribute(process(500, 1)).ownerless == frozenset()

    def test_a_known_owner_comes_first(self) -> None:
        host = self.host()
        host.attribute(process(500, 300))
        found = host.attribute(process(500, 1))
        assert (found.owners[500], found.ownerless) == (TERMINAL.ref, frozenset())

    def test_an_owned_process_that_the_job_has_adopted_keeps_its_owner(self) -> None:
        """A job that is a subreaper becomes the parent of a process whose parent has ended."""
        host = self.host()
        host.attribute(process(501, 300))
        found = host.attribute(process(500, 1), process(501, 500))
        assert (found.owners[501], found.ownerless) == (TERMINAL.ref, frozenset({500}))


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

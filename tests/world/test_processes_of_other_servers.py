"""Which processes of another Jupyter server are programs of its terminals, jobs, or neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from process_table import BASE, SERVER, process

from auto_shutdown.core.model import Snapshot
from auto_shutdown.world import foreign_kernels, proc_files, process_table, server_files
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.process_survey import Survey, Surveyor
from auto_shutdown.world.processes import Process
from auto_shutdown.world.server_files import OtherServer

URL = "http://other/"
OTHER = process(400, 1, command="jupyter-server")
#: The other server runs in the foreground of a pane, where a shell started it.
PANE = process(390, 1, command="bash", terminal=9, foreground=400)
IN_PANE = process(400, 390, command="jupyter-lab", session=390, terminal=9, foreground=400)
#: A script of the pane has started the other server.
SCRIPT = process(395, 1, command="sh", session=390, terminal=9, foreground=395)
BY_SCRIPT = process(
    400, 395, command="jupyter-lab", group=395, session=390, terminal=9, foreground=395
)
#: The same by another program than a shell.
TRAINING = replace(SCRIPT, command="train.py")
LAUNCHER = replace(SCRIPT, command="conda")
HUB = replace(SCRIPT, command="jupyterhub")
LANGUAGE_SERVER = process(401, 400, command="pylsp")
WATCHER = process(402, 400, command="node", group=400, session=390, terminal=9, foreground=400)
SHELL = process(410, 400, command="bash", terminal=10, foreground=410)
BUSY_SHELL = process(410, 400, command="bash", terminal=10, foreground=420)
JOB = process(420, 410, command="train", session=410, terminal=10, foreground=420)
#: ``setsid nohup train &`` in a terminal of the other server.
DETACHED = process(430, 410, command="train")
KERNEL = process(440, 400, command="octave-kernel")
INTERPRETER = process(450, 440, command="octave", terminal=11, foreground=450)
OF_OWN_TERMINAL = process(310, 300, command="make", session=300, terminal=34816, foreground=310)


def survey(monkeypatch: pytest.MonkeyPatch, *more: Process, server: int = SERVER) -> Survey:
    """A survey of a host on which the process 400 is another server."""
    table = {each.pid: each for each in (*BASE, *more)}
    kernels = [ForeignKernel(KERNEL, Path("/r/kernel-k.json"), "", {})]
    others = [OtherServer(400, URL)]
    marks = {pid: {"JUPYTER_SERVER_URL": URL} for pid in (410, 420, 430)}
    marks[440] = marks[450] = {"JPY_PARENT_PID": "400"}
    monkeypatch.setattr(process_table, "read_table", lambda: table)
    monkeypatch.setattr(proc_files, "read_arguments", lambda pid: (table[pid].command,))
    monkeypatch.setattr(proc_files, "is_of_another_user", lambda _pid: False)
    monkeypatch.setattr(server_files, "runtime_directories", lambda *_: ([], []))
    monkeypatch.setattr(server_files, "find", lambda *_: others)
    monkeypatch.setattr(
        foreign_kernels, "find", lambda *_: [k for k in kernels if k.process.pid in table]
    )
    surveyor = Surveyor(runtime_directory=Path("/r"), server=server)
    usual = {"HOME": "/root", "PATH": "/bin"}
    surveyor._history._read = lambda pid, _names: {**usual, **marks.get(pid, {})}
    return surveyor.look({}, Snapshot(), for_own_app=True)


@pytest.mark.parametrize(
    ("processes", "programs"),
    [
        ((OTHER, BUSY_SHELL, JOB), ["train"]),
        ((OTHER, SHELL), []),
        ((PANE, IN_PANE, LANGUAGE_SERVER, WATCHER, SHELL), []),
        ((PANE, IN_PANE, WATCHER, BUSY_SHELL, JOB), ["train"]),
        ((SCRIPT, BY_SCRIPT, SHELL), []),
        ((LAUNCHER, BY_SCRIPT, SHELL), []),
        ((HUB, BY_SCRIPT, SHELL), []),
        ((TRAINING, BY_SCRIPT, SHELL), ["train.py"]),
        # The shell of the kernel is asked whether a cell runs.
        ((OTHER, KERNEL, INTERPRETER), []),
    ],
)
def test_a_program_in_the_foreground_of_another_servers_terminal_is_found(
    monkeypatch: pytest.MonkeyPatch, processes: tuple[Process, ...], programs: list[str]
) -> None:
    found = survey(monkeypatch, *processes)
    assert [program.command for program in found.programs] == programs


def test_a_program_of_this_server_is_found_if_another_server_started_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = process(SERVER, 400, command="jupyter-lab")
    shell = process(300, SERVER, command="bash", terminal=34816, foreground=310)
    found = survey(monkeypatch, OTHER, own, shell, OF_OWN_TERMINAL)
    assert [program.command for program in found.programs] == ["make"]


def test_only_the_other_server_and_its_extensions_are_no_jobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = (PANE, IN_PANE, LANGUAGE_SERVER, WATCHER, BUSY_SHELL, JOB, DETACHED, KERNEL)
    found = survey(monkeypatch, *every, INTERPRETER)
    assert found.helpers == {400, 401, 402}
    assert {job.pid for job in found.ownerless} == {410, 420, 430, 440, 450}

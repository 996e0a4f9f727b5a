"""The processes that keep the server's own app or a terminal, judged by a survey of all
processes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.model import Answer, App, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.foreign_kernels import ForeignKernel
from auto_shutdown.world.local_work import LocalWork, Others, Question
from auto_shutdown.world.outside_programs import Outside, ProgramWatch
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.processes import Process
from auto_shutdown.world.shell_probe import ShellAnswer

#: No process of this host has such a number (pid_max is 4,194,304).
FIRST = 5_000_000
OWN = App("JupyterLab", "default", "InService", own=True)
TERMINAL = Terminal("1")


def process(number: int, command: str, cpu: float = 0.0, terminal: int = 0) -> Process:
    pid = FIRST + number
    return Process(pid, 1, pid, pid, 1, cpu, command, session=pid, terminal=terminal)


SHELL = process(1, "bash", terminal=os.makedev(136, 1))
PAGER = process(2, "less", terminal=os.makedev(136, 2))
JOB = process(3, "python")
KERNEL = ForeignKernel(process(4, "python3"), Path("/r/kernel-k9.json"), "papermill", None)
BUSY, FREE, FAILED = ShellAnswer(False), ShellAnswer(True), ShellAnswer(False, "no file")


class Desk:
    """Two observations of the processes, one minute apart."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.watch = ProgramWatch(lambda: self.now)
        self.work = LocalWork(lambda: self.now, FIRST, self.watch)

    def judge(
        self,
        resource: Any,
        programs: tuple[Process, ...] = (),
        kernels: tuple[ForeignKernel, ...] = (),
        used: float = 0.0,
        shell: ShellAnswer = BUSY,
        owned: bool = False,
        others_used: float = 0.0,
    ) -> Answer:
        """The answer on ``resource`` after JOB has ``used`` so many seconds of the processor, and
        a process that is no job ``others_used``."""
        owners = {PAGER.pid: TERMINAL.ref} if owned else {}
        owners[SHELL.pid] = TERMINAL.ref
        root = SHELL.pid if resource is TERMINAL else None
        answer = Answer(resource.ref, False)
        for share in (0.0, 1.0):
            job = replace(JOB, cpu=share * used)
            daemon = process(5, "daemon", cpu=share * others_used)
            everything = [SHELL, PAGER, job, daemon, *(k.process for k in kernels)]
            table = {p.pid: p for p in everything}
            self.watch.look(Outside(table, programs, kernels))
            ownerless = frozenset({JOB.pid})
            of_terminal = ownerless if resource is TERMINAL else frozenset()
            attribution = Attribution(owners, ownerless, of_terminal)
            survey = Survey(table, attribution, programs, kernels)
            others = Others(dict.fromkeys(kernels, shell))
            answer = self.work.judge(Question(resource.ref, resource, 60.0, root), survey, others)
            self.now += 60.0
        return answer


@pytest.mark.parametrize(
    ("case", "programs", "detail"),
    [
        ({}, None, ""),
        ({"programs": (PAGER,)}, ("pts/2",), "less runs in a terminal that is not this server's"),
        ({"kernels": (KERNEL,)}, ("k9",), "a kernel of papermill (process 5000004) runs a cell"),
        ({"programs": (PAGER,), "kernels": (KERNEL,)}, ("k9", "pts/2"), "papermill"),
        ({"kernels": (KERNEL,), "shell": FREE}, None, ""),
        ({"kernels": (KERNEL,), "shell": FAILED}, None, ""),
        # The program keeps a terminal, which keeps the app.
        ({"programs": (PAGER,), "owned": True}, None, ""),
        # A job works, too: the programs are not all of the work.
        ({"used": 3.0}, (), "jobs used 5% of a core"),
        ({"programs": (PAGER,), "used": 3.0}, (), "less runs"),
        ({"kernels": (KERNEL,), "used": 3.0}, (), "papermill"),
    ],
)
def test_the_own_app(case: dict[str, Any], programs: tuple[str, ...] | None, detail: str) -> None:
    answer = Desk().judge(OWN, **case)
    assert answer.working is (programs is not None)
    assert answer.programs == (programs or ())
    assert (answer.worked_at is not None) is bool(programs)
    assert detail in answer.detail


@pytest.mark.parametrize(
    ("case", "programs"),
    [
        ({}, None),
        ({"programs": (PAGER,), "owned": True}, ("pts/2",)),
        ({"programs": (PAGER,), "owned": True, "used": 3.0}, ()),
        ({"programs": (PAGER,)}, None),
    ],
)
def test_a_terminal(case: dict[str, Any], programs: tuple[str, ...] | None) -> None:
    answer = Desk().judge(TERMINAL, **case)
    assert answer.working is (programs is not None)
    assert answer.programs == (programs or ())


@pytest.mark.parametrize(
    ("used", "others_used", "low", "detail"),
    [
        (2.4, 0.0, True, "jobs used 4% of a core"),
        (2.4, 5.9, True, "jobs used 4% of a core"),  # the jobs do not count twice
        (2.4, 6.0, False, "processes used 10% of a core"),
        (0.0, 6.0, False, "processes used 10% of a core"),
        (3.0, 0.0, False, "jobs used 5% of a core"),
    ],
)
def test_jobs_with_a_low_use_do_not_hide_other_work(
    used: float, others_used: float, low: bool, detail: str
) -> None:
    answer = Desk().judge(OWN, used=used, others_used=others_used)
    assert (answer.working, answer.low_use, answer.detail) == (True, low, detail)


@pytest.mark.parametrize("shell", [FREE, BUSY, FAILED])
def test_a_kernel_that_cannot_be_asked_is_a_sign_of_life(shell: ShellAnswer) -> None:
    answer = Desk().judge(OWN, kernels=(KERNEL,), shell=shell)
    assert (Signal.BACKGROUND_IO in answer.activity) is (shell is FAILED)


def test_a_program_without_an_observation_may_work() -> None:
    desk = Desk()
    desk.judge(OWN, (PAGER,))
    desk.watch.look(Outside({}))
    table = {PAGER.pid: PAGER, JOB.pid: JOB}
    survey = Survey(table, Attribution(ownerless=frozenset({JOB.pid})), (PAGER,))
    answer = desk.work.judge(Question(OWN.ref, OWN, 60.0, None), survey, Others())
    assert (answer.working, answer.programs, answer.worked_at) == (True, (), None)
    # A low use beside it does not make it suspect.
    table[JOB.pid] = replace(JOB, cpu=2.4)
    desk.now += 60.0
    survey = Survey(table, Attribution(ownerless=frozenset({JOB.pid})), (PAGER,))
    answer = desk.work.judge(Question(OWN.ref, OWN, 60.0, None), survey, Others())
    assert (answer.working, answer.programs, answer.low_use) == (True, (), False)

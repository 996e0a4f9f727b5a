"""A kernel that runs its interpreter in a terminal of its own (bash, Octave) is not at work for it;
a pane of tmux that it started is."""

from __future__ import annotations

import pytest

from auto_shutdown.world.attribution import Attribution
from auto_shutdown.world.process_survey import Survey
from auto_shutdown.world.processes import Process

KERNEL = 10


def process(pid: int, parent: int, session: int, command: str) -> Process:
    return Process(
        pid=pid,
        parent=parent,
        group=session,
        foreground=session,
        started=1,
        cpu=0.0,
        command=command,
        session=session,
    )


@pytest.mark.parametrize(
    ("parent_of_leader", "is_kernel", "found"),
    [(KERNEL, True, False), (1, True, True), (KERNEL, False, True)],
)
def test_interpreter_of_a_kernel_is_not_a_job(
    parent_of_leader: int, is_kernel: bool, found: bool
) -> None:
    program = process(20, parent_of_leader, 20, "octave-cli")
    table = {KERNEL: process(KERNEL, 1, KERNEL, "python"), 20: program}
    survey = Survey(table, Attribution(), (program,))
    kernel = KERNEL if is_kernel else None
    assert bool(survey.programs_of([program], kernel)) is found

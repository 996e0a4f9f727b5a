"""Kernels that are listed as starting, or whose gateway refuses each connection: which of them are
stuck, and what their last look decides."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from one_kernel import MODEL, FakeShells, Manager, decided

from auto_shutdown.core.marks import BUSY, first_sight
from auto_shutdown.core.model import Answer, Kernel
from auto_shutdown.core.outcome import Result
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.work_answers import with_shell
from auto_shutdown.world.world import World


@pytest.mark.parametrize("state", ["starting", "restarting", "unknown"])
@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (ShellAnswer(False), Result.REMOVED),
        (ShellAnswer(True), Result.STALE),
        (ShellAnswer(False, "no way"), Result.STALE),
    ],
)
async def test_kernel_stuck_in_starting_is_removed_only_if_its_shell_is_silent(
    answer: ShellAnswer,
    result: Result,
    state: str,
    world: World,
    manager: Manager,
    shells: FakeShells,
) -> None:
    """Its manager may have missed that it came up."""
    shells.answer = Usage(shell=answer)
    manager.model = {**MODEL, "execution_state": state}
    outcome = await world.remove(await decided(world), only_unmoved=True)
    assert (outcome.result, shells.asked) == (result, ["k"])


@pytest.mark.parametrize("state", ["starting", "idle"])
@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (ShellAnswer(False, "HTTP 404", refused=True), Result.REMOVED),
        (ShellAnswer(True), Result.STALE),
        (ShellAnswer(False, "no file descriptors"), Result.STALE),
    ],
)
async def test_max_busy_minutes_ends_a_kernel_whose_gateway_still_refuses(
    answer: ShellAnswer,
    result: Result,
    state: str,
    world: World,
    source: KernelSource,
    manager: Manager,
    shells: FakeShells,
) -> None:
    manager.model = {**MODEL, "execution_state": state}
    source._requests.of("k").shell_is_silent("HTTP 404", refused=True)
    kernel = await decided(world)
    assert (kernel.refused, kernel.state) == ("HTTP 404", state)
    shells.answer = Usage(shell=answer)
    assert (await world.remove(kernel, only_unmoved=True)).result is result


async def test_a_kernel_that_refuses_for_the_first_time_at_the_last_moment_stays(
    world: World, shells: FakeShells
) -> None:
    shells.answer = Usage(shell=ShellAnswer(False, "HTTP 404", refused=True))
    outcome = await world.remove(await decided(world), only_unmoved=True)
    assert outcome.result is Result.STALE


class Answers:
    """What the shell and the control channel of a kernel in another container answer."""

    def __init__(self, source: KernelSource, shell: bool, control: bool) -> None:
        self.requests = source._requests.of("k")
        self.usage = Usage(
            kernel_cores=0.0,
            host_cores=0.0,
            failure="" if control else "late",
            shell=ShellAnswer(shell),
        )

    async def ask_by_websocket(self, kernel_id: str, with_usage: bool) -> Usage:
        if self.usage.shell.free:
            self.requests.shell_answered(time.monotonic(), one_by_one=True)
        else:
            self.requests.shell_is_silent("")
        return self.usage

    async def ask_all(self, kernel_ids: object) -> dict[str, ShellAnswer]:
        return {}


@pytest.mark.parametrize(
    ("shell", "control", "state", "answered", "working"),
    [
        (False, False, "starting", False, False),  # stuck
        (True, True, "idle", True, False),
        (False, True, "busy", True, True),  # a cell runs
    ],
)
async def test_remote_kernel_that_answers_counts_as_started(
    shell: bool,
    control: bool,
    state: str,
    answered: bool,
    working: bool,
    world: World,
    source: KernelSource,
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager.model = {**MODEL, "execution_state": "starting"}
    manager.get_kernel = lambda kernel_id: SimpleNamespace(kernel_url="http://gateway/k")  # type: ignore[method-assign]
    source._shells = Answers(source, shell, control)  # type: ignore[assignment]
    (kernel,) = (await world.observe(False)).kernels
    assert kernel.state == "starting"
    questions = {kernel.ref: timedelta(0)}
    for _ in range(2):  # the measurement of processor time needs two
        (answer,) = await world.ask(questions)
    assert (answer.answered, answer.working) == (answered, working)
    (kernel,) = (await world.observe(False)).kernels
    assert kernel.state == state


@pytest.mark.parametrize("listed", ["starting", "restarting", "unknown"])
@pytest.mark.parametrize(
    ("saved", "is_busy", "result"),
    [
        ("idle", True, Result.STALE),
        ("busy", True, Result.STALE),
        ("starting", False, Result.REMOVED),
        ("dead", False, Result.REMOVED),
        (None, False, Result.REMOVED),
    ],
)
async def test_a_kernel_that_an_earlier_server_saw_running_is_not_stuck_in_starting(
    saved: str | None,
    is_busy: bool,
    result: Result,
    listed: str,
    world: World,
    source: KernelSource,
    manager: Manager,
    shells: FakeShells,
) -> None:
    """It runs a silent cell, and its gateway lists it as starting. Its shell is silent."""
    manager.model = {**MODEL, "execution_state": listed}
    now = datetime.now(timezone.utc)
    if saved is not None:
        world.recall({Kernel("k").ref: replace(first_sight(now), state=saved)})
    (kernel,) = (await world.observe(False)).kernels
    shell = ShellAnswer(False)
    judged = with_shell(Answer(kernel.ref, True), kernel, shell, source.is_starting(kernel))
    assert (judged.answered, judged.working) == (is_busy, is_busy)
    shells.answer = Usage(shell=shell)
    assert (await world.remove(kernel, only_unmoved=True)).result is result
    source._requests.of("k").shell_is_silent("")
    (kernel,) = (await world.observe(False)).kernels
    assert kernel.state == (BUSY if is_busy else listed)


async def test_query_does_not_make_a_kernel_busy_whose_process_died_in_a_cell(
    world: World, source: KernelSource, manager: Manager, shells: FakeShells
) -> None:
    """The manager reports the cell of the process that died, and the new process is stuck. If it
    counted as busy, it would stay for ever."""
    manager.model = {**MODEL, "execution_state": "busy"}
    source._shells = shells  # type: ignore[assignment]
    shells.answer = Usage(shell=ShellAnswer(False))
    source._requests.of("k").busy_is_old = True
    (kernel,) = (await world.observe(False)).kernels
    with world.asking([kernel.ref]):
        (answer,) = await world.ask({kernel.ref: timedelta(minutes=1)})
        assert (await world.observe(False)).kernels == (kernel,)  # a removal beside the pass
    assert (answer.answered, answer.working) == (False, False)
    assert (kernel.state, (await world.observe(False)).kernels) == ("restarting", (kernel,))

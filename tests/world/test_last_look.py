"""The look right before a removal: what has moved stays, what somebody asked for goes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from auto_shutdown.core.marks import BUSY, first_sight
from auto_shutdown.core.model import Answer, IOPubActivity, Kernel, Terminal
from auto_shutdown.core.signals import Signal
from auto_shutdown.core.verdict import Outcome, Result
from auto_shutdown.world import terminals as terminals_module
from auto_shutdown.world.iopub import IOPubSubscription
from auto_shutdown.world.judgements import with_shell
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.pseudo_terminal import hang_up
from auto_shutdown.world.requests import KernelRequests
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World

MODEL = {
    "id": "k",
    "name": "python3",
    "last_activity": "2026-03-01T12:00:00Z",
    "execution_state": "idle",
    "connections": 0,
}
CELL = '{"header": {"msg_type": "execute_request", "msg_id": "1"}}'


class Manager:
    """One kernel, whose model can be changed; ``fails`` is raised by its shutdown."""

    def __init__(self) -> None:
        self.model: dict[str, Any] | None = dict(MODEL)
        self.shut_down: list[str] = []
        self.fails: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def __contains__(self, kernel_id: str) -> bool:
        return True

    def list_kernel_ids(self) -> list[str]:
        return ["k"]

    def list_kernels(self) -> list[Any]:
        return [self.model]

    def kernel_model(self, kernel_id: str) -> Any:
        return self.model

    def get_kernel(self, kernel_id: str) -> Any:
        return object()

    async def shutdown_kernel(self, kernel_id: str) -> None:
        self.meanwhile()
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        self.shut_down.append(kernel_id)


class Sessions:
    async def list_sessions(self) -> list[Any]:
        return []


class Subscription:
    """A message about a cell waits in its socket until it is told to catch up."""

    in_debugger = False
    pid = None
    requests = KernelRequests()

    def __init__(self) -> None:
        self.activity = IOPubActivity()

    def catch_up(self) -> bool:
        self.activity = IOPubActivity(datetime.now(timezone.utc))
        return True


class FakeShells:
    """Gives one answer, and notes who was asked. ``meanwhile`` happens before the answer."""

    def __init__(self) -> None:
        self.answer = Usage(shell=ShellAnswer(True))
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    async def ask(self, kernel_id: str) -> Usage:
        self.asked.append(kernel_id)
        self.meanwhile()
        return self.answer


@pytest.fixture
def shells() -> FakeShells:
    return FakeShells()


@pytest.fixture
def clients() -> WebsocketClients:
    return WebsocketClients()


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def source(manager: Manager, clients: WebsocketClients, shells: FakeShells) -> KernelSource:
    made = KernelSource(manager, Sessions(), clients)
    made._shells = shells  # type: ignore[assignment]
    return made


@pytest.fixture
def world(source: KernelSource) -> World:
    return World(Platform(), source, TerminalSource({}), None)


async def decided(world: World) -> Kernel:
    (kernel,) = (await world.observe(False)).kernels
    (kernel,) = (await world.look_again(kernel.ref)).kernels
    return kernel


async def test_unchanged_kernel_is_removed_after_the_last_look(
    world: World, manager: Manager
) -> None:
    assert (await world.remove(await decided(world), only_unmoved=True)).result is Result.REMOVED
    assert manager.shut_down == ["k"]


MOVES: dict[str, Callable[[Manager, WebsocketClients], object]] = {
    "a cell passes": lambda _, clients: clients.note_incoming("k", CELL),
    "it is busy": lambda manager, _: manager.model.update(execution_state="busy"),  # type: ignore[union-attr]
    "its stamp moved": lambda manager, _: manager.model.update(last_activity=None),  # type: ignore[union-attr]
    "it makes no sense": lambda manager, _: manager.model.update(connections="x"),  # type: ignore[union-attr]
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
async def test_a_kernel_that_became_active_is_kept_unless_its_removal_was_requested(
    move: Callable[[Manager, WebsocketClients], object],
    world: World,
    manager: Manager,
    clients: WebsocketClients,
) -> None:
    kernel = await decided(world)
    move(manager, clients)
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.STALE
    assert manager.shut_down == []
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED


NO_REMOVAL = {
    "its shell is silent": Usage(shell=ShellAnswer(False)),
    "its shell cannot be asked": Usage(shell=ShellAnswer(False, "no way")),
    "another client was heard": Usage(shell=ShellAnswer(True), other_client_seen=True),
}


@pytest.mark.parametrize("answer", NO_REMOVAL.values(), ids=NO_REMOVAL)
async def test_an_idle_kernel_is_only_shut_down_after_its_shell_has_answered(
    answer: Usage, world: World, manager: Manager, shells: FakeShells
) -> None:
    shells.answer = answer
    kernel = await decided(world)
    outcome = await world.remove(kernel, only_unmoved=True)
    assert (outcome.result, manager.shut_down) == (Result.STALE, [])
    assert answer.shell.failure in outcome.detail
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED
    assert shells.asked == ["k"], "a user's request does not ask"


async def test_cell_that_begins_while_the_shell_is_asked_keeps_the_kernel(
    world: World, manager: Manager, clients: WebsocketClients, shells: FakeShells
) -> None:
    shells.meanwhile = lambda: manager.model.update(execution_state="busy")  # type: ignore[union-attr]
    outcome = await world.remove(await decided(world), only_unmoved=True)
    assert (outcome.result, manager.shut_down) == (Result.STALE, [])


@pytest.mark.parametrize("known", [True, False])
async def test_stamp_moved_by_our_own_question_does_not_keep_the_kernel(
    known: bool, world: World, manager: Manager, shells: FakeShells
) -> None:
    """Behind older gateways every question moves it."""
    at = datetime(2026, 3, 2, tzinfo=timezone.utc)
    shells.meanwhile = lambda: manager.model.update(last_activity=at.isoformat())  # type: ignore[union-attr]
    stamps = {Signal.LAST_ACTIVITY: at} if known else {}
    shells.answer = Usage(shell=ShellAnswer(True), stamps=stamps)
    outcome = await world.remove(await decided(world), only_unmoved=True)
    assert outcome.result is (Result.REMOVED if known else Result.STALE)


async def test_kernel_that_waits_in_input_is_not_asked(
    world: World, manager: Manager, shells: FakeShells
) -> None:
    """It cannot answer. The same holds for a dead kernel."""
    manager.model = {**MODEL, "execution_state": "busy"}
    kernel = replace(await decided(world), waiting_for="input")
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.REMOVED
    manager.model = {**MODEL, "execution_state": "dead"}
    assert (await world.remove(await decided(world), only_unmoved=True)).result is Result.REMOVED
    assert shells.asked == []


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
            failure="" if control else "late", shell=ShellAnswer(shell), kernel_cores=0.0
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


async def test_a_kernel_that_cannot_be_read_is_kept(world: World, manager: Manager) -> None:
    kernel = await decided(world)
    manager.model = None
    outcome = await world.remove(kernel, only_unmoved=True)
    assert (outcome.result, manager.shut_down) == (Result.TEMPORARY, [])


async def test_message_waiting_in_the_socket_is_read_before_a_removal(
    world: World, source: KernelSource, manager: Manager
) -> None:
    kernel = await decided(world)
    source._listener._subscriptions["k"] = Subscription()  # type: ignore[assignment]
    requested = replace(kernel, iopub=IOPubActivity())
    assert (await world.remove(requested, only_unmoved=False)).result is Result.REMOVED
    manager.shut_down.clear()
    kernel = await decided(world)
    assert kernel.iopub is not None
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.STALE


async def test_kernel_that_sends_faster_than_the_server_reads_is_kept(
    world: World, source: KernelSource
) -> None:
    flooded = IOPubSubscription()
    flooded.catch_up = lambda: False  # type: ignore[method-assign]
    source._listener._subscriptions["k"] = flooded
    kernel = await decided(world)
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.STALE
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED


async def test_max_busy_minutes_removes_a_busy_kernel(world: World, manager: Manager) -> None:
    """``max_busy_minutes``: that it is busy is no news."""
    manager.model = {**MODEL, "execution_state": "busy"}
    assert (await world.remove(await decided(world), only_unmoved=True)).result is Result.REMOVED


@pytest.mark.parametrize(("fails", "passed"), [(None, 0), (RuntimeError("x"), 1)])
async def test_a_cell_during_the_shutdown_begins_only_if_the_kernel_stays(
    fails: Exception | None, passed: int, world: World, manager: Manager, clients: WebsocketClients
) -> None:
    forwarded: list[str] = []
    manager.fails = fails
    manager.meanwhile = lambda: clients.pass_on("k", CELL, lambda: forwarded.append(CELL))
    kernel = await decided(world)
    outcome = await world.remove(kernel, only_unmoved=True)
    assert outcome.result is (Result.TEMPORARY if fails else Result.REMOVED)
    assert len(forwarded) == passed
    clients.pass_on("k", CELL, lambda: forwarded.append(CELL))
    assert len(forwarded) == passed + 1


class Terminals:
    def __init__(self) -> None:
        self.terminals = {"1": object()}

    async def terminate(self, name: str, force: bool) -> None:
        del self.terminals[name]


@pytest.mark.parametrize(
    ("group", "session"),
    [(0, os.getsid(0)), (os.getpid(), -1)],
    ids=["the server's own group", "another session"],
)
def test_hang_up_never_reaches_another_session(
    group: int, session: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group 0 is the one that the server itself is in."""
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _signal: signalled.append(group))
    hang_up(group, session)
    assert signalled == []


@pytest.mark.parametrize("moved", ["key", "job", ""])
async def test_terminal_used_at_the_last_moment_is_kept(
    moved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(timezone.utc)
    times = (None if moved == "key" else at, at)
    monkeypatch.setattr(terminals_module, "device_times", lambda _: times)
    monkeypatch.setattr(terminals_module, "foreground_job", lambda *_: moved == "job" and "make")
    source, terminal = TerminalSource({"terminal_manager": Terminals()}), Terminal("1", input_at=at)
    outcome: Outcome = await source.remove(terminal, only_unmoved=True)
    assert outcome.result is (Result.STALE if moved else Result.REMOVED)


async def test_requested_removal_proceeds_although_the_kernel_became_busy(
    world: World, manager: Manager
) -> None:
    """What is unchanged since the last look may be the same object, and is still asked for anew."""
    await decided(world)
    (kernel,) = (await world.observe(False)).kernels
    assert manager.model is not None
    manager.model.update(execution_state="busy")
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED

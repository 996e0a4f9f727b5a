"""The last look at a kernel before its removal: a kernel that became active is kept, unless a user
requested the removal."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from one_kernel import MODEL, FakeShells, Manager, decided

from auto_shutdown.core.model import IOPubActivity, Kernel
from auto_shutdown.core.outcome import Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.iopub import MissingSubscription
from auto_shutdown.world.iopub_subscription import IOPubSubscription
from auto_shutdown.world.kernel_requests import KernelRequests
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World

CELL = '{"header": {"msg_type": "execute_request", "msg_id": "1"}}'


class Subscription:
    """A subscription whose message about a cell stays in its socket until the test calls it to
    read."""

    in_debugger = False
    pid = None
    requests = KernelRequests()

    def __init__(self) -> None:
        self.activity = IOPubActivity()

    def catch_up(self) -> bool:
        self.activity = IOPubActivity(datetime.now(timezone.utc))
        return True


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
    "another client sent a request": Usage(shell=ShellAnswer(True), other_client_seen=True),
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
async def test_stamp_moved_by_a_query_of_the_extension_does_not_keep_the_kernel(
    known: bool, world: World, manager: Manager, shells: FakeShells
) -> None:
    """Behind older gateways every query moves the stamp."""
    at = datetime(2026, 3, 2, tzinfo=timezone.utc)
    shells.meanwhile = lambda: manager.model.update(last_activity=at.isoformat())  # type: ignore[union-attr]
    stamps = {Signal.LAST_ACTIVITY: at} if known else {}
    shells.answer = Usage(shell=ShellAnswer(True), stamps=stamps)
    outcome = await world.remove(await decided(world), only_unmoved=True)
    assert outcome.result is (Result.REMOVED if known else Result.STALE)


async def test_a_question_before_a_failed_shutdown_is_no_activity(
    world: World, manager: Manager, shells: FakeShells
) -> None:
    """Otherwise the extension would never remove the app of a kernel that its gateway cannot
    end."""
    at = datetime(2026, 3, 2, tzinfo=timezone.utc)
    shells.meanwhile = lambda: manager.model.update(last_activity=at.isoformat())  # type: ignore[union-attr]
    shells.answer = Usage(shell=ShellAnswer(True), stamps={Signal.LAST_ACTIVITY: at})
    manager.fails = RuntimeError("HTTP 500")
    kernel = await decided(world)
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.TEMPORARY
    assert (await decided(world)).last_activity == kernel.last_activity
    later = datetime(2026, 3, 3, tzinfo=timezone.utc)
    manager.model = {**MODEL, "last_activity": later.isoformat()}
    assert (await decided(world)).last_activity == later, "another client used it"


MOVED_AT = datetime(2026, 3, 2, tzinfo=timezone.utc)


class SlowHistory(FakeShells):
    """Answers the question for the cells when ``may_answer`` is set. Make it in a test, because
    Python 3.9 binds an event to the loop that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def ask_history(self, kernel_id: str) -> Usage:
        answer = await self.ask(kernel_id)
        self.is_asked.set()
        await self.may_answer.wait()
        return answer

    async def give_up_on_question(self, world: World, kernel: Kernel) -> None:
        recording = asyncio.ensure_future(world.session_of(kernel))
        await self.is_asked.wait()
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Usage(), Result.REMOVED),
        (Usage(shell=ShellAnswer(False, "HTTP 503", refused=True)), Result.REMOVED),
        (Usage(shell=ShellAnswer(False, "StreamClosedError")), Result.STALE),
        (Usage(shell=ShellAnswer(True), other_client_seen=True), Result.STALE),
    ],
    ids=["answered", "refused", "broke", "another client sent a request"],
)
async def test_removal_waits_for_the_stamp_of_a_question_whose_caller_gave_up(
    answer: Usage, result: Result, world: World, source: KernelSource, manager: Manager
) -> None:
    """The question for the session takes longer than the recorder waits (a slow gateway). Without
    its stamp the kernel would look used at every attempt, and would never be removed."""
    kernel, shells = await decided(world), SlowHistory()
    source._shells = source._shutdown._shells = shells  # type: ignore[assignment]
    shells.answer = replace(answer, stamps={Signal.LAST_ACTIVITY: MOVED_AT})
    shells.meanwhile = lambda: manager.model.update(last_activity=MOVED_AT.isoformat())  # type: ignore[union-attr]
    await shells.give_up_on_question(world, kernel)
    removal = asyncio.ensure_future(world.remove(kernel, only_unmoved=True))
    await asyncio.sleep(0)
    assert not removal.done()
    shells.may_answer.set()
    shells.answer = Usage(shell=ShellAnswer(True), stamps={Signal.LAST_ACTIVITY: MOVED_AT})
    assert (await removal).result is result


async def test_removal_that_a_user_requested_does_not_wait_for_a_question(
    world: World, source: KernelSource
) -> None:
    kernel, shells = await decided(world), SlowHistory()
    source._shells = source._shutdown._shells = shells  # type: ignore[assignment]
    await shells.give_up_on_question(world, kernel)
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED
    shells.may_answer.set()


async def test_a_kernel_is_kept_if_its_removal_is_forbidden_while_its_shell_is_asked(
    world: World, manager: Manager, shells: FakeShells
) -> None:
    forbidden: list[bool] = []
    shells.meanwhile = lambda: forbidden.append(True)
    kernel = await decided(world)
    outcome = await world.remove(kernel, only_unmoved=True, still_removable=lambda: not forbidden)
    assert (outcome.result, manager.shut_down) == (Result.STALE, [])


async def test_kernel_that_waits_in_input_is_not_asked(
    world: World, manager: Manager, clients: WebsocketClients, shells: FakeShells
) -> None:
    """It cannot answer. The same holds for a dead kernel."""
    manager.model = {**MODEL, "execution_state": "busy"}
    clients.requests.of("k").asks_for_input("1")
    kernel = await decided(world)
    assert kernel.waiting_for == "input"
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.REMOVED
    manager.model = {**MODEL, "execution_state": "dead"}
    assert (await world.remove(await decided(world), only_unmoved=True)).result is Result.REMOVED
    assert shells.asked == []


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


async def test_kernel_whose_messages_cannot_be_read_is_unknown(
    world: World, source: KernelSource, manager: Manager
) -> None:
    listener = source._listener
    kernel = await decided(world)
    failed = MissingSubscription(math.inf, failure="no sockets", failing_since=listener._now())
    listener._missing["k"] = failed
    assert (await decided(world)).unreadable == "its messages cannot be read: no sockets"
    assert (await world.remove(kernel, only_unmoved=True)).result is Result.STALE
    manager.model = {**MODEL, "execution_state": "dead"}
    assert not (await decided(world)).unreadable, "it sends no messages"


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
    """The kernel was busy at the decision to remove it, and nothing has changed since."""
    manager.model = {**MODEL, "execution_state": "busy"}
    assert (await world.remove(await decided(world), only_unmoved=True)).result is Result.REMOVED


async def test_requested_removal_proceeds_although_the_kernel_became_busy(
    world: World, manager: Manager
) -> None:
    """The extension reads the kernel again, although it was unchanged and may be the same
    object."""
    await decided(world)
    (kernel,) = (await world.observe(False)).kernels
    assert manager.model is not None
    manager.model.update(execution_state="busy")
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.REMOVED

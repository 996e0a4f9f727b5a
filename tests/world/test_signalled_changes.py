"""Each change of a kernel's state that a pass would show has a change signal when it happens."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_kernel import Manager as Kernels
from one_kernel import Sessions
from waiting import eventually

from auto_shutdown.core.marks import BUSY
from auto_shutdown.world.kernels import KernelSource


class Manager(Kernels):
    async def start_kernel(self) -> str:
        return "k"


class Watching(Manager):
    """A manager that observes the process of its kernel, like jupyter_server's."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: dict[str, list[Callable[[], None]]] = {"restart": [], "dead": []}

    def add_restart_callback(
        self, kernel_id: str, callback: Callable[[], None], event: str = "restart"
    ) -> None:
        assert kernel_id == "k"
        self._callbacks[event].append(callback)

    def tell(self, event: str) -> None:
        """The process has ended: it is started again ("restart"), or the manager gives up."""
        for callback in self._callbacks[event]:
            callback()


class OneKernel:
    """A kernel, its manager's state, and the change signals about it. The manager has the state of
    the last status message."""

    def __init__(self, manager: Manager | None = None) -> None:
        self.manager = manager or Manager()
        self.source = KernelSource(self.manager, Sessions())
        self.signals = 0
        self.source._requests.on_change = self._count
        self.requests = self.source._requests.of("k")
        self.requests.on_iopub = True

    def _count(self, _kernel_id: str) -> None:
        self.signals += 1

    def has_status(self, state: str, request_id: str, kind: str = "execute_request") -> None:
        assert self.manager.model is not None
        self.manager.model["execution_state"] = state
        self.requests.has_status(state, {"msg_type": kind, "msg_id": request_id})

    async def look(self) -> str:
        models, unreadable = await self.source.read()
        (kernel,) = self.source.joined(models, unreadable, [])
        return kernel.state


async def test_the_end_of_a_cell_is_signalled_after_a_restart_has_ended_all_requests() -> None:
    """A kernel that is restarted answers the request first, and its cell ends a second later. The
    row said "busy" until the next poll."""
    kernel = OneKernel()
    kernel.has_status("busy", "1")
    kernel.requests.ended()  # by its shutdown_reply
    for state in ("busy", "idle"):  # the manager does not track the states of this request
        kernel.requests.has_status(state, {"msg_type": "shutdown_request", "msg_id": "2"})
    assert await kernel.look() == BUSY, "its manager says so"
    before = kernel.signals
    kernel.has_status("idle", "1")
    assert await kernel.look() == "idle"
    assert kernel.signals == before + 1
    kernel.has_status("idle", "1")  # the same message by a websocket
    assert kernel.signals == before + 1


async def test_a_cell_ends_with_its_process_although_the_manager_still_reports_it() -> None:
    """Both may miss the first message of the new process. The manager then said "busy" for ever."""
    manager = Watching()
    kernel = OneKernel(manager)
    await manager.start_kernel()
    kernel.has_status("busy", "1")
    assert await kernel.look() == BUSY
    before = kernel.signals
    manager.tell("restart")
    assert kernel.signals > before
    assert await kernel.look() == "restarting"
    kernel.requests.has_come_up()
    assert await kernel.look() == "idle"
    kernel.requests.sent({"msg_type": "execute_request", "msg_id": "2"})
    assert await kernel.look() == BUSY
    kernel.requests.has_finished("2")
    assert await kernel.look() == "idle"


class Restarting(Manager):
    async def restart_kernel(self, kernel_id: str) -> str:
        return "a future"


@pytest.mark.parametrize("on_this_host", [True, False])
async def test_a_cell_ends_with_a_restart_although_the_manager_still_reports_it(
    on_this_host: bool,
) -> None:
    """Nobody would notice a cell that a client sends to the new process of a gateway directly."""
    kernel = OneKernel(Restarting())
    kernel.requests.on_iopub = on_this_host
    assert kernel.manager.model is not None
    kernel.manager.model["execution_state"] = "busy"
    kernel.requests.came_up = True
    before = kernel.signals
    assert await kernel.manager.restart_kernel("k") == "a future"  # type: ignore[attr-defined]
    assert kernel.signals > before
    assert await kernel.look() == ("idle" if on_this_host else BUSY)


BELIEVED = {
    "nothing": ([], "restarting"),
    "our own question": (
        [("busy", "kernel_info_request"), ("idle", "kernel_info_request")],
        "idle",
    ),
    "a request that this extension does not follow": ([("busy", "custom_request")], BUSY),
    "a cell": ([("busy", "execute_request")], BUSY),
    "another state of the manager": (["idle"], BUSY),
}


@pytest.mark.parametrize("name", BELIEVED)
async def test_busy_of_a_new_process_is_believed(name: str) -> None:
    """The manager may know work that this extension does not follow."""
    messages, expected = BELIEVED[name]
    manager = Watching()
    kernel = OneKernel(manager)
    await manager.start_kernel()
    kernel.has_status("busy", "1")
    manager.tell("restart")
    assert manager.model is not None
    for message in messages:
        if isinstance(message, str):
            manager.model["execution_state"] = message
            await kernel.look()
            manager.model["execution_state"] = BUSY
        else:
            state, kind = message
            kernel.requests.has_status(state, {"msg_type": kind, "msg_id": "2"})
    assert await kernel.look() == expected


async def test_busy_of_a_kernel_whose_messages_are_not_read_is_believed() -> None:
    manager = Watching()
    kernel = OneKernel(manager)
    await manager.start_kernel()
    kernel.requests.on_iopub = False
    assert manager.model is not None
    manager.model["execution_state"] = BUSY
    manager.tell("restart")
    assert await kernel.look() == BUSY


#: What happens to a kernel, and whether a pass looks at it afterwards.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *[(state, "1", "execute_request") for state in ("busy", "idle")],
                *[(state, "2", "history_request") for state in ("busy", "idle")],
                ("sent",),
                ("ended",),
            ]
        ),
        st.booleans(),
    ),
    max_size=12,
)


@given(steps=STEPS)
def test_a_kernel_never_stops_looking_busy_without_a_signal(
    steps: list[tuple[tuple[str, ...], bool]],
) -> None:
    asyncio.run(_check_signals(steps))


async def _check_signals(steps: list[tuple[tuple[str, ...], bool]]) -> None:
    kernel = OneKernel()
    shown, signals = await kernel.look(), kernel.signals
    for step, looks in steps:
        if step == ("ended",):
            kernel.requests.ended()
        elif step == ("sent",):
            kernel.requests.sent({"msg_type": "execute_request", "msg_id": "1"})
        else:
            kernel.has_status(*step)
        if looks:
            now = await kernel.look()
            assert now in (shown, BUSY) or kernel.signals > signals
            shown, signals = now, kernel.signals


@pytest.mark.parametrize("manager", [Watching(), Manager()], ids=["watches", "does not watch"])
async def test_the_death_of_a_kernel_is_signalled_where_the_manager_watches_it(
    manager: Manager,
) -> None:
    """The manager gives up after some restarts, and forgets the kernel. No page may be open."""
    signals: list[str] = []
    source = KernelSource(manager, Sessions())
    source._requests.on_change = signals.append
    assert await manager.start_kernel() == "k"
    assert signals == ["k"]
    if isinstance(manager, Watching):
        manager.tell("dead")
        assert signals == ["k", "k"]


@pytest.mark.slow
async def test_the_death_of_a_real_kernel_is_signalled(jp_serverapp: Any) -> None:
    manager = jp_serverapp.kernel_manager
    source, signals = KernelSource(manager, jp_serverapp.session_manager), set()
    kernel_id = await manager.start_kernel(kernel_name="python3")
    models, unreadable = await source.read()
    source.joined(models, unreadable, [])  # its first message may be lost, so a pass asks it
    await eventually(lambda: source._requests.of(kernel_id).came_up, "its message or answer")
    source._requests.on_change = signals.add
    manager.get_kernel(kernel_id)._restarter.restart_limit = 0
    pid = source.pid_of(kernel_id)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: kernel_id not in manager, "the server forgets the kernel")
    assert signals == {kernel_id}

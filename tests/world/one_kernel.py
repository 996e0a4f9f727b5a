"""A server with one kernel by values: its kernel manager, its sessions, and its shell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from auto_shutdown.core.model import Kernel
from auto_shutdown.world.kernel_usage import Usage
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.world import World

MODEL = {
    "id": "k",
    "name": "python3",
    "last_activity": "2026-03-01T12:00:00Z",
    "execution_state": "idle",
    "connections": 0,
}


class Manager:
    """A manager of one kernel, whose model can be changed. Its shutdown raises ``fails``. ``lists``
    says whether the manager still lists the kernel after its shutdown or that error."""

    def __init__(self) -> None:
        self.model: dict[str, Any] | None = dict(MODEL)
        self.shut_down: list[str] = []
        self.fails: Exception | None = None
        self.lists: bool | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def __contains__(self, kernel_id: str) -> bool:
        return True

    def list_kernel_ids(self) -> list[str]:
        return [] if self.lists is False else ["k"]

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


class FakeShells:
    """Returns one answer, and records the queried kernels. ``meanwhile`` runs before the answer."""

    def __init__(self) -> None:
        self.answer = Usage(shell=ShellAnswer(True))
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None

    async def ask(self, kernel_id: str) -> Usage:
        self.asked.append(kernel_id)
        self.meanwhile()
        return self.answer

    async def ask_by_websocket(self, kernel_id: str, with_usage: bool) -> Usage:
        return await self.ask(kernel_id)

    async def ask_all(self, kernel_ids: Iterable[str]) -> dict[str, Usage]:
        return {kernel_id: await self.ask(kernel_id) for kernel_id in kernel_ids}


async def decided(world: World) -> Kernel:
    (kernel,) = (await world.observe(False)).kernels
    (kernel,) = (await world.look_again(kernel.ref)).kernels
    return kernel

"""A kernel ends while the extension shuts it down. A cell that arrives meanwhile is dropped if the
kernel has ended, and forwarded otherwise."""

from __future__ import annotations

import pytest
from one_kernel import FakeShells, Manager, decided

from auto_shutdown.core.outcome import Result
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World

CELL = '{"header": {"msg_type": "execute_request", "msg_id": "1"}}'


class NotFoundError(Exception):
    status_code = 404


@pytest.mark.parametrize(
    ("fails", "lists_after", "result", "reaches_kernel"),
    [
        (None, False, Result.REMOVED, False),
        (None, True, Result.REMOVED, True),
        (RuntimeError("x"), True, Result.TEMPORARY, True),
        (RuntimeError("x"), False, Result.TEMPORARY, True),
        (KeyError("k"), False, Result.GONE, False),
        (KeyError("a defect of the manager"), True, Result.TEMPORARY, True),
        (NotFoundError(), False, Result.GONE, False),
        (NotFoundError(), True, Result.TEMPORARY, True),
    ],
)
async def test_a_cell_during_the_shutdown_is_dropped_only_if_the_kernel_is_gone(
    fails: Exception | None,
    lists_after: bool,
    result: Result,
    reaches_kernel: bool,
    world: World,
    manager: Manager,
    clients: WebsocketClients,
) -> None:
    forwarded: list[str] = []

    def send_a_cell() -> None:
        clients.pass_on("k", CELL, lambda: forwarded.append(CELL))
        manager.lists = lists_after

    manager.fails, manager.meanwhile = fails, send_a_cell
    kernel = await decided(world)
    assert (await world.remove(kernel, only_unmoved=True)).result is result
    assert len(forwarded) == reaches_kernel
    clients.pass_on("k", CELL, lambda: forwarded.append(CELL))
    assert len(forwarded) == reaches_kernel + 1


async def test_unrelated_key_error_of_the_last_look_forwards_the_held_cells(
    world: World, manager: Manager, clients: WebsocketClients, shells: FakeShells
) -> None:
    """The manager lists the kernel, and its shutdown has not begun."""
    forwarded: list[str] = []
    kernel = await decided(world)

    def fails() -> None:
        clients.pass_on("k", CELL, lambda: forwarded.append(CELL))
        raise KeyError("execution_state")

    shells.meanwhile = fails
    outcome = await world.remove(kernel, only_unmoved=True)
    assert (outcome.result, manager.shut_down, forwarded) == (Result.TEMPORARY, [], [CELL])


async def test_remote_manager_forgets_a_kernel_when_it_reads_its_gateway_again(
    world: World, manager: Manager
) -> None:
    kernel = await decided(world)

    def read_list() -> list[object]:
        manager.lists = False
        return []

    manager.list_kernels, manager.fails = read_list, NotFoundError()  # type: ignore[method-assign]
    assert (await world.remove(kernel, only_unmoved=False)).result is Result.GONE

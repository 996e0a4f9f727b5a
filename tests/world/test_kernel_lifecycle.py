"""Kernels that start, work and end between two passes: their use counts for their app."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from tornado import gen
from traitlets import TraitError

from auto_shutdown.world import departures
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

MODEL = {
    "name": "python3",
    "last_activity": "2026-03-01T12:00:00Z",
    "execution_state": "idle",
    "connections": 0,
    "app_name": "pytorch",
}
CELL = {"msg_type": "execute_request", "msg_id": "1"}


class Manager:
    """Kernels as values; asynchronous, as the newest managers are."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.models

    def list_kernel_ids(self) -> list[str]:
        return list(self.models)

    def list_kernels(self) -> list[Any]:
        return list(self.models.values())

    def kernel_model(self, kernel_id: str) -> Any:
        return self.models[kernel_id]

    def get_kernel(self, kernel_id: str) -> Any:
        return object()

    def _start(self, kernel_id: str) -> str:
        self.models[kernel_id] = {**MODEL, "id": kernel_id}
        return kernel_id

    async def start_kernel(self, kernel_id: str = "k", **_: Any) -> str:
        return self._start(kernel_id)

    async def shutdown_kernel(self, kernel_id: str, now: bool = False) -> None:
        del self.models[kernel_id]


class Synchronous(Manager):
    def start_kernel(self, kernel_id: str = "k", **_: Any) -> str:  # type: ignore[override]
        return self._start(kernel_id)

    def shutdown_kernel(self, kernel_id: str, now: bool = False) -> None:  # type: ignore[override]
        del self.models[kernel_id]


class TornadoManager(Manager):
    """A manager of notebook 5 or 6, or a manager derived from it."""

    @gen.coroutine
    def start_kernel(self, kernel_id: str = "k", **_: Any) -> Any:
        yield gen.moment
        return self._start(kernel_id)

    @gen.coroutine
    def shutdown_kernel(self, kernel_id: str, now: bool = False) -> Any:
        yield gen.moment
        del self.models[kernel_id]


class Sessions:
    async def list_sessions(self) -> list[Any]:
        return []


async def done(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


def make(manager: Manager) -> tuple[KernelSource, World]:
    source = KernelSource(manager, Sessions())
    return source, World(Platform(), source, TerminalSource({}), None)


@pytest.mark.parametrize("kind", [Manager, Synchronous, TornadoManager])
async def test_kernel_started_and_shut_down_between_two_looks_is_a_departure(
    kind: type[Manager],
) -> None:
    manager = kind()
    source, world = make(manager)
    assert (await world.observe(False)).departures == ()
    begun = datetime.now(timezone.utc)
    assert await done(manager.start_kernel(kernel_name="python3")) == "k"
    source._requests.of("k").sent(CELL)
    await done(manager.shutdown_kernel("k", now=True))
    (departure,) = (await world.observe(False)).departures
    assert departure.at >= begun
    assert (departure.app, departure.anywhere) == ("KernelGateway/pytorch", False)


async def test_last_use_of_a_known_kernel_is_in_its_departure() -> None:
    manager = Manager()
    source, world = make(manager)
    await manager.start_kernel()
    await world.observe(False)
    for state in ("busy", "idle"):
        source._requests.of("k").has_status(state, CELL)
    used = source._requests.of("k").last_ran_at
    await manager.shutdown_kernel(kernel_id="k")
    (departure,) = (await world.observe(False)).departures
    assert (departure.app, departure.at) == ("KernelGateway/pytorch", used)


@pytest.mark.parametrize(("unfinished", "shown"), [(True, 1), (False, 0)])
async def test_kernel_that_vanishes_without_shutdown_is_a_departure(
    unfinished: bool, shown: int
) -> None:
    """The gateway of the kernel ended it. An unused kernel has no departure."""
    manager = Manager()
    source, world = make(manager)
    await manager.start_kernel()
    await world.observe(False)
    if unfinished:
        source._requests.of("k").has_status("busy", CELL)
    manager.models.clear()
    assert len((await world.observe(False)).departures) == shown
    assert len((await world.observe(False)).departures) == shown, "for several looks"


@pytest.mark.parametrize("was_readable", [True, False])
async def test_kernel_that_could_not_be_read_may_have_worked_until_its_end(
    was_readable: bool,
) -> None:
    """The last observation could not read the state of the kernel. The app once looked unused after
    that."""

    class Breaking(Manager):
        broken = False

        def list_kernels(self) -> list[Any]:
            if self.broken:
                raise TraitError("last_activity")
            return super().list_kernels()

        def kernel_model(self, kernel_id: str) -> Any:
            return {}

    manager = Breaking()
    _, world = make(manager)
    manager.broken = not was_readable
    manager.models["k"] = {**MODEL, "id": "k"}
    assert not (await world.observe(False)).departures
    manager.broken = True
    begun = datetime.now(timezone.utc)
    (kernel,) = (await world.observe(False)).kernels
    assert kernel.unreadable
    manager.models.clear()
    manager.broken = False
    (departure,) = (await world.observe(False)).departures
    assert departure.at >= begun
    app = "KernelGateway/pytorch" if was_readable else None
    assert (departure.app, departure.anywhere) == (app, not was_readable)
    assert len((await world.observe(False)).departures) == 1, "it departs once"


async def test_departures_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager()
    _, world = make(manager)
    await manager.start_kernel()
    await manager.shutdown_kernel("k")
    monkeypatch.setattr(departures, "SHOWN_SECONDS", time.monotonic() + 1)
    assert len((await world.observe(False)).departures) == 1
    monkeypatch.setattr(departures, "SHOWN_SECONDS", -1.0)
    # The interval between passes may be longer.
    shown = [len((await world.observe(False)).departures) for _ in range(3)]
    assert shown == [1, 0, 0]


async def test_failed_start_of_a_kernel_is_no_departure() -> None:
    class Failing(Manager):
        async def start_kernel(self, kernel_id: str = "k", **_: Any) -> str:
            raise RuntimeError("no kernel")

    manager = Failing()
    _, world = make(manager)
    with pytest.raises(RuntimeError):
        await manager.start_kernel()
    assert (await world.observe(False)).departures == ()


async def test_departure_of_an_unknown_kernel_counts_for_every_app() -> None:
    """The extension does not ask the kernel's manager, because this would send a request to another
    server."""

    class Remote(Manager):
        async def get_kernel(self, kernel_id: str) -> Any:  # type: ignore[override]
            return self.models[kernel_id]

    manager = Remote()
    _, world = make(manager)
    await manager.start_kernel()
    await manager.shutdown_kernel("k")
    (departure,) = (await world.observe(False)).departures
    assert (departure.app, departure.anywhere) == (None, True)


async def test_departure_of_a_local_kernel_counts_for_the_own_app() -> None:
    manager = Manager()
    source = KernelSource(manager, Sessions())
    platform = Platform("studio-space", "d-1", None, "s", app_type="JupyterLab", app_name="default")
    world = World(platform, source, TerminalSource({}), None)
    await manager.start_kernel()
    del manager.models["k"]["app_name"]
    await world.observe(False)
    source._requests.of("k").sent(CELL)
    await manager.shutdown_kernel("k")
    (departure,) = (await world.observe(False)).departures
    assert departure.app == "JupyterLab/default"
    assert departure.at > datetime.now(timezone.utc) - timedelta(minutes=1)


async def test_requests_of_a_kernel_started_during_a_look_are_kept() -> None:
    """The subscription writes into the record that existed when it was opened."""
    manager = Manager()
    source, _ = make(manager)
    models, unreadable = await source.read()
    await manager.start_kernel()
    source._requests.of("k").sent(CELL)
    source.joined(models, unreadable, [])
    source.joined(*await source.read(), [])
    known = source._requests.known("k")
    assert known is not None
    assert known.unfinished == 1

"""The reading of the kernels and terminals: what stays if one of them cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from auto_shutdown.core.model import Kernel, Snapshot, Terminal, Unread
from auto_shutdown.world import tenant_reader
from auto_shutdown.world.tenant_reader import TenantReader

LAST = Snapshot((Kernel("k"),), (Terminal("1"),))


class Kernels:
    """The kernels of a server. ``answer`` is what the manager answers; None: it hangs."""

    def __init__(self, answer: Any = ({}, {})) -> None:
        self.answer = answer
        self.last_sessions: list[Any] = []
        self.session_reads = self.readings = 0

    async def read(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def read_sessions(self) -> list[Any]:
        self.session_reads += 1
        return self.last_sessions

    async def read_again(self, _kernel_ids: Any) -> Any:
        self.readings += 1
        if self.answer is None:
            await asyncio.Event().wait()
        return (Kernel("k", state="busy"),)

    def joined(self, models: Any, *_: Any) -> tuple[Kernel, ...]:
        return tuple(map(Kernel, models))


class Terminals:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def read(self) -> tuple[Terminal, ...]:
        if self.error is not None:
            raise self.error
        return ()


def reader(kernels: Kernels, terminals: Terminals | None = None) -> TenantReader:
    return TenantReader(
        kernels,  # type: ignore[arg-type]
        terminals or Terminals(),  # type: ignore[arg-type]
        False,
        lambda: LAST,
        lambda: 0.0,
    )


async def test_tenants_that_cannot_be_read_stay_as_they_were_last() -> None:
    unread: dict[str, Unread] = {}
    failing = reader(Kernels(OSError("no")), Terminals(OSError("no")))
    assert await failing.read(unread, ()) == (LAST.kernels, LAST.terminals)
    assert set(unread) == {Snapshot.KERNELS, Snapshot.TERMINALS}


async def test_second_reading_of_an_observation_uses_the_sessions_of_the_first() -> None:
    kernels = Kernels(({"a": {}}, {}))
    tenants = reader(kernels)
    assert await tenants.read({}, ()) == ((Kernel("a"),), ())
    await tenants.read({}, (), again=True)
    assert kernels.session_reads == 1


async def test_kernels_are_not_read_again_while_such_a_reading_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tenant_reader, "REREAD_SECONDS", 0.01)
    kernels = Kernels()
    tenants = reader(kernels)
    assert await tenants.read_kernels_again(["k"]) == (Kernel("k", state="busy"),)
    kernels.answer = None
    for _ in range(2):
        assert await tenants.read_kernels_again(["k"]) is None
    assert kernels.readings == 2

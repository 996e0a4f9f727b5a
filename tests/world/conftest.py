"""A real kernel gateway, a server with one kernel by values (one_kernel.py), and a host's websocket
handler that is observed (observed_channels.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from observed_channels import Channels, observed
from one_kernel import FakeShells, Manager, Sessions

from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("kernel_gateway", reason="no kernel gateway in this environment")
    from auto_shutdown.local_studio.gateways import Gateway

    found = Gateway(tmp_path_factory.mktemp("gateway"), "app")
    try:
        found.wait()
        yield found
    finally:
        found.stop()


@pytest.fixture
def shells() -> FakeShells:
    return FakeShells()


@pytest.fixture
def clients() -> WebsocketClients:
    return WebsocketClients()


@pytest.fixture
def channel(clients: WebsocketClients) -> Channels:
    return observed(clients)


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def source(manager: Manager, clients: WebsocketClients, shells: FakeShells) -> KernelSource:
    made = KernelSource(manager, Sessions(), clients)
    made._shells = made._shutdown._shells = shells  # type: ignore[assignment]
    return made


@pytest.fixture
def world(source: KernelSource) -> World:
    return World(Platform(), source, TerminalSource({}), None)

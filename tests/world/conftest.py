"""A real kernel gateway, a server with one kernel by values (one_kernel.py), a host's websocket
handler that is observed (observed_channels.py), SageMaker's API with scripted answers
(scripted_sagemaker.py), programs beside this server by values (watched_programs.py), and a process
that listens like a kernel (listening_process.py)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from listening_process import listening_ports
from observed_channels import Channels, observed
from one_kernel import FakeShells, Manager, Sessions
from scripted_sagemaker import ADA, Endpoint, own_environment, serving
from watched_programs import Host

from auto_shutdown.world import outside_programs, proc_files
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.sagemaker import SageMaker
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
def ports() -> Iterator[list[int]]:
    """Five ports on which this process listens."""
    with listening_ports() as ports:
        yield ports


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


@pytest.fixture(scope="module")
def scripted_server() -> Iterator[Endpoint]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def scripted_client(scripted_server: Endpoint) -> Iterator[SageMaker]:
    """One client for all tests of a file: making a client takes a tenth of a second."""
    found = SageMaker(ADA, scripted_server.url)
    yield found
    found.close()


@pytest.fixture
def endpoint(scripted_server: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """SageMaker's API, which answers what the test scripts."""
    own_environment(monkeypatch)
    scripted_server.reset()
    yield scripted_server
    scripted_server.reset()


@pytest.fixture
def maker(endpoint: Endpoint, scripted_client: SageMaker) -> SageMaker:
    scripted_client.calls.clear()
    return scripted_client


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()

    def sample(members: Any) -> dict[Any, Reading]:
        return {process.key: host.readings[process.key] for process in members}

    monkeypatch.setattr(outside_programs, "sample_of", sample)
    monkeypatch.setattr(outside_programs, "_device_times", lambda _process: host.device)
    monkeypatch.setattr(proc_files, "read_sockets", lambda pid: host.sockets.get(pid, frozenset()))
    return host

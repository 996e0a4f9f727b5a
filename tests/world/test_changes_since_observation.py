"""Changes between the last look at a resource and the call that ends it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from one_kernel import MODEL, Manager, Sessions, decided

from auto_shutdown.core.model import App, Kernel, Snapshot, Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.world import kernel_lifecycle
from auto_shutdown.world import terminals as terminals_module
from auto_shutdown.world.activity_file import ActivityFile
from auto_shutdown.world.kernel_lifecycle import KernelLifecycle
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.reported_activity import ReportedActivitySource
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World

AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
CELL = '{"header": {"msg_type": "execute_request", "msg_id": "1"}}'
SPACE = Platform("studio-space", "d-1", space_name="s", app_type="JupyterLab", app_name="default")


async def observed(world: World) -> Snapshot:
    await world.observe(False)
    return await world.observe(False)


#: What happens after the look, and whether the kernel then shows it.
EVENTS: dict[str, Callable[[WebsocketClients], object]] = {
    "a client connects": lambda clients: clients.opened("k", 1),
    "a cell is sent": lambda clients: clients.note_incoming("k", CELL),
    "a cell ends": lambda clients: (
        clients.note_incoming("k", CELL),
        clients.requests.of("k").has_finished("1"),
    ),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
async def test_updated_kernel_has_the_actions_of_its_clients_since_the_look(
    event: Callable[[WebsocketClients], object], world: World, clients: WebsocketClients
) -> None:
    snapshot = await observed(world)
    assert world.updated(snapshot, 0.0) is snapshot, "nothing has happened"
    event(clients)
    (kernel,) = world.updated(snapshot, 0.0).kernels
    assert kernel == (await decided(world)), "as the next look shows it"
    assert kernel != snapshot.kernels[0]


async def test_activity_of_the_look_stays_after_it_has_ended(
    world: World, clients: WebsocketClients
) -> None:
    clients.opened("k", 1)
    clients.note_incoming("k", CELL)
    snapshot = await observed(world)
    clients.requests.of("k").has_finished("1")
    clients.closed("k", 1)
    (kernel,) = world.updated(snapshot, 0.0).kernels
    assert (kernel.state, kernel.connections) == ("busy", 1)


async def test_answer_to_input_counts_after_its_client_has_left(
    world: World, manager: Manager, clients: WebsocketClients
) -> None:
    manager.model = {**MODEL, "execution_state": "busy"}
    clients.requests.of("k").asks_for_input("1")
    snapshot = await observed(world)
    assert snapshot.kernels[0].waits_alone
    clients.note_incoming("k", '{"header": {"msg_type": "input_reply"}}')
    assert not world.updated(snapshot, 0.0).kernels[0].waits_alone
    outcome = await world.remove(snapshot.kernels[0], only_unmoved=True)
    assert outcome.result is Result.STALE, "the kernel is looked at in the same way"


@pytest.mark.parametrize(
    ("state", "kept"), [("restarting", True), ("starting", True), ("dead", False)]
)
async def test_kernel_that_a_user_restarts_at_the_last_moment_is_kept(
    state: str, kept: bool, world: World, manager: Manager
) -> None:
    kernel = await decided(world)
    manager.model = {**MODEL, "execution_state": state}
    outcome: Outcome = await world.remove(kernel, only_unmoved=True)
    assert outcome.result is (Result.STALE if kept else Result.REMOVED)


def lifecycle(manager: Any) -> KernelLifecycle:
    return KernelLifecycle(manager, Requests(), Kernel, lambda _: None, lambda _: None)


class StartingManager:
    """A gateway whose kernel is listed only when its start has ended."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.fails = False

    async def start_kernel(self, **_: Any) -> str:
        await self.end.wait()
        if self.fails:
            raise OSError("HTTP 504")
        return "new"

    async def shutdown_kernel(self, kernel_id: str) -> None: ...


@pytest.mark.parametrize("fails", [False, True])
async def test_start_of_a_kernel_counts_from_its_beginning_to_its_end(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(kernel_lifecycle.time, "monotonic", lambda: now[0])
    manager = StartingManager()
    manager.fails, known = fails, lifecycle(manager)
    assert not known.was_started_since(0.0)
    start = asyncio.ensure_future(manager.start_kernel())
    await asyncio.sleep(0)
    assert known.was_started_since(200.0), "a look after its beginning does not list the kernel"
    now[0] += kernel_lifecycle.START_SECONDS + 1
    assert not known.was_started_since(200.0), "a start that hangs holds nothing for ever"
    now[0] = 101.0
    manager.end.set()
    await asyncio.gather(start, return_exceptions=True)
    assert known.was_started_since(99.0)
    assert not known.was_started_since(101.0)


class Terminals:
    """A manager with a terminal that it never lists."""

    def __init__(self) -> None:
        self.terminals: dict[str, object] = {"1": object(), "hidden": object()}

    def list(self) -> list[Any]:
        return [self.get_terminal_model(name) for name in self.terminals if name != "hidden"]

    def get_terminal_model(self, name: str) -> Any:
        return {"name": name, "last_activity": AT.isoformat()}


class OwnApp:
    """A space with one kernel, one terminal and the reports of extensions."""

    def __init__(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = {"read": AT, "written": AT}
        self.job: str | None = None
        self.began_at = 0.0
        monkeypatch.setattr(terminals_module, "device_times", lambda _: tuple(self.times.values()))
        monkeypatch.setattr(terminals_module, "foreground_job", lambda *_: self.job)
        self.manager, self.terminals = Manager(), Terminals()
        self.reported_activity = ReportedActivitySource(
            tmp_path, ActivityFile(tmp_path / "none"), {}
        )
        self.world = World(
            SPACE,
            KernelSource(self.manager, Sessions()),
            TerminalSource({"terminal_manager": self.terminals}),
            None,
            reported_activity=self.reported_activity,
        )

    async def look(self) -> Snapshot:
        await self.world.observe(False)
        self.began_at = time.monotonic()
        return await self.world.look_again((await self.world.observe(False)).apps[0].ref)


@pytest.fixture
def own_app(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> OwnApp:
    return OwnApp(tmp_path, monkeypatch)


async def test_updated_own_app_has_the_activity_since_the_look(own_app: OwnApp) -> None:
    snapshot, world = await own_app.look(), own_app.world
    (app,), later = snapshot.apps, datetime(2026, 3, 2, tzinfo=timezone.utc)
    assert world.updated(snapshot, own_app.began_at) is snapshot, "nothing has happened"
    own_app.times["read"], own_app.job = later, "make"
    own_app.reported_activity._saved_at = later
    own_app.terminals.terminals["2"] = object()
    updated = world.updated(snapshot, own_app.began_at)
    assert [(t.id, t.input_at, t.running_job) for t in updated.terminals] == [
        ("1", later, "make"),
        ("2", later, "make"),
    ]
    assert {t.app for t in updated.terminals} == {app.id}
    assert updated.apps == (replace(app, stamps={Signal.SAVED: later}),)


async def test_terminal_that_another_look_has_listed_meanwhile_is_shown(own_app: OwnApp) -> None:
    snapshot = await own_app.look()
    own_app.terminals.terminals["2"] = object()
    await own_app.world.observe(False)
    updated = own_app.world.updated(snapshot, own_app.began_at)
    assert [terminal.id for terminal in updated.terminals] == ["1", "2"]


async def test_terminal_that_cannot_be_read_any_more_is_unreadable(
    own_app: OwnApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = await own_app.look()

    def fails(_: object) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(terminals_module, "device_times", fails)
    assert own_app.world.updated(snapshot, own_app.began_at).terminals[0].unreadable


async def test_image_terminal_of_another_app_is_not_shown_for_this_app(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = "arn:aws:sagemaker:us-west-2:236514542706:image/pytorch-1.8"
    manager, app = Terminals(), App("KernelGateway", "cpu", "InService", "ml.t3.medium")
    world._terminal_source = TerminalSource({"terminal_manager": manager})
    look = Snapshot(apps=(app,))
    manager.terminals[f"{image}__1__ml.g5.xlarge"] = object()
    assert world.updated(look, 0.0) is look
    manager.terminals[f"{image}__2__ml.t3.medium"] = object()
    (terminal,) = world.updated(look, 0.0).terminals
    assert terminal.app == app.id
    assert isinstance(terminal, Terminal)

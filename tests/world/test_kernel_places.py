"""The app of a kernel in another container while no kernel model names the app."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from one_kernel import MODEL, FakeShells, Manager

from auto_shutdown.core.marks import Mark, first_sight
from auto_shutdown.core.model import App, Kernel, Kind, Ref, Snapshot
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.world.clock import Clock
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.kernel_places import KernelPlaces
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.own_app import stop_instance
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

IMAGE = "arn:aws:sagemaker:us-west-2:236514542706:image/pytorch-1.8"
GPU = App("KernelGateway", "gpu", "InService", "ml.g5.xlarge")
CPU = App("KernelGateway", "cpu", "InService", "ml.t3.medium")
GONE = App("KernelGateway", "gone", "Deleted", "ml.t3.medium")
BARE = Kernel("k", state="busy")


def places(local: bool = False) -> KernelPlaces:
    return KernelPlaces(lambda _kernel_id: local)


def test_kernel_keeps_the_app_that_a_model_once_named() -> None:
    known = places()
    known.fill_in([Kernel("k", app=GPU.id, instance_type="ml.g5.xlarge")])
    (kernel,) = known.fill_in([BARE], [CPU])
    assert (kernel.app, kernel.instance_type) == (GPU.id, "ml.g5.xlarge")
    known.fill_in([], all_listed=True)
    (kernel,) = known.fill_in([BARE], [CPU])
    assert kernel.app is None, "it has ended, and this is another one"


def test_kernel_has_the_app_and_the_instance_type_of_an_earlier_server() -> None:
    known = places()
    known.recall({"k": GPU.id})
    (kernel,) = known.fill_in([BARE], [GPU, CPU])
    assert (kernel.app, kernel.instance_type) == (GPU.id, "ml.g5.xlarge")


def test_kernel_that_was_never_placed_may_be_in_each_app_in_service() -> None:
    (kernel,) = places().fill_in([BARE], [GPU, CPU, GONE])
    assert (kernel.app, kernel.may_be_in) == (None, (GPU.id, CPU.id))
    assert not kernel.is_place_unknown


@pytest.mark.parametrize("apps", [[], [GONE]])
def test_the_place_of_a_kernel_is_unknown_while_no_app_is_known(apps: list[App]) -> None:
    """As after a restart while ListApps cannot be read."""
    (kernel,) = places().fill_in([BARE], apps)
    assert (kernel.app, kernel.may_be_in, kernel.is_place_unknown) == (None, (), True)
    assert not places(local=True).fill_in([BARE], apps)[0].is_place_unknown


def test_kernel_of_this_host_is_in_no_app() -> None:
    assert places(local=True).fill_in([BARE], [GPU]) == (BARE,)


def test_kernel_that_cannot_be_read_is_left_as_it_is() -> None:
    unreadable = Kernel("k", unreadable="HTTP 500")
    assert places().fill_in([unreadable], [GPU]) == (unreadable,)


class Sessions:
    """One session, or none after a restart. ``fails``: the server cannot list the sessions."""

    def __init__(self, *rows: Any) -> None:
        self.rows, self.fails = list(rows), False

    async def list_sessions(self) -> list[Any]:
        if self.fails:
            raise OSError("the database is locked")
        return self.rows


class Apps:
    def __init__(self, *apps: App) -> None:
        self.apps = apps

    async def list_apps(self) -> tuple[App, ...]:
        return self.apps

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome:
        return Outcome(Result.REMOVED if still_removable() else Result.STALE)


def classic(manager: Manager, sessions: Sessions, apps: Apps) -> World:
    kernels = KernelSource(manager, sessions)
    kernels._shutdown._shells = FakeShells()  # type: ignore[assignment]
    return World(Platform("studio-classic"), kernels, TerminalSource({}), apps)  # type: ignore[arg-type]


async def test_failed_list_of_sessions_moves_no_kernel_out_of_its_app() -> None:
    model = {**MODEL, "app_name": "gpu", "instance_type": "ml.g5.xlarge"}
    sessions = Sessions({"path": "train.ipynb", "kernel": model})
    world = classic(Manager(), sessions, Apps(GPU))
    (before,) = (await world.observe(True)).kernels
    sessions.fails = True
    snapshot = await world.observe(True)
    assert Snapshot.SESSIONS in snapshot.unread
    assert snapshot.kernels == (before,)
    assert (before.app, before.paths) == (GPU.id, ("train.ipynb",))


async def test_restarted_server_knows_the_apps_of_its_kernels_from_their_marks() -> None:
    world = classic(Manager(), Sessions(), Apps(GPU, CPU))
    mark: Mark = first_sight(Clock().read().now)
    world.recall({Ref(Kind.KERNEL, "k"): replace(mark, app=CPU.id)})
    (kernel,) = (await world.observe(True)).kernels
    assert (kernel.app, kernel.instance_type) == (CPU.id, "ml.t3.medium")


async def test_a_kernel_that_is_older_than_this_server_may_run_a_cell() -> None:
    """Its manager may report idle although a cell runs. If the kernel ended then, the app once
    looked unused since the last output of the cell."""
    world = classic(Manager(), Sessions(), Apps(GPU, CPU))
    (kernel,) = (await world.observe(True)).kernels
    assert kernel.end_unseen
    world._kernel_source._requests.of("k").shell_answered(time.monotonic(), one_by_one=True)
    (kernel,) = (await world.observe(True)).kernels
    assert not kernel.end_unseen, "and no later reading makes it unknown again"


async def test_look_of_another_task_does_not_bring_an_old_list_of_apps_back() -> None:
    """A removal observes the world beside a pass that has just called ListApps."""
    manager, apps = Manager(), Apps(GPU)
    world = classic(manager, Sessions(), apps)
    await world.observe(True)
    slow, fast = asyncio.Event(), asyncio.Event()
    turns = [slow, fast]

    async def list_kernels() -> list[Any]:
        await turns.pop(0).wait()
        return [manager.model]

    manager.list_kernels = list_kernels  # type: ignore[method-assign,assignment]
    beside = asyncio.ensure_future(world.observe(False))
    await asyncio.sleep(0)
    apps.apps = (CPU,)
    listing = asyncio.ensure_future(world.observe(True))
    await asyncio.sleep(0)
    slow.set()
    await beside
    fast.set()
    assert (await listing).apps == (CPU,)


async def test_last_look_at_an_app_sees_a_kernel_that_began_work_during_that_look() -> None:
    """Between its two readings of the kernels, the last look reads processes and heartbeat files.
    This may take half a minute."""
    manager = Manager()
    model = {**MODEL, "app_name": "gpu"}
    world = classic(manager, Sessions({"path": "a.ipynb", "kernel": model}), Apps(GPU))
    await world.observe(True)

    async def look_around(*_: object) -> None:
        manager.model = {**MODEL, "execution_state": "busy"}

    world._work.look_around = look_around  # type: ignore[method-assign]
    looked = await world.look_again(GPU.ref)
    assert [kernel.state for kernel in looked.kernels] == ["busy"]


@pytest.mark.parametrize(
    ("recalled", "departed"), [({}, (None, True)), ({"k": CPU.id}, (CPU.id, False))]
)
async def test_last_use_of_a_kernel_that_no_model_places_counts_for_its_apps(
    recalled: dict[str, str], departed: tuple[str | None, bool]
) -> None:
    manager = Manager()
    kernels = KernelSource(manager, Sessions())
    world = World(Platform("studio-classic"), kernels, TerminalSource({}), Apps(GPU, CPU))  # type: ignore[arg-type]
    mark = first_sight(Clock().read().now)
    world.recall({Ref(Kind.KERNEL, i): replace(mark, app=app) for i, app in recalled.items()})
    await world.observe(True)
    kernels._requests.of("k").sent({"msg_type": "execute_request", "msg_id": "1"})
    await manager.shutdown_kernel("k")
    manager.list_kernels = list  # type: ignore[method-assign]
    manager.list_kernel_ids = list  # type: ignore[method-assign]
    (departure,) = (await world.observe(True)).departures
    assert (departure.app, departure.anywhere) == departed


class Terminals:
    """One image terminal that fits both apps."""

    def __init__(self, name: str) -> None:
        self.terminals: dict[str, object] = {name: object()}

    def list(self) -> list[Any]:
        return [{"name": name, "last_activity": MODEL["last_activity"]} for name in self.terminals]


@pytest.mark.parametrize("apps", [(GPU,), (GPU, replace(GPU, name="second"))], ids=["one", "two"])
async def test_last_look_at_an_app_has_the_image_terminals_that_may_be_in_it(
    apps: tuple[App, ...],
) -> None:
    manager = Terminals(f"{IMAGE}__1__ml.g5.xlarge")
    kernels = KernelSource(Manager(), Sessions())
    source = TerminalSource({"terminal_manager": manager})
    world = World(Platform("studio-classic"), kernels, source, Apps(*apps))
    await world.observe(True)
    for app in apps:
        assert len((await world.look_again(app.ref)).terminals) == 1


async def test_slow_description_of_an_instance_does_not_prevent_its_stop_for_ever() -> None:
    """The last look becomes too old during the description. The next try needs no description."""
    calls: list[str] = []
    platforms: dict[str, str] = {}

    def invoke(operation: str, _method: str, _request: Any) -> Any:
        calls.append(operation)
        return {"NotebookInstanceStatus": "InService", "PlatformIdentifier": "notebook-al2023-v1"}

    first = stop_instance(invoke, "n", False, lambda: False, platforms)
    assert first.result is Result.STALE
    assert stop_instance(invoke, "n", False, always, platforms).result is Result.REMOVED
    assert calls == ["DescribeNotebookInstance", "StopNotebookInstance"]


async def test_error_of_the_last_decision_does_not_look_like_a_kernel_that_is_gone() -> None:
    manager = Manager()
    world = classic(manager, Sessions(), Apps(GPU))
    (kernel,) = (await world.observe(False)).kernels

    def fails() -> bool:
        raise KeyError("a fault of the planner")

    outcome = await world.remove(kernel, only_unmoved=True, still_removable=fails)
    assert (outcome.result, manager.shut_down) == (Result.TEMPORARY, [])

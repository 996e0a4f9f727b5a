"""The server's own app in the snapshot: SageMaker's description of it, and its deletion in
progress."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from auto_shutdown.core.model import App, Snapshot
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.own_app_status import (
    DESCRIBE_AGAIN_SECONDS,
    DESCRIBE_SECONDS,
    ENDING_SECONDS,
)
from auto_shutdown.world.own_description import Description
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

SPACE = Platform("studio-space", "d-1", None, "s", app_type="JupyterLab", app_name="default")
INSTANCE = Platform("notebook-instance", app_name="mine")


class OneKernel:
    """The managers of a server with one idle kernel."""

    def __init__(self) -> None:
        self.model = {"id": "k", "name": "python3", "execution_state": "idle", "connections": 0}

    def list_kernel_ids(self) -> list[str]:
        return ["k"]

    def kernel_model(self, _kernel_id: str) -> dict[str, Any]:
        return self.model

    def list_kernels(self) -> list[dict[str, Any]]:
        return [self.model]

    def list_sessions(self) -> list[Any]:
        return []


@dataclass
class CountingSageMaker:
    """SageMaker's answers, and the number of calls."""

    description: Description = field(default_factory=Description)
    outcome: Outcome = field(default_factory=lambda: Outcome(Result.REMOVED))
    asked: int = 0
    deleted: int = 0

    async def list_apps(self) -> tuple[App, ...]:
        raise AssertionError("there is one app, and it is known")

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome:
        self.deleted += 1
        return self.outcome

    async def describe_own(self) -> Description:
        self.asked += 1
        return self.description


@dataclass
class Scene:
    platform: Platform = SPACE
    sagemaker: CountingSageMaker = field(default_factory=CountingSageMaker)
    now: float = 0.0

    def __post_init__(self) -> None:
        managers = OneKernel()
        kernels = KernelSource(managers, managers)
        terminals = TerminalSource({})
        self.world = World(self.platform, kernels, terminals, self.sagemaker, now=lambda: self.now)

    async def look(self) -> Snapshot:
        """Observe, wait until the call beside it has ended, and observe again."""
        await self.world.observe(list_apps=True)
        for _ in range(3):
            await asyncio.sleep(0)
        return await self.world.observe(list_apps=True)


async def test_instance_type_of_the_own_app_is_that_of_its_kernels_and_terminals() -> None:
    scene = Scene(sagemaker=CountingSageMaker(Description("ml.g5.xlarge", 90)))
    found = await scene.look()
    assert found.apps[0].instance_type == "ml.g5.xlarge"
    assert [(k.app, k.instance_type) for k in found.kernels] == [
        ("JupyterLab/default", "ml.g5.xlarge")
    ]
    assert scene.world.description.native_idle_minutes == 90


async def test_own_description_is_asked_for_every_few_hours_only() -> None:
    scene = Scene(sagemaker=CountingSageMaker(Description("ml.g5.xlarge", 90)))
    for _ in range(5):
        await scene.look()
    scene.now = DESCRIBE_SECONDS - 1
    await scene.look()
    assert scene.sagemaker.asked == 1
    scene.now = DESCRIBE_SECONDS
    scene.sagemaker.description = Description()
    found = await scene.look()
    assert scene.sagemaker.asked == 2
    # An answer that does not come must not change the limit that rules give by it.
    assert found.apps[0].instance_type == "ml.g5.xlarge"
    assert scene.world.description.native_idle_minutes is None


async def test_unknown_instance_type_is_asked_for_again_sooner() -> None:
    scene = Scene()
    for scene.now in (0.0, DESCRIBE_AGAIN_SECONDS - 1, DESCRIBE_AGAIN_SECONDS):
        await scene.look()
    assert scene.sagemaker.asked == 2


@pytest.mark.parametrize(("platform", "ending"), [(SPACE, "Deleting"), (INSTANCE, "Stopping")])
@pytest.mark.parametrize("result", [Result.REMOVED, Result.GONE])
async def test_the_own_app_is_shown_as_ending_after_sagemaker_accepted(
    platform: Platform, ending: str, result: Result
) -> None:
    scene = Scene(platform, CountingSageMaker(outcome=Outcome(result)))
    (app,) = (await scene.look()).apps
    assert app.status == "InService"
    await scene.world.remove(app, only_unmoved=True)
    scene.now = ENDING_SECONDS - 1
    assert (await scene.look()).apps[0].status == ending
    scene.now = ENDING_SECONDS  # still here: then it was not ended
    assert (await scene.look()).apps[0].status == "InService"


async def test_own_app_is_not_shown_as_ending_after_a_failed_delete() -> None:
    scene = Scene(sagemaker=CountingSageMaker(outcome=Outcome(Result.PERMANENT)))
    (app,) = (await scene.look()).apps
    await scene.world.remove(app, only_unmoved=True)
    assert (await scene.look()).apps[0].status == "InService"
    assert scene.sagemaker.deleted == 1

"""A morning in a Studio: the product's own controller, world and SageMaker client, the real API
of the local Studio, and a clock that is turned by hand, so that hours take a second.

Three apps: one idle, which must go; one with a busy kernel and one that its user keeps, which must
stay. Whatever goes wrong meanwhile, :meth:`Morning.verdict` counts what came of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from value_world import MINUTE, Bench
from waiting import eventually
from wire import Wire

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.local_studio.resources import AppRecord
from auto_shutdown.local_studio.studio import CREDENTIALS, LocalStudio
from auto_shutdown.state.history import History
from auto_shutdown.state.store import Store, StoreError
from auto_shutdown.world import sagemaker
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

#: A user's own, by which lost settings are seen.
SETTINGS = {"idle_timeout_minutes": 12, "warn_minutes": 1}
HELD_MINUTES = 600

#: Tries of the first list of apps in a morning.
FIRST_LISTS = 20

SORTS = ("idle", "busy", "held")

#: Instead of minutes: nobody waits here for what never comes.
SHORT = {"CONNECT_SECONDS": 1, "READ_SECONDS": 0.7, "CALL_SECONDS": 4.0}


class BareStudio(LocalStudio):
    """Its apps are records: nothing runs in them that would have to be real."""

    def _start_app(self, record: AppRecord) -> Any:
        return None


class Kernels:
    """A kernel manager with models and no kernels."""

    def __init__(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        self.models = dict(models)

    def list_kernels(self) -> list[Any]:
        return list(self.models.values())

    def list_kernel_ids(self) -> list[str]:
        return list(self.models)

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.models

    def kernel_model(self, kernel_id: str) -> Mapping[str, Any]:
        return self.models[kernel_id]

    def get_kernel(self, kernel_id: str) -> Any:
        raise KeyError(kernel_id)

    async def shutdown_kernel(self, kernel_id: str) -> None:
        del self.models[kernel_id]


class Sessions:
    async def list_sessions(self) -> list[Any]:
        return []


@dataclass(frozen=True)
class Verdict:
    """What came of one try of one fault."""

    wrongly_removed: int
    lost: int
    recovered: bool
    note: str = ""

    @property
    def good(self) -> bool:
        return not self.wrongly_removed and not self.lost and self.recovered


class Morning(Bench):
    """One server's morning at ``studio``."""

    studio: Any

    def __init__(self, path: Path, studio: Any, name: str) -> None:
        for constant, value in SHORT.items():
            setattr(sagemaker, constant, value)
        os.environ.update(CREDENTIALS)
        self.studio, self.name = studio, name
        self.wire = Wire(int(studio.api.url.rsplit(":", 1)[1]))
        super().__init__(path, Limits(), self._world(studio))  # type: ignore[arg-type]

    def make(self) -> Controller:
        parts = (Store(self.path, self.name), History(self.path, self.name))
        world: Any = self.world
        clock: Any = self.clock
        return Controller(world, *parts, self.limits, clock, self.log)

    def _world(self, studio: Any) -> World:
        for app in SORTS:
            if studio.status(self.app(app)) is None:
                self.create(app)
        model = {"last_activity": "2026-03-01T12:00:00Z", "connections": 0, "name": "python3"}
        busy = {**model, "id": f"busy-{self.name}", "execution_state": "busy"}
        self.kernels = Kernels({busy["id"]: {**busy, "app_name": self.app("busy")}})
        platform = Platform(
            "studio-classic", studio.domain_id, studio.user_profile_name, region_name=studio.region
        )
        self.sagemaker = SageMaker(platform, self.wire.url)
        source = KernelSource(self.kernels, Sessions())
        return World(platform, source, TerminalSource({}), self.sagemaker)

    def app(self, sort: str) -> str:
        return f"{sort}-{self.name}"

    def create(self, sort: str) -> None:
        self.studio.client().create_app(
            DomainId=self.studio.domain_id,
            AppType="KernelGateway",
            AppName=self.app(sort),
            ResourceSpec={"InstanceType": "ml.t3.medium"},
            **dict([self.studio.owner]),
        )

    async def begin(self) -> None:
        """Up to the moment at which the idle app is due in a minute."""
        await self.settle_in()
        await self.live(11 * MINUTE)

    async def settle_in(self) -> None:
        """A user's wishes."""
        await self.controller.load()
        await self.controller.requests.patch_settings(SETTINGS)
        held = Ref(Kind.APP, f"KernelGateway/{self.app('held')}")
        # On a busy machine the first list, which loads boto3, can exceed its time limit.
        for _ in range(FIRST_LISTS):
            await self.controller.check(list_apps=True)
            if any(each["id"] == held.id for each in self.controller.report()["resources"]):
                break
        await self.controller.requests.keep_alive(held, HELD_MINUTES)

    async def pass_by(self, minutes: float) -> None:
        """Live on; a pass that raises would be the server's log's."""
        with suppress(StoreError):
            await self.live(timedelta(minutes=minutes))

    def verdict(self, note: str = "") -> Verdict:
        """To be called when the fault has been over for a while."""
        deleted = {
            call.request.get("AppName")
            for call in self.studio.api.calls
            if call.operation == "DeleteApp" and str(call.request["AppName"]).endswith(self.name)
        }
        statuses = {sort: self.studio.status(self.app(sort)) for sort in SORTS}
        wrong = len(deleted - {self.app("idle")})
        faults = self.controller.report()["health"]["faults"]
        recovered = not faults and statuses == {
            "idle": "Deleted",
            "busy": "InService",
            "held": "InService",
        }
        told = "" if recovered else f" {statuses}, {faults}"
        return Verdict(wrong, self.lost(deleted), recovered, note + told)

    def lost(self, deleted: set[Any]) -> int:
        """Settings, keep-alives and audit lines that are not on disk as they must be."""
        stored = json.loads((self.path / "settings.json").read_text())["settings"]
        holds = json.loads((self.path / f"keep-alive-{self.name}.json").read_text())["keep_alive"]
        lines = self.audit_lines()
        missing = deleted - {line["name"] for line in lines if line is not None}
        unfinished = [line for line in lines if line is None or "outcome" not in line]
        return (
            sum(stored.get(name) != value for name, value in SETTINGS.items())
            + (self.app("held") not in str(holds))
            + len(missing)
            + len(unfinished)
        )

    def audit_lines(self) -> list[dict[str, Any] | None]:
        """All lines of the log; None for one that is not whole."""
        found: list[dict[str, Any] | None] = []
        path = self.path / f"history-{self.name}.jsonl"
        for line in path.read_text().split("\n") if path.exists() else []:
            try:
                found.append(json.loads(line) if line else {"name": "", "outcome": ""})
            except ValueError:
                found.append(None)
        return found

    def close(self) -> None:
        """The next morning begins with nothing of this one."""
        self.sagemaker.close()
        self.wire.close()
        self.studio.api.faults.clear()
        for sort in SORTS:
            if self.studio.status(self.app(sort)) == "InService":
                self.studio.client().delete_app(
                    DomainId=self.studio.domain_id,
                    AppType="KernelGateway",
                    AppName=self.app(sort),
                    **dict([self.studio.owner]),
                )


Step = Callable[[Morning], Any]


async def lived(morning: Morning, begins: Step, ends: Step, note: str = "") -> Verdict:
    """A morning with a fault in the very minutes in which the idle app is due."""
    try:
        await morning.begin()
        begins(morning)
        await morning.pass_by(8)
        ends(morning)
        # The longest wait after so few failures, and a whole limit more.
        await morning.pass_by(32)
        # The API takes the app down in a thread of its own, after it has accepted the request.
        await eventually(
            lambda: morning.studio.status(morning.app("idle")) != "Deleting", "the app is gone"
        )
        # The real API answers in 0.7 s (SHORT), unless the machine is busy: that is one more fault,
        # and the next passes are over it.
        for _ in range(5):
            await morning.pass_by(2)
            verdict = morning.verdict(note)
            if verdict.good:
                break
        return verdict
    finally:
        morning.close()

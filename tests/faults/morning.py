"""A simulated morning in a Studio, with a fault in it.

The controller, the world, the SageMaker client and the state files are the product's own. The API
is the local Studio's. The test sets the clock, so that hours take a second.

There are three apps. One is idle and must be removed. One has a busy kernel, one has a keep-alive
of its user; both must stay. :meth:`Morning.verdict` counts what went wrong.
"""

from __future__ import annotations

import json
import os
import threading
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
from auto_shutdown.cycle import controller as controller_module
from auto_shutdown.cycle import one_pass, pass_patience, pass_runner
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.local_studio.resources import AppRecord
from auto_shutdown.local_studio.studio import CREDENTIALS, LocalStudio
from auto_shutdown.state import store as store_module
from auto_shutdown.state.history import History
from auto_shutdown.state.store import Store, StoreError
from auto_shutdown.world import app_list, sagemaker, sagemaker_client
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SageMaker
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

#: The user's settings and keep-alive. A test sees by them whether any are lost.
SETTINGS = {"idle_timeout_minutes": 12, "warn_minutes": 1}
HELD_MINUTES = 600

#: How often a morning asks for its first list of apps.
FIRST_LISTS = 20

SORTS = ("idle", "busy", "held")

#: The product's time limits while the API or the wire to it is broken: nobody waits here for an
#: answer that never comes. At all other times the limits are the product's own.
SHORT_LIMITS = {
    (sagemaker_client, "CONNECT_SECONDS"): 1,
    (sagemaker_client, "READ_SECONDS"): 0.7,
    (sagemaker, "CALL_SECONDS"): 4.0,
}

#: Nothing else hangs here, however slow a busy machine and its disk are. With the product's own
#: limits (15 s for a file, 5 s for a lock, 30 s for a pass) a slow machine would be a second fault.
PATIENT_SECONDS = 600.0
PATIENT_LIMITS = (
    (controller_module, "CHECK_SECONDS"),
    (pass_runner, "LOOK_SECONDS"),
    (pass_runner, "CHECK_LIST_SECONDS"),
    (controller_module, "SAVE_SECONDS"),
    (app_list, "LIST_SECONDS"),
    (one_pass, "REMOVAL_SECONDS"),
    (one_pass, "REMOVALS_SECONDS"),
    (pass_patience, "SIGNAL_SECONDS"),
    (store_module, "LOCK_SECONDS"),
)


class BareStudio(LocalStudio):
    """A local Studio whose apps are records only: no process runs in them."""

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
    """The result of one try of one fault. ``note`` says what has not recovered."""

    wrongly_removed: int
    lost: int
    recovered: bool
    note: str = ""

    @property
    def good(self) -> bool:
        return not self.wrongly_removed and not self.lost and self.recovered


class Morning(Bench):
    """The morning of one server at ``studio``. ``name`` is part of the names of its apps."""

    studio: Any

    def __init__(self, path: Path, studio: Any, name: str) -> None:
        os.environ.update(CREDENTIALS)
        self.studio, self.name = studio, name
        self.wire = Wire(int(studio.api.url.rsplit(":", 1)[1]))
        super().__init__(path, Limits(), self._world(studio))  # type: ignore[arg-type]

    def make(self) -> Controller:
        parts = (Store(self.path, self.name), History(self.path, self.name))
        world: Any = self.world
        clock: Any = self.clock
        controller = Controller(world, *parts, self.limits, clock, self.log)
        be_patient(controller)
        return controller

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
        self.sessions, self.blocked = Sessions(), threading.Event()
        source = KernelSource(self.kernels, self.sessions)
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
        """Live until a minute before the idle app is due."""
        await self.settle_in()
        await self.live(11 * MINUTE)

    async def settle_in(self) -> None:
        """Load the state, and set the user's settings and keep-alive."""
        await self.controller.load()
        await self.controller.requests.patch_settings(SETTINGS)
        held = Ref(Kind.APP, f"KernelGateway/{self.app('held')}")
        # On a busy machine the first list, which loads boto3, can exceed its time limit of 40 s.
        for _ in range(FIRST_LISTS):
            await self.controller.check(list_apps=True)
            if any(each["id"] == held.id for each in self.controller.report()["resources"]):
                break
        await self.controller.requests.keep_alive(held, HELD_MINUTES)

    async def pass_by(self, minutes: float) -> None:
        """Live on. A server only logs the error of a pass."""
        with suppress(StoreError):
            await self.live(timedelta(minutes=minutes))

    def verdict(self, note: str = "") -> Verdict:
        """The result. Call it when the fault has been over for a while."""
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
        what_is_wrong = "" if recovered else f" {statuses}, {faults}"
        return Verdict(wrong, self.lost(deleted), recovered, note + what_is_wrong)

    def lost(self, deleted: set[Any]) -> int:
        """The number of settings, keep-alives and audit lines that are missing on disk."""
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
        """All lines of the audit log; None for an incomplete line."""
        lines: list[dict[str, Any] | None] = []
        path = self.path / f"history-{self.name}.jsonl"
        for line in path.read_text().split("\n") if path.exists() else []:
            try:
                lines.append(json.loads(line) if line else {"name": "", "outcome": ""})
            except ValueError:
                lines.append(None)
        return lines

    def set_call_limits(self, limits: Mapping[tuple[Any, str], float]) -> None:
        """Use these time limits for calls to SageMaker from now on, also in the next client."""
        for (module, constant), value in limits.items():
            setattr(module, constant, value)
        self.sagemaker._client = None

    async def calls_returned(self) -> None:
        """Wait for the calls that hang: the product begins no others while three of them do."""
        workers = self.sagemaker.workers
        await eventually(
            lambda: not any(thread.is_alive() for each in workers for thread in each._stuck),
            "the calls return",
        )

    def close(self) -> None:
        """End the faults and delete the apps, for the next morning at this Studio."""
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


def be_patient(controller: Controller) -> None:
    """Let this controller wait longer for the file system, for its passes and their removals."""
    for module, limit in PATIENT_LIMITS:
        setattr(module, limit, PATIENT_SECONDS)
    for part in (controller.preferences._store, controller._history):
        part._files._seconds = PATIENT_SECONDS


Step = Callable[[Morning], Any]


async def morning_with_fault(
    morning: Morning, start_fault: Step, end_fault: Step, note: str = "", minutes: float = 8
) -> Verdict:
    """A morning with a fault that lasts ``minutes``. In these minutes the idle app is due."""
    try:
        await morning.begin()
        start_fault(morning)
        await morning.pass_by(minutes)
        end_fault(morning)
        await morning.calls_returned()
        # The longest wait after so few failures, and a whole limit more.
        await morning.pass_by(32)
        # The API ends the app in a thread of its own, after it has accepted the request.
        await eventually(
            lambda: morning.studio.status(morning.app("idle")) != "Deleting", "the app is deleted"
        )
        # On a busy machine one more call may have failed: the next passes recover from it.
        for _ in range(5):
            await morning.pass_by(2)
            verdict = morning.verdict(note)
            if verdict.good:
                break
        return verdict
    finally:
        morning.close()

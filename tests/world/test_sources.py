"""Kernels, sessions and apps as the sources read them: time stamps, models, and failures."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from traitlets import TraitError

from auto_shutdown.core.model import App, Kernel, Ref
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.world.final_check import FinalCheck, always
from auto_shutdown.world.kernel_models import Joined, join
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.stamps import parse_stamp
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

ARN = "arn:aws:sagemaker:us-west-2:236514542706:image/datascience-1.0"
WHEN = datetime(2021, 6, 14, 19, 34, 13, 627524, timezone.utc)

STAMPS = {
    "2021-06-14T19:34:13.627524Z": WHEN,
    "2021-06-14T19:34:13.627Z": WHEN.replace(microsecond=627000),
    "2021-06-14T19:34:13Z": WHEN.replace(microsecond=0),
    "2021-06-14t19:34:13.627524z": WHEN,
    "2021-06-14T19:34:13.627524+00:00": WHEN,
    "2021-06-14T12:34:13.627524-07:00": WHEN,
    "2021-06-15T04:34:13.627524+0900": WHEN,
    "2021-06-14T19:34:13.627524": WHEN,
    "": None,
    None: None,
}


@pytest.mark.parametrize("text", STAMPS)
def test_jupyter_time_stamps_are_parsed(text: str | None) -> None:
    assert parse_stamp(text) == STAMPS[text]


MALFORMED: list[Any] = [
    "yesterday",
    5,
    "2021-06-14",
    "2021-13-14T19:34:13Z",
    {},
    # In UTC these instants are outside the years 1 to 9999:
    "0001-01-01T00:00:00+01:00",
    "9999-12-31T23:59:59-01:00",
    datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
]


@pytest.mark.parametrize("junk", MALFORMED, ids=str)
def test_malformed_time_stamp_raises(junk: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_stamp(junk)


@pytest.mark.parametrize("zone", ["America/St_Johns", "Asia/Tokyo", "UTC"])
def test_datetime_of_any_zone_keeps_its_instant(zone: str) -> None:
    assert parse_stamp(WHEN.astimezone(ZoneInfo(zone))) == WHEN
    assert parse_stamp(WHEN.replace(tzinfo=None)) == WHEN


MODEL = {
    "id": "k1",
    "name": f"python3__SAGEMAKER_INTERNAL__{ARN}",
    "last_activity": "2021-06-14T19:34:13.627524Z",
    "execution_state": "idle",
    "connections": 1,
    "instance_type": "ml.t3.medium",
    "app_name": "datascience-1-0-ml-t3-medium-1",
}


def test_kernel_model_of_studio_classic_is_read() -> None:
    (kernel,) = join({"k1": MODEL}, {}, [{"path": "a.ipynb", "kernel": MODEL}])
    assert kernel == Kernel(
        "k1",
        "python3",
        "idle",
        WHEN,
        1,
        "KernelGateway/datascience-1-0-ml-t3-medium-1",
        "ml.t3.medium",
        ARN,
        ("a.ipynb",),
    )


def test_sessions_of_every_shape_are_joined() -> None:
    bare = {k: v for k, v in MODEL.items() if k not in ("app_name", "instance_type")}
    sessions: list[dict[str, Any]] = [
        {"path": "null.ipynb", "kernel": None},
        {"path": "none.ipynb"},
        {"path": "empty.ipynb", "kernel": {}},
        {"path": "a.ipynb", "kernel": MODEL},
        {"path": "b.ipynb", "kernel": MODEL},
        {"path": "only.ipynb", "kernel": {**MODEL, "id": "k2", "app_name": "unlisted"}},
        {"path": "broken.ipynb", "kernel": {"id": "k3"}},
    ]
    kernels = {k.id: k for k in join({"k1": bare}, {"k3": "TraitError"}, sessions)}
    assert set(kernels) == {"k1", "k2", "k3"}
    assert kernels["k1"].app == "KernelGateway/datascience-1-0-ml-t3-medium-1"
    assert kernels["k1"].paths == ("a.ipynb", "b.ipynb")
    assert kernels["k2"].app == "KernelGateway/unlisted"
    assert kernels["k3"].unreadable == "TraitError"


def test_only_changed_kernels_are_new_objects() -> None:
    """This holds also if a manager always changes the one model of its kernel."""
    before: Joined = {}
    model, session = dict(MODEL), {"path": "a.ipynb", "kernel": MODEL}
    (first,) = join({"k1": model}, {}, [session], before)
    assert join({"k1": dict(model)}, {}, [session], before)[0] is first
    model["execution_state"] = "busy"
    (second,) = join({"k1": model}, {}, [session], before)
    assert second.state == "busy"
    (third,) = join({"k1": model}, {}, [{**session, "path": "b.ipynb"}], before)
    assert third.paths == ("b.ipynb",)
    assert join({}, {}, [], before) == ()
    assert before == {}


@pytest.mark.parametrize(
    "spoiled", [{"last_activity": "yesterday"}, {"last_activity": 5}, {"connections": "many"}]
)
def test_a_kernel_with_an_invalid_model_is_unreadable(spoiled: dict[str, Any]) -> None:
    (kernel,) = join({"k1": {**MODEL, **spoiled}}, {}, [])
    assert kernel.unreadable


@pytest.mark.parametrize("value", [7, "", None, ["app"], {}, True])
def test_an_app_name_of_another_type_is_not_known(value: Any) -> None:
    (kernel,) = join({"k1": {**MODEL, "app_name": value, "instance_type": value}}, {}, [])
    assert (kernel.app, kernel.instance_type, bool(kernel.unreadable)) == (None, None, False)


class Manager:
    """A kernel manager with one kernel that is starting. It behaves like jupyter_server's."""

    models: ClassVar[dict[str, Any]] = {
        "good": {**MODEL, "id": "good"},
        "starting": None,
        "null": None,
    }

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.models

    def list_kernel_ids(self) -> list[str]:
        return list(self.models)

    def list_kernels(self) -> list[Any]:
        raise TraitError("last_activity")

    def kernel_model(self, kernel_id: str) -> Any:
        if kernel_id == "starting":
            raise TraitError("last_activity")
        return self.models[kernel_id]


class RemoteManager(Manager):
    """A remote manager: it is asynchronous, and one kernel is missing from its list."""

    async def list_kernels(self) -> list[Any]:  # type: ignore[override]
        return [self.models["good"]]

    async def kernel_model(self, kernel_id: str) -> Any:
        return super().kernel_model(kernel_id)


class Sessions:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def list_sessions(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("manager", [Manager(), RemoteManager()])
async def test_one_unreadable_kernel_does_not_affect_the_others(manager: Any) -> None:
    models, unreadable = await KernelSource(manager, Sessions()).read()
    assert set(models) == {"good"}
    assert set(unreadable) == {"starting", "null"}


async def test_failed_read_of_sessions_keeps_the_last_sessions() -> None:
    source = KernelSource(Manager(), Sessions([{"path": "a"}], TraitError("x"), OSError("db")))
    assert await source.read_sessions() == [{"path": "a"}]
    assert await source.read_sessions() == [{"path": "a"}]
    with pytest.raises(OSError, match="db"):
        await source.read_sessions()


class FakeApps:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def list_apps(self) -> Any:
        return self.answers.pop(0)

    async def delete_app(self, app: App, still_removable: FinalCheck = always) -> Outcome:
        return Outcome(Result.REMOVED)


class Broken:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("down")


async def test_failing_source_is_named_and_the_others_are_read() -> None:
    app = App("KernelGateway", "a", "InService")
    source = TerminalSource({"terminal_manager": Broken()})
    kernels = KernelSource(Manager(), Sessions([], []))
    world = World(Platform("studio-classic"), kernels, source, FakeApps((app,)))
    snapshot = await world.observe(list_apps=True)
    assert set(snapshot.unread) == {"terminals"}
    assert snapshot.apps == (app,)
    assert (await world.observe(list_apps=False)).apps == (app,)
    bearing = await world.look_again(Ref(app.ref.kind, app.id))
    assert bearing.apps == (app,)

    broken = World(Platform(), KernelSource(Broken(), Broken()), TerminalSource({}), None)
    snapshot = await broken.observe(list_apps=True)
    assert set(snapshot.unread) == {"kernels", "sessions"}
    assert snapshot.terminals == ()
    assert (await broken.remove(app, False)).result is Result.PERMANENT


async def test_an_app_without_resource_spec_takes_its_kernels_instance_type() -> None:
    """boto3 1.26 returns every app without a ResourceSpec."""
    name = str(MODEL["app_name"])
    bare, other = (App("KernelGateway", n, "InService") for n in (name, "other"))
    source = KernelSource(Manager(), Sessions([]))
    world = World(Platform("studio-classic"), source, TerminalSource({}), FakeApps((bare, other)))
    apps = (await world.observe(list_apps=True)).apps
    assert [app.instance_type for app in apps] == ["ml.t3.medium", None]


@pytest.mark.slow
async def test_real_kernel_is_read_and_shut_down(jp_serverapp: Any) -> None:
    source = KernelSource(jp_serverapp.kernel_manager, jp_serverapp.session_manager)
    kernel_id = await jp_serverapp.kernel_manager.start_kernel(kernel_name="python3")
    models, unreadable = await source.read()
    (kernel,) = join(models, unreadable, await source.read_sessions())
    assert (kernel.id, kernel.name, kernel.app) == (kernel_id, "python3", None)
    assert kernel.last_activity is not None
    assert (await source.remove(kernel, False)).result is Result.REMOVED
    assert (await source.remove(kernel, False)).result is Result.GONE
    assert await source.read() == ({}, {})

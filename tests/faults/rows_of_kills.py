"""SIGKILL before and after each write to the disk and each call to SageMaker. Then the server is
started again.

This file is also the program that is killed. In its own process it patches ``os.fsync``,
``os.replace`` and the call to SageMaker; the product has no hook for this.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from morning import SETTINGS, SORTS, BareStudio, Morning, Verdict

from auto_shutdown.world.sagemaker import SageMaker

PATHS = ("tests", "tests/faults", "tests/cycle")
ROOT = Path(__file__).resolve().parents[2]

#: One run takes 2 s on an idle machine. Only a run that hangs takes so long.
RUN_SECONDS = 1200.0


class Remote:
    """The Studio in another process, reached through its API."""

    region = "us-west-2"
    user_profile_name = "ada"
    owner = ("UserProfileName", "ada")

    def __init__(self, url: str, domain_id: str) -> None:
        self.api = SimpleNamespace(url=url)
        self.domain_id = domain_id

    def client(self) -> Any:
        from boto3.session import Session

        return Session("l", "l", region_name=self.region).client(
            "sagemaker", endpoint_url=self.api.url
        )

    def status(self, _: str) -> str:
        return "InService"


class Killer:
    """Counts the steps of this process, and kills it at step ``at`` (0: never)."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)
        if len(self.steps) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def patched(*arguments: Any, **more: Any) -> Any:
            self.step(f"before {name}")
            result = function(*arguments, **more)
            self.step(f"after {name}")
            return result

        return patched


async def day(path: Path, url: str, domain_id: str, name: str, at: int) -> None:
    """Run one server for half an hour. It prints the settings and keep-alives that it has loaded,
    that it has acknowledged those of the user, and its steps."""
    killer = Killer(at)
    morning = Morning(path, Remote(url, domain_id), name)
    os.fsync = killer.around("fsync", os.fsync)  # type: ignore[assignment]
    os.replace = killer.around("replace", os.replace)
    SageMaker._invoke = killer.around("call", SageMaker._invoke)  # type: ignore[method-assign]
    await morning.controller.load()
    user = morning.controller.preferences.view()["user"]
    print(
        json.dumps({"user": user, "holds": morning.controller.requests.keep_alives()}), flush=True
    )
    await morning.settle_in()
    print(json.dumps({"acknowledged": True}), flush=True)
    await morning.pass_by(30)
    morning.controller._loop = asyncio.ensure_future(asyncio.sleep(0))
    await morning.controller.stop()
    print(json.dumps({"steps": killer.steps}), flush=True)
    os._exit(0)


def _run(path: Path, studio: BareStudio, name: str, at: int) -> tuple[int, list[Any]]:
    argv = [sys.executable, __file__, str(path), studio.api.url, studio.domain_id, name, str(at)]
    paths = os.pathsep.join(str(ROOT / part) for part in PATHS)
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([paths, str(ROOT)])},
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(done.stderr[-3000:])
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def steps(root: Path, studio: BareStudio) -> int:
    """The number of steps in one run."""
    _create(studio, "whole-day")
    _, printed = _run(root / "whole-day", studio, "whole-day", 0)
    return len(printed[-1]["steps"])


def _create(studio: BareStudio, name: str) -> None:
    for sort in SORTS:
        studio.client().create_app(
            DomainId=studio.domain_id,
            AppType="KernelGateway",
            AppName=f"{sort}-{name}",
            **dict([studio.owner]),
        )


async def killed_at(root: Path, studio: BareStudio, at: int) -> Verdict:
    """A server that is killed at step ``at``, and a second one that runs to its end."""
    name = f"killed-{at}"
    _create(studio, name)
    code, printed = await asyncio.to_thread(_run, root / name, studio, name, at)
    assert code == -signal.SIGKILL, f"this run has no step {at}: {printed[-1]}"
    acknowledged = printed[-1:] == [{"acknowledged": True}]
    _, printed = await asyncio.to_thread(_run, root / name, studio, name, 0)
    morning = Morning(root / name, studio, name)
    try:
        loaded = printed[0]
        forgotten = acknowledged and (loaded["user"] != SETTINGS or not loaded["holds"])
        await morning.controller.load()
        await morning.controller.check(list_apps=True)
        verdict = morning.verdict()
        return Verdict(
            verdict.wrongly_removed, verdict.lost + forgotten, verdict.recovered, verdict.note
        )
    finally:
        morning.close()


if __name__ == "__main__":
    root, url, domain_id, name, at = sys.argv[1:]
    asyncio.run(day(Path(root), url, domain_id, name, int(at)))

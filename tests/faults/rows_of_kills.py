"""SIGKILL at every write: the server ends between one step to the disk, or to SageMaker, and the
next, wherever that is; then it is started again.

This file is also the program that is killed. It patches ``os.fsync``, ``os.replace`` and the call
to SageMaker from outside, in a process of its own; the product has no such hook.
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


class Remote:
    """The Studio as another process sees it: through its API."""

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


class Executioner:
    """Counts the steps, and ends the process at one of them (0: at none)."""

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
            found = function(*arguments, **more)
            self.step(f"after {name}")
            return found

        return patched


async def day(path: Path, url: str, domain_id: str, name: str, at: int) -> None:
    """One run: what an earlier one has acknowledged must be there, the rest is done."""
    executioner = Executioner(at)
    morning = Morning(path, Remote(url, domain_id), name)
    os.fsync = executioner.around("fsync", os.fsync)  # type: ignore[assignment]
    os.replace = executioner.around("replace", os.replace)
    SageMaker._invoke = executioner.around("call", SageMaker._invoke)  # type: ignore[method-assign]
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
    print(json.dumps({"steps": executioner.steps}), flush=True)
    os._exit(0)


def _run(path: Path, studio: BareStudio, name: str, at: int) -> tuple[int, list[Any]]:
    argv = [sys.executable, __file__, str(path), studio.api.url, studio.domain_id, name, str(at)]
    paths = os.pathsep.join(str(ROOT / part) for part in PATHS)
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([paths, str(ROOT)])},
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(done.stderr[-3000:])
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def steps(root: Path, studio: BareStudio) -> int:
    """How many there are in one run, from its start to its end."""
    _create(studio, "whole-day")
    _, said = _run(root / "whole-day", studio, "whole-day", 0)
    return len(said[-1]["steps"])


def _create(studio: BareStudio, name: str) -> None:
    for sort in SORTS:
        studio.client().create_app(
            DomainId=studio.domain_id,
            AppType="KernelGateway",
            AppName=f"{sort}-{name}",
            **dict([studio.owner]),
        )


async def killed_at(root: Path, studio: BareStudio, at: int) -> Verdict:
    """Killed at that step, started again, and left to its end."""
    name = f"killed-{at}"
    _create(studio, name)
    code, said = await asyncio.to_thread(_run, root / name, studio, name, at)
    assert code == -signal.SIGKILL, "there are fewer steps than that"
    acknowledged = said[-1:] == [{"acknowledged": True}]
    _, after = await asyncio.to_thread(_run, root / name, studio, name, 0)
    morning = Morning(root / name, studio, name)
    try:
        found = after[0]
        forgotten = acknowledged and (found["user"] != SETTINGS or not found["holds"])
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

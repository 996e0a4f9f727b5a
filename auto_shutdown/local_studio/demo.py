"""The demo: a user leaves some kernels and apps idle and others at work, and within a minute the
extension removes the idle ones. The demo uses only the extension's HTTP API, as any client
would."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from .scene import CPU, GPU, KEPT, LEFT, SPARE, TRAINING, Scene, set_the_scene
from .screen import Screen, name_of
from .server import JupyterServerApp
from .studio import LocalStudio

#: Limits that fit a demo: seconds where a user would have hours.
IDLE_SECONDS = 25
WARN_SECONDS = 8
CONFIG = {
    "min_idle_timeout_minutes": 0.1,
    "idle_timeout_minutes": IDLE_SECONDS / 60,
    "grace_minutes": 0.1,
    "warn_minutes": WARN_SECONDS / 60,
    "poll_interval_seconds": 3,
}

#: How long all removals may take.
DEADLINE_SECONDS = 240

#: How long the demo goes on after the last removal, to see that the other apps stay.
AFTERWARDS_SECONDS = 8


def run(root: Path, console: Console | None = None) -> int:
    """Run the demo with its files below ``root``. Returns 0 only if the idle kernels and apps were
    removed and all others still run."""
    screen = Screen(console or Console())
    screen.say(
        "A small SageMaker Studio on this machine. Its API, apps, kernels and JupyterLab are real "
        "processes; nothing leaves this machine. It takes about a minute.\n"
    )
    screen.step("Starting the SageMaker API")
    with LocalStudio(root) as studio:
        config = {**CONFIG, "metadata_path": str(studio.metadata_path)}
        screen.step("Starting JupyterLab with the extension auto_shutdown")
        server = studio.start_server({"AutoShutdown": config})
        scene = set_the_scene(studio, server, screen.step)
        screen.say(
            f"\nNow the user walks away. Idle for {IDLE_SECONDS} s means removed here, with a "
            f"notice {WARN_SECONDS} s before. (By default: 2 hours and 5 minutes.)\n"
        )
        with screen.watching():
            prices = _watch(studio, server, screen, scene)
        code = _sum_up(studio, server, screen, scene, prices)
        screen.say()
        screen.step("Stopping JupyterLab, the apps and the SageMaker API")
        return code


def _watch(
    studio: LocalStudio, server: JupyterServerApp, screen: Screen, scene: Scene
) -> dict[str, float | None]:
    """Show the report until the idle apps are gone and the others have stayed for a while, or until
    the deadline. Returns the US dollars an hour of each instance type in the reports."""
    prices: dict[str, float | None] = {}
    deadline = time.monotonic() + DEADLINE_SECONDS
    end: float | None = None
    while time.monotonic() < (end or deadline):
        report = server.status()
        prices.update(report["savings"]["usd_per_hour"])
        screen.show(report)
        if end is None and _idle_apps_are_gone(studio, scene):
            end = time.monotonic() + AFTERWARDS_SECONDS
        time.sleep(0.5)
    screen.show(server.status())
    return prices


def _idle_apps_are_gone(studio: LocalStudio, scene: Scene) -> bool:
    return all(studio.status(scene.apps[instance]) == "Deleted" for instance in (SPARE, GPU))


def _sum_up(
    studio: LocalStudio,
    server: JupyterServerApp,
    screen: Screen,
    scene: Scene,
    prices: Mapping[str, float | None],
) -> int:
    """Print what was removed and kept, and check it against the calls that the SageMaker API
    received, the kernels of the server, and the report. Returns the exit code."""
    report = {resource["id"]: resource for resource in server.status()["resources"]}
    history = server.request("GET", "auto-shutdown/history")["history"]
    types = {name: instance for instance, name in scene.apps.items()}
    screen.say("\nRemoved:")
    for entry in reversed(history):
        what = {"paths": [], **entry, "instance_type": types.get(entry["name"], entry["name"])}
        how = ", with DeleteApp" if entry["kind"] == "app" else ""
        screen.points([("  -", "red", f"{name_of(what)}{how}. {entry['detail']}")])
    screen.say("Kept:")
    for resource in report.values():
        if resource["action"] == "keep" and resource["state"] not in ("Deleted", "Deleting"):
            screen.points([("  -", "green", f"{name_of(resource)}. {resource['detail']}")])
    _say_what_was_saved(studio, screen, scene, prices)
    checks = _checks(studio, server, scene, report)
    screen.say("\nChecks:")
    screen.points(
        ("  ok  ", "green", text) if right else ("  FAIL", "bold red", text)
        for text, right in checks.items()
    )
    return 0 if all(checks.values()) else 1


def _say_what_was_saved(
    studio: LocalStudio, screen: Screen, scene: Scene, prices: Mapping[str, float | None]
) -> None:
    """Print the savings. ``prices`` are US dollars an hour by instance type, from reports before
    the removals."""
    # Rounded before they are added, so that the sum is that of the parts that people see.
    saved = {
        instance: round(prices.get(instance) or 0.0, 3)
        for instance, name in scene.apps.items()
        if studio.status(name) == "Deleted"
    }
    parts = ", ".join(f"{instance} ${usd:.3f}" for instance, usd in sorted(saved.items()))
    if saved:
        screen.say(f"Saved: ${sum(saved.values()):.3f} an hour from now on ({parts}).")


def _checks(
    studio: LocalStudio, server: JupyterServerApp, scene: Scene, report: Mapping[str, Any]
) -> dict[str, bool]:
    deleted = sorted(c.request["AppName"] for c in studio.api.calls if c.operation == "DeleteApp")
    alive = {kernel["id"] for kernel in server.request("GET", "api/kernels")}

    def lives(path: str, reason: str) -> bool:
        kernel = scene.kernels[path]
        return kernel in alive and report.get(kernel, {}).get("reason") == reason

    return {
        "The two idle apps are gone.": _idle_apps_are_gone(studio, scene),
        "Each of them was deleted with one call to SageMaker, and no other app was.": (
            deleted == sorted(scene.apps[instance] for instance in (SPARE, GPU))
        ),
        f"The idle kernel of {LEFT} was shut down.": scene.kernels[LEFT] not in alive,
        f"{TRAINING} still runs its cell, although it prints nothing.": lives(TRAINING, "busy"),
        f"{KEPT} is still there, because its user asked for it.": lives(KEPT, "kept-alive"),
        f"The app on {CPU}, where they run, is in service.": (
            studio.status(scene.apps[CPU]) == "InService"
        ),
        "Every call matched AWS's own description of the SageMaker API.": (
            not studio.api.invalid_answers
        ),
    }

"""The main job in two minutes: a user leaves some things idle and others at work, and the
extension, seen through its HTTP contract only, removes the right ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .server import JupyterServerApp
from .studio import LocalStudio

#: Limits that fit a demo: seconds where a user would have hours.
IDLE_SECONDS = 25
CONFIG = {
    "min_idle_timeout_minutes": 0.1,
    "idle_timeout_minutes": IDLE_SECONDS / 60,
    "grace_minutes": 0.1,
    "warn_minutes": 8 / 60,
    "poll_interval_seconds": 3,
}

#: When the story should be over, and how long the survivors are then watched.
DEADLINE_SECONDS = 110
ENCORE_SECONDS = 8


@dataclass(frozen=True)
class Expected:
    """What the summary compares with: names by what must become of them."""

    removed_kernels: frozenset[str]
    removed_apps: frozenset[str]
    kept_kernels: dict[str, str]
    kept_apps: frozenset[str]


class Narrator:
    """Says what happens: a table that updates on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._said: dict[str, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4) as self._live:
            yield
        self._live = None

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)

    def show(self, report: dict[str, Any]) -> None:
        """The report's resources: the whole table, or the lines that changed."""
        resources = [r for r in report["resources"] if r["state"] != "Deleted"]
        if self._live is not None:
            self._live.update(_table(resources, report["health"]["state"]))
            return
        for resource in resources:
            line = f"{resource['action']} {resource['reason']}, {resource['state']}"
            key = f"{resource['kind']} {_title(resource)}"
            if self._said.get(key) != line:
                self._said[key] = line
                self.say(f"  {key}: {line}. {resource['detail']}")


def _title(resource: dict[str, Any]) -> str:
    return str(resource["paths"][0] if resource["paths"] else resource["name"])


def _table(resources: list[dict[str, Any]], health: str) -> Table:
    table = Table(title=f"auto_shutdown: {health}", title_justify="left")
    for column in ("kind", "name", "instance", "state", "verdict", "why"):
        table.add_column(column, overflow="fold")
    for r in resources:
        verdict = f"{r['action']} ({r['reason']})"
        instance = r["instance_type"] or ""
        table.add_row(r["kind"], _title(r)[:34], instance, r["state"], verdict, r["detail"])
    return table


def run(root: Path, console: Console | None = None) -> int:
    """The demo; 0 only when the right ones were removed and the right ones live."""
    narrator = Narrator(console or Console())
    narrator.say("A SageMaker Studio on this machine: API, apps and JupyterServer are real.")
    with LocalStudio(root) as studio:
        config = {**CONFIG, "metadata_path": str(studio.metadata_path)}
        server = studio.start_server({"AutoShutdown": config})
        expected = _set_the_scene(studio, server, narrator)
        limit = f"{IDLE_SECONDS} s"
        narrator.say(f"Everything is left alone now. What is idle for {limit} goes:")
        with narrator.watching():
            _watch(studio, server, narrator, expected)
        return _sum_up(studio, server, narrator, expected)


def _set_the_scene(studio: LocalStudio, server: JupyterServerApp, narrator: Narrator) -> Expected:
    empty = studio.create_app("tensorflow-2.3", "ml.m5.large")
    narrator.say(f"- {empty}: an app with no kernel at all")
    left = server.open_notebook("left.ipynb", "pytorch-1.8", "ml.g5.xlarge")
    server.execute(left, "21 * 2")
    narrator.say("- left.ipynb on ml.g5.xlarge: used, then left")
    silent = server.open_notebook("training.ipynb", "datascience-1.0", "ml.t3.medium")
    server.execute(silent, "import time; time.sleep(600)", wait=False)
    narrator.say("- training.ipynb on ml.t3.medium: runs one long cell that prints nothing")
    kept = server.open_notebook("kept.ipynb", "datascience-1.0", "ml.t3.medium")
    server.execute(kept, "'precious'")
    hold = {"kind": "kernel", "id": kept, "minutes": 30}
    server.request("PUT", "auto-shutdown/keep-alive", hold)
    narrator.say("- kept.ipynb beside it: idle, but its user asked to keep it for 30 minutes")
    apps = {
        r["id"]: r.get("app") for r in server.request("POST", "auto-shutdown/check")["resources"]
    }
    gpu, cpu = (str(apps[kernel]).partition("/")[2] for kernel in (left, silent))
    return Expected(
        frozenset({left}), frozenset({empty, gpu}), {silent: "busy", kept: "kept-alive"},
        frozenset({cpu}),
    )  # fmt: skip


def _watch(
    studio: LocalStudio, server: JupyterServerApp, narrator: Narrator, expected: Expected
) -> None:
    """Until what must go is gone and the rest has been seen to stay, or the time is over."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    encore: float | None = None
    while time.monotonic() < (encore or deadline):
        narrator.show(server.status())
        if encore is None and _gone(studio, expected):
            encore = time.monotonic() + ENCORE_SECONDS
        time.sleep(0.5)


def _gone(studio: LocalStudio, expected: Expected) -> bool:
    return all(studio.status(name) == "Deleted" for name in expected.removed_apps)


def _sum_up(
    studio: LocalStudio, server: JupyterServerApp, narrator: Narrator, expected: Expected
) -> int:
    """Checks against three witnesses: the API's own record, the server's kernels, the report."""
    deleted = [c.request["AppName"] for c in studio.api.calls if c.operation == "DeleteApp"]
    alive = {kernel["id"] for kernel in server.request("GET", "api/kernels")}
    report = {resource["id"]: resource for resource in server.status()["resources"]}
    narrator.say("\nRemoved:")
    for entry in reversed(server.request("GET", "auto-shutdown/history")["history"]):
        how = f" through DeleteApp({entry['name']})" if entry["kind"] == "app" else ""
        name = _title({"paths": [], **entry})
        narrator.say(f"  {entry['kind']} {name}{how}: {entry['detail']}")
    narrator.say("Kept:")
    for resource in report.values():
        if resource["action"] == "keep" and resource["state"] not in ("Deleted", "Deleting"):
            narrator.say(f"  {resource['kind']} {_title(resource)}: {resource['detail']}")
    checks = {
        "each idle app was deleted, once": sorted(deleted) == sorted(expected.removed_apps),
        "they are gone": _gone(studio, expected),
        "the app in use is in service": all(
            studio.status(name) == "InService" for name in expected.kept_apps
        ),
        "the idle kernel is gone": not alive & expected.removed_kernels,
        "the others live": set(expected.kept_kernels) <= alive,
        "each for its reason": all(
            report.get(kernel, {}).get("reason") == reason
            for kernel, reason in expected.kept_kernels.items()
        ),
        "the API was used rightly": not studio.api.invalid_answers,
    }
    for check, right in checks.items():
        narrator.say(f"{'ok  ' if right else 'FAIL'} {check}")
    return 0 if all(checks.values()) else 1

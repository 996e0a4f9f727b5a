"""Faults of real processes: a server, its kernels and their gateways are killed, stopped or slowed
down with signals."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from morning import Verdict

from auto_shutdown.local_studio.api import Fault
from auto_shutdown.local_studio.resources import AppRecord
from auto_shutdown.local_studio.server import JupyterServerApp, KernelClient
from auto_shutdown.local_studio.studio import LocalStudio

LIMIT_SECONDS = 9.0
TRAITS = {
    "min_idle_timeout_minutes": 0.05,
    "grace_minutes": 0.05,
    "warn_minutes": 0.02,
    "poll_interval_seconds": 1,
}
SETTINGS = {"idle_timeout_minutes": LIMIT_SECONDS / 60}

#: How long a wait may take on an idle machine (local_studio.deadline). A kernel whose gateway could
#: not be reached is unknown for a minute, and health says so.
PATIENCE_SECONDS = 180.0


@dataclass
class RealStudio:
    """A server with three kernels in two apps. The kernel ``idle`` is alone in its app. In the
    other app, ``busy`` runs a cell and ``held`` has a keep-alive."""

    studio: LocalStudio
    server: JupyterServerApp
    kernels: dict[str, str]
    apps: dict[str, str]

    def app(self, sort: str) -> AppRecord:
        key = (self.studio.domain_id, self.studio.owner, "KernelGateway", self.apps[sort])
        record = self.studio.apps.find(key)
        assert record is not None
        return record

    def gateway(self, sort: str) -> Any:
        return self.app(sort).runtime

    def status(self, sort: str) -> str:
        return self.app(sort).status

    def wait_for(self, what: str, condition: Callable[[], Any]) -> None:
        self.server.wait_for(what, condition, PATIENCE_SECONDS)

    def wait_for_idle_app_deleted(self) -> None:
        self.wait_for("the idle app is deleted", lambda: self.status("idle") == "Deleted")

    def verdict(self, gateway_lives: bool = True) -> Verdict:
        """``gateway_lives`` unless the fault itself has ended the gateway of the busy kernel."""
        calls = self.studio.api.calls
        deleted = {c.request["AppName"] for c in calls if c.operation == "DeleteApp"}
        wrong = len(deleted - {self.apps["idle"]})
        if gateway_lives:
            with suppress(TimeoutError):
                self.wait_for(
                    "the gateway answers", lambda: {"busy", "held"} <= self._states().keys()
                )
            states = self._states()
            wrong += (states.get("busy") != "busy") + ("held" not in states)
        self.wait_for("health", lambda: self.server.status()["health"]["state"] == "ok")
        return Verdict(wrong, self._lost(deleted), self.status("idle") == "Deleted")

    def _states(self) -> dict[str, str]:
        """The states of the kernels that are listed, by sort."""
        listed = {k["id"]: k for k in self.server.request("GET", "api/kernels")}
        return {
            sort: str(listed[kernel_id]["execution_state"])
            for sort, kernel_id in self.kernels.items()
            if kernel_id in listed
        }

    def _lost(self, deleted: set[str]) -> int:
        """The number of settings, keep-alives and audit lines that are missing."""
        user = self.server.request("GET", "auto-shutdown/settings")["user"]
        held = self.server.request("GET", "auto-shutdown/keep-alive")["keep_alive"]
        named = {line["name"] for line in self.audit_lines()}
        return (
            (user != SETTINGS)
            + (self.kernels["held"] not in {h["id"] for h in held})
            + len(deleted - named)
        )

    def audit_lines(self) -> list[dict[str, Any]]:
        (path,) = self.studio.root.rglob("history-*.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


@contextmanager
def real_studio(root: Path) -> Iterator[RealStudio]:
    with LocalStudio(root) as studio:
        traits = {**TRAITS, "metadata_path": str(studio.metadata_path)}
        server = studio.start_server({"AutoShutdown": traits})
        busy = server.open_notebook("busy.ipynb", "datascience-1.0", "ml.t3.medium")
        server.execute(busy, "import time; time.sleep(36000)", wait=False)
        held = server.open_notebook("held.ipynb", "datascience-1.0", "ml.t3.medium")
        hold = {"kind": "kernel", "id": held, "minutes": 60}
        server.request("PUT", "auto-shutdown/keep-alive", hold)
        idle = server.open_notebook("idle.ipynb", "pytorch-1.8", "ml.g5.xlarge")
        kernels = {"busy": busy, "held": held, "idle": idle}
        report = server.request("POST", "auto-shutdown/check")
        where = {r["id"]: str(r.get("app")).partition("/")[2] for r in report["resources"]}
        apps = {"busy": where[busy], "idle": where[idle]}
        # The short idle timeout comes last. On a busy machine the steps before take longer than it.
        server.execute(idle, "1 + 1")
        server.request("PATCH", "auto-shutdown/settings", SETTINGS)
        yield RealStudio(studio, server, kernels, apps)


def gateway_killed(root: Path) -> Verdict:
    """Nobody knows whether work in the kernels of a killed gateway goes on, so its app stays."""
    with real_studio(root) as scene:
        scene.gateway("busy").process.kill()
        scene.wait_for_idle_app_deleted()
        time.sleep(LIMIT_SECONDS)
        assert scene.status("busy") == "InService", "an app with unknown kernels was deleted"
        scene.app("busy").status = "Failed"  # SageMaker ends an app that is unhealthy
        return scene.verdict(gateway_lives=False)


def gateway_frozen(root: Path) -> Verdict:
    """SIGSTOP stops a gateway for longer than the idle timeout."""
    with real_studio(root) as scene:
        gateway = scene.gateway("busy").process
        gateway.signal(signal.SIGSTOP)
        time.sleep(LIMIT_SECONDS + 4)
        gateway.signal(signal.SIGCONT)
        scene.wait_for_idle_app_deleted()
        return scene.verdict()


def gateway_slow(root: Path) -> Verdict:
    """A gateway is stopped for 0.8 s of each second, for longer than the idle timeout."""
    with real_studio(root) as scene:
        gateway = scene.gateway("busy").process
        end = time.monotonic() + LIMIT_SECONDS + 4
        while time.monotonic() < end:
            gateway.signal(signal.SIGSTOP)
            time.sleep(0.8)
            gateway.signal(signal.SIGCONT)
            time.sleep(0.2)
        scene.wait_for_idle_app_deleted()
        return scene.verdict()


def server_killed_in_a_delete(root: Path) -> Verdict:
    """The server is killed after it has called DeleteApp and before the answer. SageMaker deletes
    the app all the same."""
    with real_studio(root) as scene:
        scene.studio.api.faults.append(Fault("DeleteApp", latency=10.0, times=1))
        scene.wait_for("DeleteApp", lambda: scene.studio.api.count("DeleteApp"))
        scene.server.kill()
        scene.server.restart()
        scene.wait_for_idle_app_deleted()
        outcomes = {line["outcome"] for line in scene.audit_lines() if line["kind"] == "app"}
        assert "interrupted" in outcomes, outcomes
        return scene.verdict()


def server_stopped(root: Path) -> Verdict:
    """A server is stopped, as on a laptop that sleeps. Meanwhile a client of the gateway uses the
    idle kernel."""
    with real_studio(root) as scene:
        scene.server.process.signal(signal.SIGSTOP)
        time.sleep(LIMIT_SECONDS + 2)
        url = scene.gateway("idle").url.replace("http", "ws", 1)
        with KernelClient(f"{url}/api/kernels/{scene.kernels['idle']}/channels", 30) as client:
            asked = client.ask("execute_request", code="2", silent=False, allow_stdin=False)
            client.hear_state("idle", asked)
        used_at = time.time()
        scene.server.process.signal(signal.SIGCONT)
        scene.wait_for_idle_app_deleted()
        removed_at = min(
            datetime.fromisoformat(line["at"].replace("Z", "+00:00")).timestamp()
            for line in scene.audit_lines()
            if line["name"] == scene.apps["idle"]
        )
        verdict = scene.verdict()
        too_early = removed_at - used_at < LIMIT_SECONDS - 0.5
        return Verdict(verdict.wrongly_removed + too_early, verdict.lost, verdict.recovered)


ROWS: dict[str, tuple[Callable[[Path], Verdict], ...]] = {
    "A gateway killed, frozen, slow, for longer than a limit": (
        gateway_killed,
        gateway_frozen,
        gateway_slow,
    ),
    "The server killed between DeleteApp and its answer": (server_killed_in_a_delete,),
    "The server stopped for longer than a limit, a kernel used meanwhile": (server_stopped,),
}

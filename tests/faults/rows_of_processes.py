"""A real JupyterServer with real kernels behind real gateways, and signals to any of them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from morning import Verdict

from auto_shutdown.local_studio.api import Fault
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


@dataclass
class House:
    """One kernel is left idle in an app of its own; one is at work in another app, beside one
    that is kept."""

    studio: LocalStudio
    server: JupyterServerApp
    kernels: dict[str, str]
    apps: dict[str, str]

    def gateway(self, sort: str) -> Any:
        key = (self.studio.domain_id, self.studio.owner, "KernelGateway", self.apps[sort])
        record = self.studio.apps.find(key)
        assert record is not None
        return record.runtime

    def status(self, sort: str) -> str | None:
        return self.studio.status(self.apps[sort])

    def wait_until_idle_is_gone(self) -> None:
        self.server.wait_for("the idle app goes", lambda: self.status("idle") == "Deleted", 90)

    def verdict(self, busy_lives: bool = True) -> Verdict:
        """``busy_lives`` unless the fault itself has ended that kernel."""
        calls = self.studio.api.calls
        deleted = {c.request["AppName"] for c in calls if c.operation == "DeleteApp"}
        wrong = len(deleted - {self.apps["idle"]})
        if busy_lives:
            state = {
                k["id"]: k["execution_state"] for k in self.server.request("GET", "api/kernels")
            }
            wrong += state.get(self.kernels["busy"]) != "busy"
            wrong += self.kernels["held"] not in state
        self.server.wait_for("health", self._is_well, 60)
        return Verdict(wrong, self._lost(deleted), self.status("idle") == "Deleted")

    def _is_well(self) -> bool:
        return bool(self.server.status()["health"]["state"] == "ok")

    def _lost(self, deleted: set[str]) -> int:
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
def house(root: Path) -> Iterator[House]:
    with LocalStudio(root) as studio:
        traits = {**TRAITS, "metadata_path": str(studio.metadata_path)}
        server = studio.start_server({"AutoShutdown": traits})
        busy = server.open_notebook("busy.ipynb", "datascience-1.0", "ml.t3.medium")
        server.execute(busy, "import time; time.sleep(600)", wait=False)
        held = server.open_notebook("held.ipynb", "datascience-1.0", "ml.t3.medium")
        hold = {"kind": "kernel", "id": held, "minutes": 60}
        server.request("PUT", "auto-shutdown/keep-alive", hold)
        idle = server.open_notebook("idle.ipynb", "pytorch-1.8", "ml.g5.xlarge")
        server.execute(idle, "1 + 1")
        kernels = {"busy": busy, "held": held, "idle": idle}
        server.request("PATCH", "auto-shutdown/settings", SETTINGS)
        report = server.request("POST", "auto-shutdown/check")
        where = {r["id"]: str(r.get("app")).partition("/")[2] for r in report["resources"]}
        apps = {"busy": where[busy], "idle": where[idle]}
        yield House(studio, server, kernels, apps)


def _longer_than_a_limit(stop: Callable[[], None], go: Callable[[], None], share: float) -> None:
    """Stopped for that share of each second, for longer than a limit."""
    end = time.monotonic() + LIMIT_SECONDS + 4
    while time.monotonic() < end:
        stop()
        time.sleep(share)
        go()
        time.sleep(1 - share)


def gateway_killed(root: Path) -> Verdict:
    """What ran in it is over; that it was there is all that anybody knows."""
    with house(root) as home:
        home.gateway("busy").process.kill()
        home.wait_until_idle_is_gone()
        time.sleep(LIMIT_SECONDS)
        assert home.status("busy") == "InService", "what ran in it is not known"
        home.studio.apps.find(  # as SageMaker would end an app that is unhealthy
            (home.studio.domain_id, home.studio.owner, "KernelGateway", home.apps["busy"])
        ).status = "Failed"  # type: ignore[union-attr]
        return home.verdict(busy_lives=False)


def gateway_frozen(root: Path) -> Verdict:
    with house(root) as home:
        gateway = home.gateway("busy").process
        gateway.signal(signal.SIGSTOP)
        time.sleep(LIMIT_SECONDS + 4)
        gateway.signal(signal.SIGCONT)
        home.wait_until_idle_is_gone()
        return home.verdict()


def gateway_slow(root: Path) -> Verdict:
    with house(root) as home:
        gateway = home.gateway("busy").process
        _longer_than_a_limit(
            lambda: gateway.signal(signal.SIGSTOP), lambda: gateway.signal(signal.SIGCONT), 0.8
        )
        home.wait_until_idle_is_gone()
        return home.verdict()


def server_killed_in_a_delete(root: Path) -> Verdict:
    """After the audit line, before the answer; SageMaker deletes all the same."""
    with house(root) as home:
        home.studio.api.faults.append(Fault("DeleteApp", latency=2.0, times=1))
        home.server.wait_for("DeleteApp", lambda: home.studio.api.count("DeleteApp"), 90)
        home.server.kill()
        home.server.restart()
        home.wait_until_idle_is_gone()
        outcomes = {line["outcome"] for line in home.audit_lines() if line["kind"] == "app"}
        assert "interrupted" in outcomes, outcomes
        return home.verdict()


def server_stopped(root: Path) -> Verdict:
    """A laptop that sleeps; meanwhile somebody uses the idle kernel from elsewhere."""
    with house(root) as home:
        home.server.process.signal(signal.SIGSTOP)
        time.sleep(LIMIT_SECONDS + 2)
        url = home.gateway("idle").url.replace("http", "ws", 1)
        with KernelClient(f"{url}/api/kernels/{home.kernels['idle']}/channels", 30) as client:
            asked = client.ask("execute_request", code="2", silent=False, allow_stdin=False)
            client.hear_state("idle", asked)
        used_at = time.time()
        home.server.process.signal(signal.SIGCONT)
        home.wait_until_idle_is_gone()
        first = min(
            datetime.fromisoformat(line["at"].replace("Z", "+00:00")).timestamp()
            for line in home.audit_lines()
            if line["name"] == home.apps["idle"]
        )
        verdict = home.verdict()
        early = first - used_at < LIMIT_SECONDS - 0.5
        return Verdict(verdict.wrongly_removed + early, verdict.lost, verdict.recovered)


ROWS: dict[str, tuple[Callable[[Path], Verdict], ...]] = {
    "A gateway killed, frozen, slow, for longer than a limit": (
        gateway_killed,
        gateway_frozen,
        gateway_slow,
    ),
    "The server killed between DeleteApp and its answer": (server_killed_in_a_delete,),
    "The server stopped for longer than a limit, a kernel used meanwhile": (server_stopped,),
}

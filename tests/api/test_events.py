"""Events and metrics of a real server: what a subscriber and a scraper get."""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from jupyter_events import EventLogger
from prometheus_client import CollectorRegistry
from traitlets.config import Config
from waiting import eventually

from auto_shutdown.api.base_handler import CONTROLLER
from auto_shutdown.api.events import SCHEMAS, JupyterEvents, schema_id
from auto_shutdown.api.metrics import Metrics
from auto_shutdown.core.model import EVERYTHING
from auto_shutdown.cycle.announcer import Announcer

NAMES = ("changed", "fault", "notice", "removal")


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"auto_shutdown": True, "jupyter_server_terminals": True}
        },
        "AutoShutdown": {
            "state_dir": str(tmp_path / "state"),
            "metadata_path": str(tmp_path / "none.json"),
            "activity_file": str(tmp_path / "active"),
            "min_idle_timeout_minutes": 0.01,
            "idle_timeout_minutes": 0.05,
            "grace_minutes": 0,
            "warn_minutes": 0.01,
            "poll_interval_seconds": 3600,
        },
    }


async def until(condition: Callable[[], Any]) -> None:
    await eventually(condition, "the server reaches the expected state")


class Listener:
    """Keeps the events of one server."""

    def __init__(self, server: Any) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        for name in NAMES:
            server.event_logger.add_listener(schema_id=schema_id(name), listener=self._on_event)

    async def _on_event(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        self.events.append((schema_id.split(":")[3], dict(data)))

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for kind, data in self.events if kind == name]


def test_each_event_schema_has_its_id() -> None:
    found = {path.stem: yaml.safe_load(path.read_text())["$id"] for path in SCHEMAS.glob("*.yaml")}
    assert found == {name: schema_id(name) for name in NAMES}


@pytest.mark.slow
async def test_events_and_metrics_of_a_kernel_from_start_to_removal(
    jp_serverapp: Any, jp_fetch: Any
) -> None:
    """With an hour between two polls: a pass begins by signals alone. No page is open."""
    await until(lambda: CONTROLLER in jp_serverapp.web_app.settings)
    controller = jp_serverapp.web_app.settings[CONTROLLER]
    await until(lambda: controller.report()["health"]["last_ok_pass"])
    listener = Listener(jp_serverapp)
    # On a busy machine the limit could end before this test has set its own keep-alive.
    await controller.requests.keep_alive(EVERYTHING, 5)
    answer = await jp_fetch("api", "kernels", method="POST", body="{}")
    kernel = json.loads(answer.body)["id"]

    def row() -> dict[str, Any]:
        return next((r for r in controller.report()["resources"] if r["id"] == kernel), {})

    await until(lambda: row().get("state") == "idle")
    await until(lambda: listener.of("changed"))
    body = json.dumps({"kind": "kernel", "id": kernel, "minutes": 5})
    before = len(listener.of("changed"))
    await jp_fetch("auto-shutdown", "keep-alive", method="PUT", body=body)
    await until(lambda: len(listener.of("changed")) > before)
    await controller.requests.keep_alive(EVERYTHING, None)
    params = {"kind": "kernel", "id": kernel}
    await jp_fetch("auto-shutdown", "keep-alive", method="DELETE", params=params)
    await until(lambda: listener.of("removal"))
    (notice, *_), (removal,) = listener.of("notice"), listener.of("removal")
    assert (notice["kind"], notice["id"]) == ("kernel", kernel)
    assert notice["due_at"] is not None
    assert (removal["id"], removal["outcome"], removal["reason"]) == (kernel, "removed", "idle")
    sequences = [event["sequence"] for event in listener.of("changed")]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    text = (await jp_fetch("metrics")).body.decode()
    assert (
        'auto_shutdown_removals_total{kind="kernel",outcome="removed",reason="idle"} 1.0' in text
        or 'auto_shutdown_removals_total{kind="kernel",reason="idle",outcome="removed"} 1.0' in text
    )
    assert 'auto_shutdown_notices_total{kind="kernel"}' in text
    assert "auto_shutdown_armed 1.0" in text
    assert controller.unsignalled_changes == 0


@pytest.mark.slow
async def test_new_terminal_is_reported_without_waiting_for_a_poll(
    jp_serverapp: Any, jp_fetch: Any
) -> None:
    await until(lambda: CONTROLLER in jp_serverapp.web_app.settings)
    controller = jp_serverapp.web_app.settings[CONTROLLER]
    await until(lambda: controller.report()["health"]["last_ok_pass"])
    answer = await jp_fetch("api", "terminals", method="POST", body="{}")
    name = json.loads(answer.body)["name"]
    await until(lambda: [r for r in controller.report()["resources"] if r["id"] == name])
    await jp_fetch("api", "terminals", name, method="DELETE")
    await until(lambda: not controller.report()["resources"])


async def test_fault_events_mark_start_and_end_of_a_fault(
    jp_serverapp: Any, tmp_path: Path
) -> None:
    await until(lambda: CONTROLLER in jp_serverapp.web_app.settings)
    controller = jp_serverapp.web_app.settings[CONTROLLER]
    listener = Listener(jp_serverapp)
    settings = tmp_path / "state" / "settings.json"
    settings.write_text("{")
    await controller.check()
    await until(lambda: listener.of("fault"))
    settings.unlink()
    await controller.check()
    await until(lambda: len(listener.of("fault")) > 1)
    first, second = listener.of("fault")
    assert (first["source"], first["state"], second["state"]) == ("settings", "started", "over")
    assert first["remedy"]


def test_failing_observer_does_not_affect_other_observers(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    class Broken:
        def removal(self, outcome: Any) -> None:
            raise RuntimeError("boom")

    class Good:
        def removal(self, outcome: Any) -> None:
            seen.append(outcome)

    announcer = Announcer(logging.getLogger("test"))
    announcer.add(Broken())  # type: ignore[arg-type]
    announcer.add(Good())  # type: ignore[arg-type]
    announcer.removal({"id": "k"})
    assert seen == [{"id": "k"}]
    assert "an observer failed" in caplog.text


class TestExample:
    """The administrator's configuration of docs/events.md, as it stands there."""

    PAGE = Path(__file__).resolve().parents[2] / "docs" / "events.md"

    def test_documented_webhook_gets_notices_and_failed_removals(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        posted: queue.SimpleQueue[str] = queue.SimpleQueue()

        class Webhook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posted.put(json.loads(body)["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            monkeypatch.setenv("SLACK_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
            (code,) = re.findall(r"```python\n(.*?)```", self.PAGE.read_text(), re.DOTALL)
            config = Config()
            exec(compile(code, str(self.PAGE), "exec"), {"c": config})
            logger = EventLogger(config=config)
            events = JupyterEvents(logger)
            entry = {
                "kind": "kernel",
                "id": "k",
                "name": "python3",
                "paths": ["train.ipynb"],
                "app": None,
                "reason": "idle",
            }
            events.notice({**entry, "idle_since": None, "due_at": "2026-11-01T12:00:00Z"})
            removal = {**entry, "at": "x", "detail": "Denied.", "rule": None, "idle_since": None}
            events.removal({**removal, "outcome": "removed"})
            events.removal({**removal, "outcome": "permanent"})
            events.changed(1)
            texts = [posted.get(timeout=30) for _ in range(2)]
            server.shutdown()
        assert texts == [
            "kernel train.ipynb is idle and stops at 2026-11-01T12:00:00Z.",
            "kernel train.ipynb could not be stopped: Denied.",
        ]

    def test_each_metric_is_documented(self) -> None:
        report = {
            "unread": {},
            "resources": [],
            "health": {"armed": True, "faults": [], "last_pass": None},
            "savings": {},
        }
        metrics = Metrics(lambda: report, lambda: 0, CollectorRegistry())
        names = {
            family.name + ("_total" if family.type == "counter" else "")
            for family in metrics.collect()
        }
        documented = set(re.findall(r"^\| `(auto_shutdown_\w+)` \|", self.PAGE.read_text(), re.M))
        assert names == documented

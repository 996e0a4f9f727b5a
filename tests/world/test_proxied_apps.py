"""Applications behind the real jupyter-server-proxy: the requests of a user count, and polling
counts for a limited time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.core.marks import activity
from auto_shutdown.core.model import App
from auto_shutdown.core.next_marks import advance_app
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.activity_file import ActivityFile
from auto_shutdown.world.reported_activity import ReportedActivitySource

pytest.importorskip("jupyter_server_proxy")

NAVIGATES = {"Sec-Fetch-Mode": "navigate"}
START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {"ServerApp": {"jpserver_extensions": {"jupyter_server_proxy": True}}}


@pytest.fixture
def application() -> Iterator[int]:
    """A web application on this host; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: Any) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


async def test_opened_page_of_a_proxied_app_is_use_and_polling_is_not(
    jp_serverapp: Any, jp_fetch: Any, application: int, tmp_path: Path
) -> None:
    settings = jp_serverapp.web_app.settings
    reports = ReportedActivitySource(tmp_path, ActivityFile(str(tmp_path / "active")), settings)
    reports.proxied.watch(settings)
    assert (await reports.read()).server == {}
    await jp_fetch("api", "status")
    await jp_fetch("api", "contents")
    assert (await reports.read()).server == {}, "any page polls the API"
    before = datetime.now(timezone.utc)
    answer = await jp_fetch("proxy", str(application), "data.json")
    assert answer.body == b"hello"
    used = (await reports.read()).server
    assert set(used) == {Signal.PROXIED_APP}
    assert used[Signal.PROXIED_APP] >= before
    await jp_fetch("proxy", str(application), "", headers=NAVIGATES)
    assert set((await reports.read()).server) == {Signal.PROXIED_APP, Signal.PROXIED_PAGE}
    reports.close()


def own(**stamps: datetime) -> App:
    named = {"app": Signal.PROXIED_APP, "page": Signal.PROXIED_PAGE}
    found = {named[name]: at for name, at in stamps.items()}
    return App("JupyterLab", "default", "InService", own=True, stamps=found)


def test_polling_of_a_proxied_app_counts_for_a_limited_time() -> None:
    """An open page polls for a whole day. Then a user opens it anew."""
    caps = {Signal.PROXIED_APP: timedelta(hours=8)}
    mark = advance_app(None, own(), None, START)
    for hour in range(1, 25):
        at = START + timedelta(hours=hour)
        mark = advance_app(mark, own(app=at), None, at)
    assert activity(mark, caps) == (START + timedelta(hours=8), Signal.PROXIED_APP)
    at = START + timedelta(hours=25)
    mark = advance_app(mark, own(app=at, page=at), None, at)
    assert activity(mark, caps) == (at, Signal.PROXIED_PAGE)


async def test_without_jupyter_server_proxy_no_request_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "jupyter_server_proxy.handlers", raising=False)
    settings: dict[str, Any] = {"last_activity_times": {"jupyter-server-proxy": START}}
    reports = ReportedActivitySource(tmp_path, ActivityFile(str(tmp_path / "active")), settings)
    reports.proxied.watch(settings)
    assert (await reports.read()).server == {Signal.EXTENSION: START}
    reports.close()

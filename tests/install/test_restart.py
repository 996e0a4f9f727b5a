"""The restart of a server that started too early: never while a kernel or a terminal runs in it."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from auto_shutdown.install import restart
from auto_shutdown.install.restart import restart_when_unused

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
EARLIER = {"started": "2026-03-01T11:59:00.000000Z"}
LATER = {"started": "2026-03-01T12:00:01.000000Z"}


class Server:
    """A server that answers with the JSON in ``paths``, and refuses a path with None."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: dict[str, Any] = {"status": EARLIER, "kernels": [], "terminals": []}
        self.asked: list[str] = []


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            name = self.path.partition("?")[0].rpartition("/")[2]
            answer = found.paths.get(name, 404)
            status = answer if isinstance(answer, int) else 200
            body = b"" if isinstance(answer, int) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found.url = f"http://127.0.0.1:{http.server_address[1]}/jupyterlab/default/"
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield found
        http.shutdown()
        thread.join()


def run(server: Server, tmp_path: Path, *steps: Callable[[], object]) -> tuple[bool, bool]:
    """Whether ``restart_when_unused`` reports a restart, and whether its command ran. Each wait
    calls the next of ``steps``. The wait after the last one ends the test, as after a day."""
    marker, left = tmp_path / "restarted", list(steps)
    command = [sys.executable, "-c", f"open({str(marker)!r}, 'w')"]

    def sleep(_seconds: float) -> None:
        assert not marker.exists()
        if not left:
            raise TimeoutError
        left.pop(0)()

    try:
        reported = restart_when_unused(server.url, command, NOW, sleep)
    except TimeoutError:
        reported = False
    return reported, marker.exists()


def test_an_unused_server_is_restarted_at_once(server: Server, tmp_path: Path) -> None:
    assert run(server, tmp_path) == (True, True)
    assert server.asked[1] == "/jupyterlab/default/api/kernels?no_track_activity=1"


@pytest.mark.parametrize("name", ["kernels", "terminals"])
def test_server_in_use_is_not_restarted_until_it_is_unused(
    name: str, server: Server, tmp_path: Path
) -> None:
    server.paths[name] = [{"id": "x", "execution_state": "idle"}]
    assert run(server, tmp_path, lambda: None, lambda: None) == (False, False)
    assert run(server, tmp_path, lambda: server.paths.update({name: []})) == (True, True)


def test_server_started_after_the_installation_is_not_restarted(
    server: Server, tmp_path: Path
) -> None:
    server.paths["status"] = LATER
    assert run(server, tmp_path) == (False, False)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("status", 403),
        ("status", 502),
        ("status", {"started": "soon"}),
        ("kernels", 403),
        ("kernels", {"message": "no"}),
        ("terminals", 500),
    ],
)
def test_server_that_may_be_in_use_is_not_restarted(
    name: str, answer: Any, server: Server, tmp_path: Path
) -> None:
    server.paths[name] = answer
    assert run(server, tmp_path, lambda: None) == (False, False)


def test_server_without_terminals_is_restarted_when_it_has_no_kernels(
    server: Server, tmp_path: Path
) -> None:
    del server.paths["terminals"]
    assert run(server, tmp_path) == (True, True)


def test_restart_is_given_up_after_a_day(server: Server, tmp_path: Path) -> None:
    waited = timedelta()

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited += timedelta(seconds=seconds)

    unreachable = "http://127.0.0.1:9/"
    assert restart_when_unused(unreachable, ["false"], NOW, sleep) is False
    assert waited == timedelta(days=1)


async def test_real_server_reports_its_kernels_and_terminals(
    jp_http_port: int, jp_base_url: str, jp_serverapp: Any, jp_fetch: Any, tmp_path: Path
) -> None:
    real = Server()
    real.url = f"http://127.0.0.1:{jp_http_port}{jp_base_url}"
    began = datetime.now(timezone.utc)
    await jp_fetch("api", "terminals", method="POST", body=json.dumps({"name": "one"}))
    jp_serverapp.identity_provider.token = ""  # as in Studio

    def once() -> bool:
        try:
            return restart_when_unused(real.url, ["true"], began, lambda _seconds: 1 / 0)
        except ZeroDivisionError:
            return False

    assert await asyncio.to_thread(once) is False
    await jp_serverapp.web_app.settings["terminal_manager"].terminate("one", force=True)
    assert await asyncio.to_thread(once) is True
    assert (
        await asyncio.to_thread(
            restart_when_unused, real.url, ["true"], began - timedelta(days=1), lambda _s: None
        )
        is False
    )


def test_restart_program_takes_platform_delay_and_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    monkeypatch.setattr(restart, "restart_when_unused", lambda *args: called.append(args))
    assert restart.main(["notebook-instance", "0", "systemctl", "restart", "x"]) == 0
    url, command, began = called[0]
    assert (url, command) == ("https://127.0.0.1:8443/", ["systemctl", "restart", "x"])
    assert began.tzinfo is timezone.utc

"""The failed queries to a kernel that are refusals of its gateway, and their effect."""

from __future__ import annotations

import errno
import socket
import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from gateway_kernels import Behind, Manager
from tornado.httpclient import HTTPClientError

from auto_shutdown.core.advance import advance
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.model import Kernel, Snapshot
from auto_shutdown.world import kernel_usage
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.shells import Shells
from auto_shutdown.world.websockets import WebsocketClients

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


async def test_gateway_that_refuses_is_a_failure_and_not_silence() -> None:
    requests = Requests()
    shells = Shells(Manager(k=Behind("http://127.0.0.1:1/api/kernels/k")), requests)
    shell = (await shells.ask_all(["k"]))["k"].shell
    assert not shell.free
    assert "cannot be reached" in shell.failure
    assert (shell.refused, requests.of("k").refused) == (True, shell.failure)
    assert requests.of("k").unreachable == ""
    kernel = KernelSource(Manager(), None, WebsocketClients(requests)).observed(Kernel("k"))
    assert (kernel.refused, kernel.unreadable) == (shell.failure, None)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ConnectionRefusedError(), True),
        (ConnectionResetError(), True),
        (HTTPClientError(404), True),
        (HTTPClientError(410), True),
        (HTTPClientError(500), True),
        (HTTPClientError(503), True),
        (HTTPClientError(401), False),
        (HTTPClientError(403), False),
        (HTTPClientError(429), False),
        (OSError(errno.EMFILE, "Too many open files"), False),
        (socket.gaierror(), False),
    ],
    ids=repr,
)
async def test_which_errors_are_refusals_of_the_gateway(
    error: Exception, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of this server never leads to the end of a kernel."""

    async def fail(_request: Any) -> Any:
        raise error

    monkeypatch.setattr(kernel_usage, "websocket_connect", fail)
    requests = Requests()
    shell = (await Shells(Manager(k=Behind("http://gateway/k")), requests).ask("k")).shell
    assert (shell.free, shell.refused) == (False, refused)
    found = requests.of("k")
    assert (bool(found.refused), bool(found.unreachable)) == (refused, not refused)


@pytest.mark.parametrize(
    "happens",
    [
        lambda requests: requests.shell_answered(time.monotonic(), one_by_one=False),
        lambda requests: requests.shell_is_silent(""),
        lambda requests: requests.shell_is_silent("no file descriptors"),
        lambda requests: requests.has_status("idle", {}),
        lambda requests: requests.ended(),
    ],
    ids=["an answer", "silence", "an error of this server", "a message", "its end"],
)
def test_a_refusal_lasts_until_the_next_attempt_ends_in_another_way(happens: Any) -> None:
    requests = Requests().of("k")
    requests.shell_is_silent("HTTP 404", refused=True)
    requests.shell_is_silent("HTTP 503", refused=True)
    assert requests.refused == "HTTP 503"
    happens(requests)
    assert requests.refused == ""


async def test_failures_of_this_server_between_two_refusals_start_the_time_anew() -> None:
    """The gateway refused ten hours ago, and refuses now. Nobody knows its answers in between."""
    clients, ledger = WebsocketClients(), Ledger(NOW)
    requests, source = clients.requests.of("k"), KernelSource(Manager(), None, clients)
    idle, quiet_since = Kernel("k", state="idle", last_activity=NOW), []
    for step, failure in enumerate(["HTTP 503", "Too many open files", "", "HTTP 503"]):
        if failure:
            requests.shell_is_silent(failure, refused=failure.startswith("HTTP"))
        else:
            requests._unreachable = None  # a minute has passed
        snapshot = Snapshot((source.observed(idle),))
        ledger = advance(ledger, snapshot, NOW + timedelta(hours=step))
        quiet_since.append(ledger.marks[idle.ref].quiet_since)
    assert quiet_since == [NOW, NOW, None, NOW + timedelta(hours=3)]


async def test_the_end_of_an_accepted_connection_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel may have received the query, and may run a cell."""

    class Accepted:
        sent = 0

        async def write_message(self, _message: Any) -> None:
            self.sent += 1

        async def read_message(self) -> None:
            return None  # tornado's sign that the other side has closed

        def close(self) -> None:
            pass

    connection = Accepted()

    async def connect(_request: Any) -> Any:
        return connection

    monkeypatch.setattr(kernel_usage, "websocket_connect", connect)
    requests = Requests()
    shell = (await Shells(Manager(k=Behind("http://gateway/k")), requests).ask("k")).shell
    assert (shell.free, shell.refused, connection.sent) == (False, False, 1)
    assert "cannot be reached" in requests.of("k").unreachable
    assert requests.of("k").refused == ""


async def test_this_server_never_refuses_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of an unknown manager is asked through this server, whose errors say nothing about
    the kernel."""

    async def fail(_request: Any) -> Any:
        raise HTTPClientError(500)

    monkeypatch.setattr(kernel_usage, "websocket_connect", fail)
    requests, manager = Requests(), Manager(k=SimpleNamespace())
    shells = Shells(manager, requests, lambda kernel_id: ("http://here/k", {}))
    shell = (await shells.ask("k")).shell
    assert (shell.free, shell.refused) == (False, False)
    assert "cannot be reached" in requests.of("k").unreachable

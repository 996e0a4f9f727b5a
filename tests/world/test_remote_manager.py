"""A kernel manager of the old remote sort, against a real kernel gateway.

Studio Classic's descends from nb2kg: tornado's coroutines, kernels as plain dictionaries, and what
is not in its last list it does not know.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest
from tornado import gen
from tornado.httpclient import AsyncHTTPClient

from auto_shutdown.core.model import Snapshot
from auto_shutdown.core.outcome import Result
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World

pytest.importorskip("kernel_gateway", reason="no kernel gateway in this environment")
from auto_shutdown.local_studio.gateways import Gateway

pytestmark = pytest.mark.slow


class OldRemoteManager:
    """Asks its gateway for everything, and notes what it asked."""

    def __init__(self, url: str) -> None:
        self._url = url + "/api/kernels"
        self._known: dict[str, Any] = {}
        self.requests: list[str] = []

    @gen.coroutine
    def _fetch(self, path: str = "", method: str = "GET") -> Any:
        self.requests.append(f"{method} {path}")
        response = yield AsyncHTTPClient().fetch(self._url + path, method=method)
        return json.loads(response.body) if response.body else None

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self._known

    def list_kernel_ids(self) -> list[str]:
        return list(self._known)

    @gen.coroutine
    def list_kernels(self, **_: Any) -> Any:
        found = yield self._fetch()
        self._known = {model["id"]: model for model in found}
        return found

    @gen.coroutine
    def get_kernel(self, kernel_id: str, **_: Any) -> Any:
        found = yield self._fetch(f"/{kernel_id}")
        return found

    kernel_model = get_kernel

    @gen.coroutine
    def shutdown_kernel(self, kernel_id: str) -> Any:
        yield self._fetch(f"/{kernel_id}", "DELETE")
        self._known.pop(kernel_id, None)


class NoSessions:
    """The sessions after a restart: the old server had them in memory only."""

    @gen.coroutine
    def list_sessions(self) -> Any:
        return []


def start_kernel(gateway: Gateway) -> str:
    request = urllib.request.Request(f"{gateway.url}/api/kernels", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(json.load(answer)["id"])


async def test_kernel_started_before_this_server_is_seen_without_any_client(
    gateway: Gateway,
) -> None:
    """If the extension missed the kernel, it would delete the app while a cell works in it."""
    before = start_kernel(gateway)
    manager = OldRemoteManager(gateway.url)
    source = KernelSource(manager, NoSessions())
    world = World(Platform(), source, TerminalSource({}), None)
    snapshot = await world.observe(list_apps=False)
    assert [kernel.id for kernel in snapshot.kernels] == [before]
    assert not snapshot.unread
    # What else is wanted of it makes no request of its own.
    assert (source.pid_of(before), source.channels_of(before)) == (None, None)
    assert manager.requests == ["GET "]

    outcome = await world.remove(snapshot.kernels[0], only_unmoved=False)
    assert outcome.result is Result.REMOVED
    assert (await world.observe(list_apps=False)).kernels == ()


async def test_idle_kernel_of_a_remote_manager_is_removed(gateway: Gateway) -> None:
    """Its manager does not name the kernel's gateway, so the extension queries the shell through
    this server. In this test the gateway takes the place of this server."""
    kernel_id = start_kernel(gateway)
    manager = OldRemoteManager(gateway.url)

    def through_this_server(kernel_id: str) -> Any:
        return f"{gateway.url.replace('http', 'ws', 1)}/api/kernels/{kernel_id}/channels", {}

    source = KernelSource(manager, NoSessions(), None, through_this_server)
    world = World(Platform(), source, TerminalSource({}), None)
    for _ in range(50):  # it may have to come up first
        kernel = next(k for k in (await world.observe(False)).kernels if k.id == kernel_id)
        await source.ask_shells([kernel_id])
        if kernel.state == "idle":
            break
    outcome = await world.remove(kernel, only_unmoved=True)
    assert outcome.result is Result.REMOVED, outcome
    await world.observe(False)
    assert kernel_id not in manager


async def test_unanswered_list_of_a_gateway_is_a_failure_and_not_empty(gateway: Gateway) -> None:
    kernel = start_kernel(gateway)
    manager = OldRemoteManager(gateway.url)
    world = World(Platform(), KernelSource(manager, NoSessions()), TerminalSource({}), None)
    (seen,) = (await world.observe(list_apps=False)).kernels
    manager._url = "http://127.0.0.1:1/api/kernels"
    snapshot = await world.observe(list_apps=False)
    assert Snapshot.KERNELS in snapshot.unread
    assert [k.id for k in snapshot.kernels] == [kernel] == [seen.id]

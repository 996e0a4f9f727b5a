"""The question whether a shell is free: real kernels on this host and behind a real gateway, asked
by each of the three ways."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from auto_shutdown.core.advance import advance
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.model import Kernel, Snapshot
from auto_shutdown.core.verdict import Result
from auto_shutdown.world import kernel_usage
from auto_shutdown.world import shells as shells_module
from auto_shutdown.world.kernel_usage import Usage, ask
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.requests import Requests
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.shells import Shells
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.websockets import WebsocketClients
from auto_shutdown.world.world import World

FREE = ShellAnswer(True, "", "ipython")

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


class Manager(dict):  # type: ignore[type-arg]
    """Kernel managers by id."""

    def get_kernel(self, kernel_id: str) -> Any:
        return self[kernel_id]

    def kernel_model(self, kernel_id: str) -> Any:
        return {"id": kernel_id}


class Sessions:
    async def list_sessions(self) -> Any:
        return []


class Behind:
    """A kernel behind a gateway: its manager knows its address there."""

    def __init__(self, url: str) -> None:
        self.kernel_url = url

    async def refresh_model(self) -> Any:
        return json.loads((await AsyncHTTPClient().fetch(self.kernel_url)).body)


def start(gateway: Any) -> str:
    request = urllib.request.Request(f"{gateway.url}/api/kernels", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return f"{gateway.url}/api/kernels/{json.load(answer)['id']}"


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A cell runs while this file is there."""
    found = tmp_path / "flag"
    found.touch()
    return found


def end_cell(flag: Path) -> None:
    flag.unlink()


def while_there(flag: Path) -> str:
    return f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.02)"


async def answers(shells: Shells, free: bool) -> Usage:
    """The answer, once it is as expected: a kernel that has just started takes its time."""
    deadline = time.monotonic() + 60
    while True:
        found = await shells.ask("k")
        if found.shell.free is free or time.monotonic() > deadline:
            return found


@pytest.mark.slow
async def test_shell_of_a_local_kernel_is_asked(flag: Path) -> None:
    local, requests = AsyncKernelManager(), Requests()
    await local.start_kernel()
    shells = Shells(Manager(k=local), requests)
    assert (await answers(shells, True)).shell == FREE
    client = local.client()
    client.start_channels()
    await client.wait_for_ready()
    client.execute(while_there(flag))
    assert (await answers(shells, False)).shell == ShellAnswer(False)
    assert requests.of("k").shell_silent
    end_cell(flag)
    assert (await answers(shells, True)).shell == FREE
    assert not requests.of("k").shell_silent
    client.stop_channels()
    await local.shutdown_kernel(now=True)


@pytest.mark.slow
async def test_shell_of_a_kernel_behind_a_gateway_is_asked(gateway: Any, flag: Path) -> None:
    requests = Requests()
    url = start(gateway)
    shells = Shells(Manager(k=Behind(url)), requests)
    assert (await answers(shells, True)).shell == FREE
    before = (await Behind(url).refresh_model())["last_activity"]
    usage = await shells.ask("k")
    assert (usage.shell, usage.other_client_seen) == (FREE, False)
    after = (await Behind(url).refresh_model())["last_activity"]
    assert before == after, "the question is no activity here"
    page = await connected(url)
    await send(page, "execute_request", code=while_there(flag))
    busy = await answers(shells, False)
    assert busy.shell == ShellAnswer(False)
    assert requests.of("k").shell_silent
    usage = await shells.ask_by_websocket("k", with_usage=True)
    assert usage.shell.free is False
    assert usage.kernel_cores is not None, "the control channel answers meanwhile"
    end_cell(flag)
    assert (await answers(shells, True)).shell == FREE
    page.close()


@pytest.mark.slow
async def test_shell_of_a_kernel_without_known_address_is_asked_through_this_server(
    gateway: Any,
) -> None:
    url = start(gateway)
    asked = []

    def through_this_server(kernel_id: str) -> Any:
        asked.append(kernel_id)
        return url.replace("http", "ws", 1) + "/channels", {}

    shells = Shells(Manager(k=object()), Requests(), through_this_server)
    assert (await answers(shells, True)).shell == FREE
    assert "k" in asked
    found = await Shells(Manager(k=object()), Requests()).ask("k")
    assert (found.shell.free, found.shell.failure) == (False, "it cannot be asked from here")


@pytest.mark.slow
async def test_subshells_have_to_answer_too(gateway: Any, flag: Path) -> None:
    """JupyterLab runs the callbacks of widgets there; the main shell is free meanwhile."""
    url, requests = start(gateway), Requests()
    shells = Shells(Manager(k=Behind(url)), requests)
    assert (await answers(shells, True)).shell == FREE
    page = await connected(url)
    await send(page, "create_subshell_request", channel="control")
    subshell = (await receive(page, "create_subshell_reply"))["content"]["subshell_id"]
    await send(page, "execute_request", subshell, code=while_there(flag))
    await receive(page, "execute_input")
    assert (await shells.ask("k")).shell == FREE
    requests.of("k").unheard_subshells.add(subshell)
    assert (await shells.ask("k")).shell == ShellAnswer(False, "", "ipython")
    end_cell(flag)
    assert (await answers(shells, True)).shell == FREE
    assert requests.of("k").unheard_subshells == set()
    page.close()


async def connected(url: str) -> Any:
    from tornado.websocket import websocket_connect

    return await websocket_connect(url.replace("http", "ws", 1) + "/channels?session_id=page")


async def send(
    page: Any, kind: str, subshell: str | None = None, channel: str = "shell", **content: Any
) -> None:
    header = {"msg_id": kind, "msg_type": kind, "session": "page", "username": "", "version": "5.3"}
    if subshell is not None:
        header["subshell_id"] = subshell
    header["date"] = datetime.now(timezone.utc).isoformat()
    parts = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    await page.write_message(json.dumps({**parts, "channel": channel}))


async def receive(page: Any, kind: str) -> Any:
    while True:
        message = json.loads(await asyncio.wait_for(page.read_message(), 60))
        if message["header"]["msg_type"] == kind:
            return message


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
    """The gateway refused ten hours ago and refuses now. Nobody knows what it did meanwhile."""
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
    """The kernel may have the question, and a cell may run."""

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


async def test_gateway_that_does_not_answer_is_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy kernel of an old gateway keeps the websocket from opening."""
    monkeypatch.setattr("auto_shutdown.world.kernel_usage.ANSWER_SECONDS", 0.05)
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]

    async def stamps() -> Any:
        return {}

    usage = await ask(f"ws://127.0.0.1:{port}/", {}, stamps)
    assert usage.shell == ShellAnswer(False)
    assert "did not answer within" in usage.failure
    silent.close()


async def test_local_kernels_are_asked_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def ask_shells(connections: Any) -> Any:
        batches.append(len(connections))
        return dict.fromkeys(connections, FREE)

    class Local:
        def get_connection_info(self) -> Any:
            return {"shell_port": 1}

    monkeypatch.setattr(shells_module, "ask_shells", ask_shells)
    names = [str(n) for n in range(100)]
    found = await Shells(Manager(dict.fromkeys(names, Local())), Requests()).ask_all(names)
    assert (set(found), {usage.shell for usage in found.values()}) == (set(names), {FREE})
    assert batches == [64, 36]


async def test_stamps_after_a_question_are_read_until_they_stop_moving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernel_usage, "REST_STEP", 0.001)
    days = iter([1, 2, 3, 3, 4])

    async def read() -> dict[str, datetime]:
        return {"last-activity": datetime(2026, 3, next(days), tzinfo=timezone.utc)}

    assert (await kernel_usage.stamps_at_rest(read))["last-activity"].day == 3


class Moving(Manager):
    """The manager of an old server: each question moves the stamp of the kernel."""

    stamp = "2026-03-01T12:00:00Z"

    def __init__(self) -> None:
        connection = {"shell_port": 1}
        super().__init__(k=SimpleNamespace(get_connection_info=lambda: connection))

    def list_kernels(self) -> Any:
        return [self.kernel_model("k")]

    def list_kernel_ids(self) -> Any:
        return list(self)

    def kernel_model(self, kernel_id: str) -> Any:
        return {"id": kernel_id, "execution_state": "idle", "last_activity": self.stamp}

    async def shutdown_kernel(self, kernel_id: str) -> None:
        del self[kernel_id]


@pytest.mark.parametrize(("version", "is_own"), [((2, 14), True), ((2, 15), False)])
async def test_question_without_iopub_on_an_old_server_is_not_activity(
    version: tuple[int, int], is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a kernel is one of more than 200. On a new server another client moved the stamp."""
    manager = Moving()

    def ask_shells(connections: Any) -> Any:
        manager.stamp = f"2026-03-01T12:00:{len(asked):02}Z"
        asked.append(connections)
        return dict.fromkeys(connections, FREE)

    asked: list[Any] = [None]
    monkeypatch.setattr("jupyter_server.version_info", (*version, 0))
    monkeypatch.setattr(shells_module, "ask_shells", ask_shells)
    source = KernelSource(manager, Sessions())
    world = World(Platform(), source, TerminalSource({}), None)
    (kernel,) = (await world.observe(False)).kernels
    for _ in range(2):  # a question about background work, and the last one before the removal
        (answer,) = await world.ask({kernel.ref: timedelta(0)})
        (fresh,) = (await world.observe(False)).kernels
        assert (answer.stamps == fresh.stamps) is is_own
    outcome = await world.remove(fresh, only_unmoved=True)
    assert (outcome.result is Result.REMOVED) is is_own


class TestAnswersAboutWork:
    """What ``World.ask`` makes of the answer of a shell."""

    @pytest.mark.parametrize(
        ("state", "shell", "expected"),
        [
            ("idle", FREE, (False, False)),
            ("idle", ShellAnswer(False), (True, False)),
            ("idle", ShellAnswer(False, "refused"), (False, True)),
            ("busy", ShellAnswer(False), (False, False)),
        ],
    )
    async def test_a_silent_shell_is_busy_and_an_unreachable_shell_is_unknown(
        self, state: str, shell: ShellAnswer, expected: tuple[bool, bool]
    ) -> None:
        source = KernelSource(Manager(), None)
        world = World(Platform(), source, TerminalSource({}), None)

        async def ask_all(kernel_ids: Any) -> Any:
            return dict.fromkeys(kernel_ids, Usage(shell=shell))

        source._shells.ask_all = ask_all  # type: ignore[method-assign]
        kernel = Kernel("k", state=state)
        world._last = Snapshot((kernel,))
        (answer,) = await world.ask({kernel.ref: timedelta(minutes=1)})
        assert (answer.working, answer.unread) == expected

    def test_a_kernel_whose_shell_cannot_be_asked_is_unknown(self) -> None:
        source = KernelSource(Manager(), None)
        source._requests.of("k").shell_is_silent("refused")
        assert "refused" in str(source.observed(Kernel("k", state="idle")).unreadable)

    def test_a_silent_shell_makes_a_kernel_busy(self) -> None:
        source = KernelSource(Manager(), None)
        source._requests.of("k").shell_is_silent("")
        seen = source.observed(Kernel("k", state="idle"))
        assert (seen.state, seen.shell_silent) == ("busy", True)
        dead = source.observed(Kernel("k", state="dead"))
        assert (dead.state, dead.shell_silent) == ("dead", False)

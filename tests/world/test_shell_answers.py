"""The effect of the shells' answers: batches, time stamps, background work. All answers are
values."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from gateway_kernels import FREE, Manager
from one_kernel import Sessions

from auto_shutdown.core.model import Kernel, Snapshot
from auto_shutdown.core.outcome import Result
from auto_shutdown.world import kernel_usage
from auto_shutdown.world import shells as shells_module
from auto_shutdown.world.kernel_usage import Usage, ask
from auto_shutdown.world.kernels import KernelSource
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.requests_by_kernel import Requests
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.shells import Shells
from auto_shutdown.world.terminals import TerminalSource
from auto_shutdown.world.world import World


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

    def ask_shells(connections: Any, *_: Any) -> Any:
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
    """The manager of an old server, in which each query moves the stamp of the kernel."""

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


@pytest.mark.parametrize(
    ("version", "lists_subshells", "is_own"),
    [((2, 14), False, True), ((2, 15), False, False), ((2, 15), True, True)],
)
async def test_question_without_iopub_that_the_server_tracks_is_not_activity(
    version: tuple[int, int], lists_subshells: bool, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a kernel is one of more than 200. In the second case another client moved the stamp."""
    manager = Moving()
    if lists_subshells:
        monkeypatch.setattr(Shells, "_subshells_to_ask", lambda *_: ())

    def ask_shells(connections: Any, *_: Any) -> Any:
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
    """The result of ``World.ask`` for each answer of a shell."""

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

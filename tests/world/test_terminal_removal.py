"""The removal of a terminal: the last look at it, and the signal to its programs."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from auto_shutdown.core.model import Terminal
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.world import terminals as terminals_module
from auto_shutdown.world.pseudo_terminal import hang_up
from auto_shutdown.world.terminals import TerminalSource


class Terminals:
    def __init__(self) -> None:
        self.terminals = {"1": object()}

    async def terminate(self, name: str, force: bool) -> None:
        del self.terminals[name]


@pytest.mark.parametrize(
    ("group", "session"),
    [(0, os.getsid(0)), (os.getpid(), -1)],
    ids=["the server's own group", "another session"],
)
def test_hang_up_never_reaches_another_session(
    group: int, session: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group 0 is the one that the server itself is in."""
    signalled: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _signal: signalled.append(group))
    hang_up(group, session)
    assert signalled == []


@pytest.mark.parametrize("moved", ["key", "job", ""])
async def test_terminal_used_at_the_last_moment_is_kept(
    moved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(timezone.utc)
    times = (None if moved == "key" else at, at)
    monkeypatch.setattr(terminals_module, "device_times", lambda _: times)
    monkeypatch.setattr(terminals_module, "foreground_job", lambda *_: moved == "job" and "make")
    source, terminal = TerminalSource({"terminal_manager": Terminals()}), Terminal("1", input_at=at)
    outcome: Outcome = await source.remove(terminal, only_unmoved=True)
    assert outcome.result is (Result.STALE if moved else Result.REMOVED)


async def test_terminal_is_kept_if_its_removal_is_forbidden_at_the_last_moment() -> None:
    manager = Terminals()
    source = TerminalSource({"terminal_manager": manager})
    outcome = await source.remove(Terminal("1"), only_unmoved=False, still_removable=lambda: False)
    assert outcome.result is Result.STALE
    assert "1" in manager.terminals

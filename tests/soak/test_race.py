"""Race a user's cell against the removal of its kernel. ``race.py`` makes more tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import race

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def both_results_occurred(tally: race.Tally) -> bool:
    """Whether enough cells came before the removal of their kernel, and enough came too late."""
    kept = tally.counts["kept"]
    return kept >= 15 and tally.tries - kept >= 15


def test_no_cell_that_began_is_killed(tmp_path: Path) -> None:
    tally = race.run("local-page", 1000, 6, tmp_path, seed=5, enough=both_results_occurred)
    assert set(tally.counts) <= race.ALLOWED, tally
    assert both_results_occurred(tally)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("side", "tries"), [("local-page", 1500), ("gateway-page", 400)])
def test_no_cell_that_began_is_killed_in_many_tries(side: str, tries: int, tmp_path: Path) -> None:
    tally = race.run(side, tries, 6, tmp_path, seed=5)
    assert set(tally.counts) <= race.ALLOWED, tally
    assert tally.tries == tries
    assert both_results_occurred(tally)


class ScriptedClient:
    """Answers cells with the next states of ``cells``, and later requests with the next states of
    ``later``. A removal may drop either: then its states are empty."""

    def __init__(self, cells: list[dict[str, float]], later: list[dict[str, float]]) -> None:
        self.states: dict[str, dict[str, float]] = {}
        self.cells, self.later = cells, later

    def execute(self, code: str) -> str:
        return self._answer(self.cells)

    def ask_info(self) -> str:
        return self._answer(self.later)

    def _answer(self, answers: list[dict[str, float]]) -> str:
        message_id = str(len(self.states))
        self.states[message_id] = answers.pop(0)
        return message_id

    def listen(self, seconds: float) -> None: ...

    def close(self) -> None: ...


DROPPED: dict[str, float] = {}
FIRST_CELL = {"busy": 9.0, "idle": 10.0}
ANSWERED = {"busy": 50.0, "idle": 51.0}
SHUTDOWN = {"called_at": 20.0, "dead_at": 30.0}


@pytest.mark.parametrize(
    ("cell", "later", "removal", "result"),
    [
        ({"busy": 15.0, "idle": 19.0}, [], SHUTDOWN, "kept"),
        ({"busy": 25.0, "idle": 40.0}, [], SHUTDOWN, "lost"),
        ({"busy": 31.0, "idle": 40.0}, [], SHUTDOWN, "after"),
        (DROPPED, [ANSWERED], SHUTDOWN, "refused"),
        (DROPPED, [DROPPED, ANSWERED], SHUTDOWN, "refused"),
        (DROPPED, [ANSWERED], None, "vanished"),
        ({"busy": 25.0, "idle": 40.0}, [], {"called_at": 20.0, "dead_at": None}, "kept"),
        (DROPPED, [ANSWERED], {"called_at": 20.0, "dead_at": None}, "vanished"),
    ],
)
def test_result_of_a_try(
    cell: dict[str, float],
    later: list[dict[str, float]],
    removal: dict[str, Any] | None,
    result: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``removal`` with the ``dead_at`` None has failed, and the kernel lives on."""
    monkeypatch.setattr(race, "ASK_SECONDS", 0.0)
    lines = tmp_path / "lines"
    recorded = [{"kernel": "k", **removal}] if removal else []
    lines.write_text("".join(json.dumps(line) + "\n" for line in recorded))
    client = ScriptedClient([FIRST_CELL, dict(cell)], [dict(states) for states in later])
    one, tally = race.Try("k", client, race.Removals(lines), lambda: None, 1), race.Tally()
    one._delays = [0.0, 0.0, 0.0]
    one.once(tally)
    assert tally.counts == {result: 1}


def test_removal_in_progress_is_waited_for(tmp_path: Path) -> None:
    """Its end decides whether a cell that began meanwhile is lost."""
    lines = tmp_path / "lines"
    called = {"kernel": "k", "called_at": 20.0}
    lines.write_text(json.dumps(called) + "\n")

    class Removals(race.Removals):
        def since(self, kernel_id: str, at: float) -> list[dict[str, Any]]:
            removals = super().since(kernel_id, at)
            with lines.open("a") as file:  # it ends after the first look
                file.write(json.dumps({**called, "dead_at": 30.0}) + "\n")
            return removals

    removal = Removals(lines).first_between("k", 10.0, 40.0)
    assert removal == {**called, "dead_at": 30.0}

"""Race a user's cell against the removal of its kernel. ``race.py`` makes more tries."""

from __future__ import annotations

from pathlib import Path

import pytest
import race

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def both_results_occurred(tally: race.Tally) -> bool:
    """Whether enough cells came before the removal of their kernel, and enough came too late."""
    kept = tally.counts["kept"]
    return kept >= 15 and tally.tries - kept >= 15


def test_no_cell_that_began_is_killed(tmp_path: Path) -> None:
    tally = race.run("local-page", 1000, 6, tmp_path, seed=5, enough=both_results_occurred)
    assert set(tally.counts) <= {"kept", "refused", "after"}, tally
    assert both_results_occurred(tally)


@pytest.mark.soak
@pytest.mark.parametrize(("side", "tries"), [("local-page", 1500), ("gateway-page", 400)])
def test_no_cell_that_began_is_killed_in_many_tries(side: str, tries: int, tmp_path: Path) -> None:
    tally = race.run(side, tries, 6, tmp_path, seed=5)
    assert set(tally.counts) <= {"kept", "refused", "after"}, tally
    assert tally.tries == tries
    assert both_results_occurred(tally)


def test_cell_that_began_before_its_kernel_ended_counts_as_lost(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text('{"kernel": "k", "called_at": 20.0, "dead_at": 30.0}\n')

    class Client:
        states: dict[str, dict[str, float]] = {}  # noqa: RUF012

        def send(self, code: str) -> str:
            self.states["x"] = dict(answers.pop(0))
            return "x"

        def listen(self, seconds: float) -> None: ...

        def close(self) -> None: ...

    answers = [
        {"idle": 10.0},
        {"busy": 25.0, "idle": 40.0},
        {"idle": 10.0},
        {"busy": 31.0, "idle": 40.0},
    ]
    one, tally = race.Try("k", Client(), race.Removals(lines), 1), race.Tally()
    one._delays = [0.0, 0.0, 0.0]
    one.once(tally)
    one.once(tally)
    assert tally.counts == {"lost": 1, "after": 1}

"""A user's cell and the removal of its kernel, on real kernels: few tries here, thousands by
``race.py`` (docs/reliability.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import race

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def both_sides_were_hit(tally: race.Tally) -> bool:
    """Enough cells came before the removal of their kernel, and enough came too late."""
    kept = tally.counts["kept"]
    return kept >= 15 and tally.tries - kept >= 15


def test_no_cell_that_began_is_killed(tmp_path: Path) -> None:
    tally = race.run("local-page", 1000, 6, tmp_path, seed=5, enough=both_sides_were_hit)
    assert set(tally.counts) <= {"kept", "refused", "after"}, tally
    assert both_sides_were_hit(tally)


@pytest.mark.soak
@pytest.mark.parametrize(("side", "tries"), [("local-page", 1500), ("gateway-page", 400)])
def test_no_cell_that_began_is_killed_in_many_tries(side: str, tries: int, tmp_path: Path) -> None:
    tally = race.run(side, tries, 6, tmp_path, seed=5)
    assert set(tally.counts) <= {"kept", "refused", "after"}, tally
    assert tally.tries == tries
    assert both_sides_were_hit(tally)


def test_a_try_can_be_lost(tmp_path: Path) -> None:
    """The scale itself: a cell that began before the kernel would have died is counted so."""
    lines = tmp_path / "lines"
    lines.write_text('{"kernel": "k", "called_at": 20.0, "dead_at": 30.0}\n')

    class Client:
        heard: dict[str, dict[str, float]] = {}  # noqa: RUF012

        def send(self, code: str) -> str:
            self.heard["x"] = dict(answers.pop(0))
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

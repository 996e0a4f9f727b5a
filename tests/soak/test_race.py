"""A user's cell and the removal of its kernel, on real kernels: few tries here, thousands by
``race.py`` (docs/reliability.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import race

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    ("side", "tries"),
    [
        ("local-page", 60),
        pytest.param("local-page", 1500, marks=pytest.mark.soak),
        pytest.param("gateway-page", 400, marks=pytest.mark.soak),
    ],
)
def test_no_cell_that_began_is_killed(side: str, tries: int, tmp_path: Path) -> None:
    tally = race.run(side, tries, 6, tmp_path, seed=5)
    assert tally.counts["lost"] == 0, tally
    assert set(tally.counts) <= {"kept", "refused", "after"}
    assert tally.tries == tries
    assert tally.counts["kept"], "some are in time"
    assert tally.counts["kept"] < tries, "and some are not"


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

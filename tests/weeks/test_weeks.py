"""Some lives of a week, each from its seed: nothing is removed wrongly, and nothing overstays.

Many more, and longer, are led by ``python tests/weeks/soak.py``; docs/reliability.md has the last.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from life import Life
from truth import DAY, HOUR, MINUTE, Cell, Host, Oracle, Rules, Thing

from auto_shutdown.config.settings import FIELDS

WEEK = 7 * DAY


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 8, 14, 35, 106])
async def test_random_weeks_remove_nothing_wrongly_and_nothing_overstays(
    seed: int, tmp_path: Path
) -> None:
    report = await Life(seed, tmp_path).live(WEEK / 2)
    assert report.wrong == []
    assert report.overstayed == {}
    assert report.counts.get("removed twice", 0) == 0
    assert report.counts.get("changes that no signal told", 0) == 0
    assert len(report.removals) >= 5, "a life in which nothing goes says nothing"


async def test_same_seed_gives_the_same_life(tmp_path: Path) -> None:
    lives = [await Life(8, tmp_path / str(n)).live(DAY / 2) for n in range(2)]
    assert lives[0] == lives[1]


class TestTheOracle:
    """It knows nothing of the product, and must itself be right."""

    now = 10 * HOUR

    def oracle(self, **host: object) -> Oracle:
        settings = {name: f.default for name, f in FIELDS.items()}
        rules = Rules(settings, 10, 525600, 10, 15, {"output": 480.0, "presence": 720.0}, None)
        things = {
            "a": Thing("app", "a", 0.0, status="InService", strong=7 * HOUR),
            "k": Thing("kernel", "k", 0.0, app="a", strong=7 * HOUR),
        }
        return Oracle(rules, Host(**host), things)  # type: ignore[arg-type]

    def test_the_oracle_allows_removing_a_resource_idle_past_its_timeout(self) -> None:
        oracle = self.oracle()
        assert [oracle.against(t, self.now) for t in oracle.things.values()] == [[], []]
        assert [oracle.ready(t) for t in oracle.things.values()] == [9 * HOUR] * 2

    @pytest.mark.parametrize(
        "changes",
        [
            {"strong": 8 * HOUR + 1},
            {"weak": {"output": 8.5 * HOUR}},
            {"cell": Cell(0.0, 99 * HOUR, False, 0.0)},
            {"work": {"a thread": 9 * HOUR}},
            {"held_until": 11 * HOUR},
            {"unreadable": True},
        ],
    )
    def test_oracle_keeps_a_kernel_and_its_app(self, changes: dict[str, object]) -> None:
        oracle = self.oracle()
        for name, value in changes.items():
            setattr(oracle.things["k"], name, value)
        assert [len(oracle.against(t, self.now)) for t in oracle.things.values()] == [1, 1]

    @pytest.mark.parametrize(
        "host",
        [
            {"disturbed": 10 * HOUR - 9 * MINUTE},
            {"objecting": True},
            {"everything_held_until": 11 * HOUR},
        ],
    )
    def test_oracle_keeps_everything(self, host: dict[str, object]) -> None:
        oracle = self.oracle(**host)
        assert all(oracle.against(t, self.now) for t in oracle.things.values())
        assert all(oracle.excuse(t, self.now) for t in oracle.things.values())


async def test_oracle_finds_a_wrong_removal(tmp_path: Path) -> None:
    """A product that took half the limit that was promised would be found out."""
    life = Life(4, tmp_path)
    life.studio.rules.settings["idle_timeout_minutes"] = 240
    report = await life.live(DAY)
    assert any("used within its limit" in line for line in report.wrong)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 5])
async def test_oracle_finds_a_product_that_trusts_execution_state(
    seed: int, tmp_path: Path
) -> None:
    """It neither follows requests nor asks shells."""
    life = Life(seed, tmp_path)
    life.studio.jupyter.follows = False
    report = await life.live(WEEK / 2)
    assert any("it is at work" in line for line in report.wrong), report.counts


async def test_the_oracle_reports_a_resource_that_overstays(tmp_path: Path) -> None:
    life = Life(8, tmp_path)
    life.studio.rules.settings["idle_timeout_minutes"] = 30
    assert (await life.live(DAY)).overstayed

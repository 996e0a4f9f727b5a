"""Simulated servers, each from its seed: nothing is removed wrongly, and nothing overstays.

``python tests/weeks/soak.py`` simulates more and longer; docs/reliability.md has its last results.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation import Simulation
from truth import DAY, HOUR, MINUTE, Cell, Host, Oracle, Rules, Thing

from auto_shutdown.config.settings import FIELDS

WEEK = 7 * DAY

#: Days after which the search for a wrong removal of a faulty product ends.
MOST_DAYS = 40


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 8, 11, 14, 15, 35, 106])
def test_random_weeks_remove_nothing_wrongly_and_nothing_overstays(
    seed: int, tmp_path: Path
) -> None:
    report = Simulation(seed, tmp_path).run(WEEK / 2)
    assert report.wrong == []
    assert report.overstayed == {}
    assert report.counts.get("removed twice", 0) == 0
    assert report.counts.get("unsignalled changes", 0) == 0
    assert len(report.removals) >= 5, "without removals this test shows nothing"


def test_same_seed_gives_the_same_simulation(tmp_path: Path) -> None:
    lives = [Simulation(8, tmp_path / str(n)).run(DAY / 2) for n in range(2)]
    assert lives[0] == lives[1]


class TestTheOracle:
    """The oracle shares no code with the product. These tests check its judgements."""

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
        assert [oracle.objections(t, self.now) for t in oracle.things.values()] == [[], []]
        assert [oracle.ready(t) for t in oracle.things.values()] == [9 * HOUR] * 2

    @pytest.mark.parametrize(
        "changes",
        [
            {"strong": 8 * HOUR + 1},
            {"weak": {"output": 8.5 * HOUR}},
            {"cell": Cell(0.0, 99 * HOUR, False, 0.0)},
            {"work": {"a thread": 9 * HOUR}},
            {"kept_until": 11 * HOUR},
            {"unreadable": True},
        ],
    )
    def test_oracle_keeps_a_kernel_and_its_app(self, changes: dict[str, object]) -> None:
        oracle = self.oracle()
        for name, value in changes.items():
            setattr(oracle.things["k"], name, value)
        assert [len(oracle.objections(t, self.now)) for t in oracle.things.values()] == [1, 1]

    @pytest.mark.parametrize(
        "host",
        [
            {"grace_began_at": 10 * HOUR - 9 * MINUTE},
            {"vetoing": True},
            {"everything_kept_until": 11 * HOUR},
        ],
    )
    def test_oracle_keeps_every_thing_during_a_keep_alive_on_everything(
        self, host: dict[str, object]
    ) -> None:
        oracle = self.oracle(**host)
        assert all(oracle.objections(t, self.now) for t in oracle.things.values())
        assert all(oracle.excuse(t, self.now) for t in oracle.things.values())


def test_oracle_finds_a_wrong_removal(tmp_path: Path) -> None:
    """The oracle finds a product that uses half of the promised idle timeout."""
    simulation = Simulation(4, tmp_path)
    simulation.studio.rules.settings["idle_timeout_minutes"] = 240
    report = simulation.run(DAY)
    assert any("used within its limit" in line for line in report.wrong)


def test_oracle_finds_a_product_that_trusts_execution_state(tmp_path: Path) -> None:
    """Such a product neither follows requests nor queries shells. It removes something wrongly in
    about one simulated day of five, so one seed alone would be a matter of luck."""
    for seed in range(MOST_DAYS):
        simulation = Simulation(seed, tmp_path / str(seed))
        simulation.studio.jupyter.follows = False
        report = simulation.run(DAY)
        if any("it is at work" in line for line in report.wrong):
            return
    pytest.fail(f"no wrong removal in {MOST_DAYS} simulated days")


def test_the_oracle_reports_a_resource_that_overstays(tmp_path: Path) -> None:
    simulation = Simulation(8, tmp_path)
    simulation.studio.rules.settings["idle_timeout_minutes"] = 30
    assert simulation.run(DAY).overstayed

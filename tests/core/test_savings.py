"""The savings: the hours of instances that AWS did not bill because of a removal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scene import NOW

from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.marks import first_sight
from auto_shutdown.core.model import App, Snapshot
from auto_shutdown.core.prices import USD_PER_HOUR, usd_per_hour
from auto_shutdown.core.savings import (
    DAYS_KEPT,
    Day,
    Freed,
    Savings,
    combined,
    frees_its_instance,
    from_json,
    settled,
    to_json,
    view,
)

HOUR = timedelta(hours=1)
G5 = Freed("ml.g5.xlarge", NOW, 1.41)
ONE = App("KernelGateway", "one", "InService", "ml.g5.xlarge")
OTHER = replace(ONE, name="other")


@pytest.mark.parametrize(
    ("beside", "frees"),
    [
        ((), True),
        ((OTHER,), False),
        ((replace(OTHER, instance_type="ml.t3.medium"),), True),
        ((replace(OTHER, status="Deleting"),), True),
        ((replace(OTHER, status="Deleted"),), True),
        ((App("JupyterServer", "default", "InService", "ml.g5.xlarge"),), True),
    ],
)
def test_only_the_last_app_of_an_instance_saves_money(beside: tuple[App, ...], frees: bool) -> None:
    snapshot = Snapshot(apps=(ONE, *beside))
    ledger = Ledger(NOW, marks={app.ref: first_sight(NOW) for app in snapshot.apps})
    assert frees_its_instance(ONE, snapshot, ledger) is frees


def test_an_app_removed_a_moment_before_does_not_count_as_another() -> None:
    snapshot = Snapshot(apps=(ONE, OTHER))
    ledger = Ledger(NOW, marks={ONE.ref: first_sight(NOW)})
    assert frees_its_instance(ONE, snapshot, ledger)


def test_saving_counts_until_the_instance_is_in_use_again() -> None:
    savings = Savings(freed=(G5, Freed("ml.odd", NOW, None)))
    assert view(savings, NOW + 2 * HOUR)["usd"] == 2.82
    savings = settled(savings, {"ml.g5.xlarge"}, NOW + 2 * HOUR)
    later = view(savings, NOW + 5 * HOUR)
    assert (later["usd"], later["instance_hours"], later["unpriced_hours"]) == (2.82, 7, 5)


@pytest.mark.parametrize(("seen_at", "ended"), [(-HOUR, False), (0 * HOUR, False), (HOUR, True)])
def test_only_an_observation_after_the_removal_ends_a_saving(
    seen_at: timedelta, ended: bool
) -> None:
    savings = settled(Savings(freed=(G5,)), {"ml.g5.xlarge"}, NOW + 2 * HOUR, NOW + seen_at)
    assert (savings.freed == ()) is ended


def test_saving_counts_for_one_day_at_most() -> None:
    savings = settled(Savings(freed=(G5,)), (), NOW + 24 * HOUR)
    assert savings.freed == ()
    assert view(savings, NOW + 900 * HOUR)["instance_hours"] == 24


@pytest.mark.parametrize(
    ("region", "given_prices", "price"),
    [
        ("us-east-1", {}, 1.41),
        ("ap-northeast-2", {}, None),
        ("ap-northeast-2", {"ml.g5.xlarge": 1.7}, 1.7),
        (None, {}, None),
    ],
)
def test_a_price_is_known_or_unknown(region, given_prices, price) -> None:  # type: ignore[no-untyped-def]
    assert usd_per_hour("ml.g5.xlarge", region, given_prices) == price
    assert usd_per_hour(None, region, given_prices) is None
    assert min(USD_PER_HOUR.values()) > 0


def test_hours_are_split_at_midnight_utc() -> None:
    evening = NOW.replace(hour=22, minute=0, second=0, microsecond=0)
    freed = (Freed("ml.g5.xlarge", evening, 1.41), Freed("ml.odd", evening, None))
    found = view(Savings(freed=freed), evening + 5 * HOUR)
    first, second = found["days"]
    assert (first["day"], second["day"]) == ("2026-03-29", "2026-03-30")
    assert (first["instance_hours"], first["usd"], first["unpriced_hours"]) == (4, 2.82, 2)
    assert (second["instance_hours"], second["usd"], second["unpriced_hours"]) == (6, 4.23, 3)


def test_savings_drop_days_after_two_months_and_keep_the_sums() -> None:
    savings = Savings()
    for day in range(DAYS_KEPT + 5):
        at = NOW + timedelta(days=day)
        savings = settled(
            replace(savings, freed=(replace(G5, at=at),)), {"ml.g5.xlarge"}, at + HOUR
        )
    assert len(savings.days) == DAYS_KEPT
    assert savings.days[-1].day == (NOW + timedelta(days=DAYS_KEPT + 4)).date().isoformat()
    assert savings.hours == pytest.approx(DAYS_KEPT + 5)


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=8))
def test_saved_savings_are_restored_unchanged_and_sums_only_grow(
    steps: list[tuple[int, bool]],
) -> None:
    savings, now, before = Savings(freed=(G5,)), NOW, 0.0
    for hours, again in steps:
        now += hours * HOUR
        savings = settled(from_json(to_json(savings)), {"ml.g5.xlarge"} if again else (), now)
        total = view(savings, now)["instance_hours"]
        assert before <= total <= 24
        before = total
        assert sum(day.hours for day in savings.days) == pytest.approx(savings.hours, abs=1e-3)


@pytest.mark.parametrize(
    "found",
    [{"hours": "x"}, {"freed": [{}]}, {"freed": 5}, {"freed": [7]}, {"days": [{"day": "x"}]}],
)
def test_invalid_savings_are_refused(found: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no valid savings"):
        from_json(found)


def test_savings_of_an_earlier_run_end_when_their_instance_was_first_billed_again() -> None:
    t3, day = Freed("ml.t3.medium", NOW, None), NOW.date().isoformat()
    earlier = Savings(5.0, 2.0, 1.0, (G5, t3), (Day(day, 5.0, 2.0, 1.0),))
    again = replace(G5, at=NOW + 3 * HOUR)
    later = Savings(1.0, 0.5, 0.25, (again,), (Day(day, 1.0, 0.5, 0.25),))
    both = combined(earlier, later, {"ml.g5.xlarge": NOW + 2 * HOUR})
    assert both.freed == (t3, again)
    expected = Day(day, 8.0, 2.0 + 2 * 1.41 + 0.5, 1.25)
    assert (both.hours, both.usd, both.unpriced_hours) == pytest.approx((8.0, 5.32, 1.25))
    assert both.days == (replace(expected, usd=pytest.approx(5.32)),)

"""Bounds and locks of the administrator's traits."""

from __future__ import annotations

from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Config

from auto_shutdown.config.settings import FIELDS, SettingError, validate_patch
from auto_shutdown.config.traits import BOUNDS, FOLLOW_IDLE_TIMEOUT, MOST_MINUTES, AdminTraits


def limits(**traits: Any) -> Any:
    return AdminTraits(config=Config({"AdminTraits": traits})).limits()


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [1e10, 1e12, 1e300, float("inf"), float("nan"), -1, 10**400])
def test_a_value_out_of_bounds_names_the_trait_and_the_bound(name: str, value: Any) -> None:
    """Before, the first pass failed with an OverflowError that named no trait."""
    with pytest.raises(TraitError) as caught:
        limits(**{name: value})
    assert f"AutoShutdown.{name}" in str(caught.value)
    if value != 10**400:
        most = "86400" if name == "poll_interval_seconds" else "5256000"
        assert f"at most {most}, not" in str(caught.value)


@pytest.mark.parametrize("name", BOUNDS)
def test_smallest_and_largest_allowed_value_of_each_trait(name: str) -> None:
    low, allowed, high = BOUNDS[name]
    if name != "min_idle_timeout_minutes":  # it must not exceed max_idle_timeout_minutes
        assert getattr(limits(**{name: high}), name) == high
    below = low if not allowed else low - 0.001
    with pytest.raises(TraitError, match=name):
        limits(**{name: below})
    if allowed:
        assert getattr(limits(**{name: low}), name) == low


def test_a_price_out_of_bounds_names_its_instance_type() -> None:
    for usd in (-1, float("nan"), float("inf"), 1e9):
        with pytest.raises(TraitError, match=r"hourly_prices: ml\.x must be 0 or more and at most"):
            limits(hourly_prices={"ml.x": usd})


@pytest.mark.parametrize("name", ["state_dir", "activity_file", "metadata_path"])
def test_a_path_with_nul_names_the_trait(name: str) -> None:
    with pytest.raises(TraitError, match=name):
        limits(**{name: "/tmp/\0"})


@pytest.mark.parametrize("name", ["kernel_idle_timeout_minutes", "max_busy_minutes"])
def test_optional_number_accepts_null_on_the_command_line(name: str) -> None:
    trait = AdminTraits.class_traits(config=True)[name]
    assert [trait.from_string(text) for text in ("60", "null", "None")] == [60, None, None]
    with pytest.raises(TraitError):
        limits(**{name: "soon"})
    with pytest.raises(TraitError):
        limits(**{name: MOST_MINUTES + 1})


class TestLocks:
    def test_lock_on_idle_timeout_minutes_locks_its_overrides_and_rules(self) -> None:
        found = limits(locked=["idle_timeout_minutes"])
        assert found.locked == {"idle_timeout_minutes", *FOLLOW_IDLE_TIMEOUT}
        for name in FOLLOW_IDLE_TIMEOUT:
            with pytest.raises(SettingError) as caught:
                validate_patch({name: 60}, found)
            assert caught.value.locked
            assert (
                str(caught.value)
                == f"{name} is set by the administrator and cannot be changed here."
            )

    def test_unlocked_trait_opens_an_override_of_a_locked_limit(self) -> None:
        found = limits(locked=["idle_timeout_minutes"], unlocked=["rules"])
        assert "rules" not in found.locked
        assert "kernel_idle_timeout_minutes" in found.locked
        assert validate_patch({"rules": []}, found) == {"rules": []}

    @pytest.mark.parametrize("name", [n for n in FIELDS if n != "idle_timeout_minutes"])
    def test_other_locks_lock_one_setting_only(self, name: str) -> None:
        assert limits(locked=[name]).locked == {name}

    def test_setting_cannot_be_locked_and_unlocked(self) -> None:
        with pytest.raises(TraitError, match="both name dry_run"):
            limits(locked=["dry_run"], unlocked=["dry_run"])

    @pytest.mark.parametrize("name", ["locked", "unlocked"])
    def test_list_in_one_command_line_option_is_read_as_list(self, name: str) -> None:
        """The value of ``--AutoShutdown.locked="['dry_run']"``, which traitlets 5 parses
        wrongly."""
        assert getattr(AdminTraits(**{name: ["['dry_run', 'enabled']"]}), name) == [
            "dry_run",
            "enabled",
        ]
        for text in ("[", "[1]", "['no_such']", "dry_run,enabled"):
            with pytest.raises(TraitError, match=f"write --AutoShutdown.{name}=dry_run, once"):
                AdminTraits(**{name: [text]})

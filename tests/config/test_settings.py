"""The validation of settings, the administrator's traits, and the merge of both."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError
from traitlets.config import Config

from auto_shutdown.config.effective import merge
from auto_shutdown.config.settings import FIELDS, Limits, SettingError, validate_patch
from auto_shutdown.config.traits import AdminTraits
from auto_shutdown.core.policy import Rule

LIMITS = Limits()
GOOD_RULE = {"instance_type": "ml.g5.*", "idle_timeout_minutes": 30}

BAD = {
    "no object": ([1], "settings"),
    "an unknown name": ({"nope": 1}, "nope"),
    "zero": ({"idle_timeout_minutes": 0}, "idle_timeout_minutes"),
    "below the minimum": ({"kernel_idle_timeout_minutes": 9.999}, "kernel_idle_timeout_minutes"),
    "above the maximum": ({"app_idle_timeout_minutes": 525601}, "app_idle_timeout_minutes"),
    "NaN": ({"idle_timeout_minutes": float("nan")}, "idle_timeout_minutes"),
    "infinity": ({"warn_minutes": float("inf")}, "warn_minutes"),
    "a number beyond numbers": ({"warn_minutes": 10**400}, "warn_minutes"),
    "a text": ({"idle_timeout_minutes": "30"}, "idle_timeout_minutes"),
    "true for a number": ({"warn_minutes": True}, "warn_minutes"),
    "a number for true": ({"enabled": 1}, "enabled"),
    "negative notice": ({"warn_minutes": -0.1}, "warn_minutes"),
    "rules no list": ({"rules": GOOD_RULE}, "rules"),
    "a rule no object": ({"rules": [GOOD_RULE, 7]}, "rules[1]"),
    "a rule without limit": ({"rules": [{"image": "x"}]}, "rules[0].idle_timeout_minutes"),
    "a rule for everything": ({"rules": [{"idle_timeout_minutes": 30}]}, "rules[0]"),
    "a rule's limit too low": (
        {"rules": [{**GOOD_RULE, "idle_timeout_minutes": 1}]},
        "rules[0].idle_timeout_minutes",
    ),
    "an empty glob": ({"rules": [{**GOOD_RULE, "image": ""}]}, "rules[0].image"),
    "an unknown key in a rule": ({"rules": [{**GOOD_RULE, "user": "x"}]}, "rules[0].user"),
    "too many rules": ({"rules": [GOOD_RULE] * 51}, "rules"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_patch_is_refused_with_its_field(name: str) -> None:
    patch, field = BAD[name]
    with pytest.raises(SettingError) as caught:
        validate_patch(patch, LIMITS)
    assert caught.value.field == field
    assert not caught.value.locked
    assert caught.value.to_json()["message"].endswith(".")


def test_refused_value_names_its_bounds() -> None:
    with pytest.raises(SettingError) as caught:
        validate_patch({"idle_timeout_minutes": 5}, LIMITS)
    assert caught.value.to_json() == {
        "message": "idle_timeout_minutes must be at least 10.",
        "field": "idle_timeout_minutes",
        "value": 5,
        "bound": {"min": 10, "max": 525600},
    }


def test_a_change_of_a_locked_setting_is_refused_even_as_a_reset() -> None:
    for value in (True, None):
        with pytest.raises(SettingError) as caught:
            validate_patch({"dry_run": value}, replace(LIMITS, locked=frozenset({"dry_run"})))
        assert caught.value.locked


def test_good_values_are_accepted_unchanged() -> None:
    patch = {"idle_timeout_minutes": 10, "app_idle_timeout_minutes": None, "rules": [GOOD_RULE]}
    assert validate_patch(patch, LIMITS) == patch


def test_merge_turns_minutes_into_timedeltas() -> None:
    user = {"idle_timeout_minutes": 30.5, "rules": [GOOD_RULE], "kernel_idle_timeout_minutes": 20}
    policy, problems = merge(LIMITS, user)
    assert problems == []
    assert policy.idle_timeout == timedelta(minutes=30.5)
    assert policy.kernel_idle_timeout == timedelta(minutes=20)
    assert policy.terminal_idle_timeout is None
    assert policy.rules == (Rule(timedelta(minutes=30), instance_type="ml.g5.*"),)
    assert policy.settings["idle_timeout_minutes"] == 30.5
    assert set(policy.settings) == set(FIELDS)


def test_administrator_limits_override_user_settings_and_are_reported() -> None:
    limits = replace(
        LIMITS,
        defaults={**LIMITS.defaults, "dry_run": True},
        max_idle_timeout_minutes=480,
        locked=frozenset({"dry_run"}),
    )
    policy, problems = merge(limits, {"idle_timeout_minutes": 600, "dry_run": False, "rules": 7})
    assert policy.dry_run is True
    assert policy.idle_timeout == timedelta(minutes=480)
    assert policy.rules == ()
    assert [p.field for p in problems] == ["idle_timeout_minutes", "rules"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), anything))
def test_policy_stays_within_the_limits_for_any_stored_settings(user: dict[str, Any]) -> None:
    limits = replace(LIMITS, min_idle_timeout_minutes=30, max_idle_timeout_minutes=480)
    policy, _ = merge(limits, user)
    timeouts = [policy.idle_timeout, policy.kernel_idle_timeout, policy.terminal_idle_timeout]
    timeouts += [policy.app_idle_timeout, *(rule.idle_timeout for rule in policy.rules)]
    for timeout in timeouts:
        assert timeout is None or timedelta(minutes=30) <= timeout <= timedelta(minutes=480)
    assert isinstance(policy.enabled, bool)


class TestTraits:
    def limits(self, **traits: Any) -> Limits:
        config = Config({"AdminTraits": traits})
        return AdminTraits(config=config).limits()

    def test_defaults_of_the_traits_are_those_of_the_contract(self) -> None:
        assert self.limits() == LIMITS
        contract = {"enabled": True, "idle_timeout_minutes": 120, "warn_minutes": 5, "rules": []}
        assert {name: LIMITS.defaults[name] for name in contract} == contract
        other = (LIMITS.grace_minutes, LIMITS.max_keep_alive_minutes, LIMITS.poll_interval_seconds)
        assert other == (10, 1440, 60)

    @pytest.mark.parametrize(
        ("traits", "named"),
        [
            ({"idle_timeout_minutes": -5}, "idle_timeout_minutes"),
            ({"idle_timeout_minutes": "x"}, "idle_timeout_minutes"),
            ({"kernel_idle_timeout_minutes": 1}, "kernel_idle_timeout_minutes"),
            ({"idle_timeout_minutes": 5}, "idle_timeout_minutes"),
            ({"min_idle_timeout_minutes": 0}, "min_idle_timeout_minutes"),
            ({"min_idle_timeout_minutes": 500, "max_idle_timeout_minutes": 400}, "min_idle"),
            ({"max_keep_alive_minutes": float("inf")}, "max_keep_alive_minutes"),
            ({"poll_interval_seconds": 0}, "poll_interval_seconds"),
            ({"grace_minutes": -1}, "grace_minutes"),
            ({"locked": ["idle"]}, "locked"),
            ({"rules": [{"image": "x"}]}, "rules"),
        ],
        ids=str,
    )
    def test_bad_trait_value_is_refused_with_the_name_of_its_trait(
        self, traits: dict[str, Any], named: str
    ) -> None:
        with pytest.raises(TraitError, match=named):
            self.limits(**traits)

    def test_fractions_of_minutes_are_kept_and_whole_numbers_stay_integers(self) -> None:
        limits = self.limits(min_idle_timeout_minutes=0.05, idle_timeout_minutes=0.1)
        assert limits.defaults["idle_timeout_minutes"] == 0.1
        assert repr(self.limits(idle_timeout_minutes=30).defaults["idle_timeout_minutes"]) == "30"

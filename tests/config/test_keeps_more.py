"""Each setting declares which of two values keeps more resources. A change takes effect before it
is on disk only if it can only keep more resources. These tests check this rule for every
setting."""

from __future__ import annotations

from typing import Any

import pytest

from auto_shutdown.config.effective import most_careful_settings, part_that_keeps_more
from auto_shutdown.config.settings import FIELDS, KeepsMore, Limits

LIMITS = Limits()

#: Two values for each kind of setting. If the values have an order, the second is the higher one.
VALUES: dict[str, tuple[Any, Any]] = {
    "bool": (False, True),
    "idle": (60, 240),
    "warn": (5, 30),
    "rules": (
        [{"kernel_name": "*", "idle_timeout_minutes": 60}],
        [{"kernel_name": "*", "idle_timeout_minutes": 240}],
    ),
}

#: Whether the change to the higher value can only keep more, and the change to the lower value.
CAREFUL = {
    KeepsMore.ON: (True, False),
    KeepsMore.HIGHER: (True, False),
    KeepsMore.OFF: (False, True),
    KeepsMore.INCOMPARABLE: (False, False),
    KeepsMore.NO_EFFECT: (True, True),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_change_takes_effect_at_once_only_if_it_keeps_more(name: str) -> None:
    low, high = VALUES[FIELDS[name].kind]
    up, down = CAREFUL[FIELDS[name].keeps_more]
    assert (part_that_keeps_more({name: high}, {name: low}, LIMITS) == {name: high}) is up
    assert (part_that_keeps_more({name: low}, {name: high}, LIMITS) == {name: low}) is down


def test_the_settings_that_decide_about_a_removal_are_known() -> None:
    """This fails for a new setting without an order, so that somebody decides about it."""
    unordered = {n for n, f in FIELDS.items() if f.keeps_more is KeepsMore.INCOMPARABLE}
    without_effect = {n for n, f in FIELDS.items() if f.keeps_more is KeepsMore.NO_EFFECT}
    assert (unordered, without_effect) == ({"rules"}, {"remember_stopped"})


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.nullable])
def test_a_limit_of_its_own_is_compared_with_the_limit_that_it_replaces(name: str) -> None:
    user = {"idle_timeout_minutes": 120}
    assert part_that_keeps_more({name: 60}, user, LIMITS) == {}
    assert part_that_keeps_more({name: 240}, user, LIMITS) == {name: 240}
    assert part_that_keeps_more({name: None}, {**user, name: 240}, LIMITS) == {}
    assert part_that_keeps_more({name: None}, {**user, name: 60}, LIMITS) == {name: None}


def test_unknown_settings_are_taken_for_those_that_keep_most() -> None:
    settings = most_careful_settings(LIMITS)
    for name, field in FIELDS.items():
        if field.keeps_more is KeepsMore.ON:
            assert settings[name] is True, name
        elif field.kind == "idle":
            assert settings[name] == LIMITS.max_idle_timeout_minutes, name
    assert most_careful_settings(Limits(locked=frozenset(FIELDS))) == {}

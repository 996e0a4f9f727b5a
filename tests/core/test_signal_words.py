"""The names of the evidence of activity."""

from __future__ import annotations

from auto_shutdown.core.policy import Policy
from auto_shutdown.core.signals import WEAK, WORDS, Signal


def test_every_signal_has_words_for_people() -> None:
    names = {value for name, value in vars(Signal).items() if name.isupper()}
    assert set(WORDS) == names


def test_every_weak_signal_has_a_limit() -> None:
    """A weak signal without a limit would never count."""
    assert set(Policy().caps) == WEAK

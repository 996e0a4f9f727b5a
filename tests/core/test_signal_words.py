"""The names of the evidence of activity."""

from __future__ import annotations

from auto_shutdown.core.signals import WORDS, Signal


def test_every_signal_has_words_for_people() -> None:
    names = {value for name, value in vars(Signal).items() if name.isupper()}
    assert set(WORDS) == names

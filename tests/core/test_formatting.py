"""Durations, instants and names as people and the report read them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from auto_shutdown.core.formatting import duration, iso, printable

DURATIONS = {
    "0 s": timedelta(0),
    "59 s": timedelta(seconds=59.9),
    "1 m": timedelta(seconds=60),
    "59 m": timedelta(seconds=3599),
    "1 h": timedelta(hours=1),
    "1 h 05 m": timedelta(minutes=65),
    "1 h 12 m": timedelta(minutes=72, seconds=59),
    "1 d": timedelta(days=1, minutes=3),
    "3 d 4 h": timedelta(days=3, hours=4, minutes=5),
}


@pytest.mark.parametrize("text", DURATIONS)
def test_durations_in_words(text: str) -> None:
    assert duration(DURATIONS[text]) == text


def test_instants_are_utc_with_z() -> None:
    assert iso(datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)) == "2026-01-02T03:04:05.678Z"
    assert iso(None) is None


def test_names_cannot_write_their_own_log_line() -> None:
    nasty = "a\nb\r\x1b[31mc\u202e"
    assert printable(nasty).isprintable()
    assert printable("étude.ipynb — ✓") == "étude.ipynb — ✓"

"""The time stamps that a query of this extension has moved."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from auto_shutdown.world.stamps import MovedStamps

BEFORE = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
AFTER = BEFORE + timedelta(seconds=1)
USED = BEFORE + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("before", "after", "stamp", "expected"),
    [
        (BEFORE, AFTER, AFTER, BEFORE),
        (BEFORE, AFTER, USED, USED),
        (BEFORE, AFTER, None, None),
        (None, AFTER, AFTER, None),
        (BEFORE, None, AFTER, AFTER),
        (BEFORE, None, None, None),
        (BEFORE, BEFORE, BEFORE, BEFORE),
    ],
)
def test_stamp_without_a_question(
    before: datetime | None,
    after: datetime | None,
    stamp: datetime | None,
    expected: datetime | None,
) -> None:
    moved: MovedStamps[str] = MovedStamps()
    moved.note("k", before, after)
    assert moved.without("k", stamp) == expected
    assert moved.without("another", stamp) == stamp


def test_second_question_does_not_hide_the_use_between_the_two() -> None:
    moved: MovedStamps[str] = MovedStamps()
    moved.note("k", BEFORE, AFTER)
    moved.note("k", moved.without("k", USED), USED + timedelta(seconds=1))
    assert moved.without("k", USED + timedelta(seconds=1)) == USED


def test_kernel_that_no_longer_exists_is_forgotten() -> None:
    moved: MovedStamps[str] = MovedStamps()
    moved.note("k", BEFORE, AFTER)
    moved.keep_only(["k"])
    assert moved.without("k", AFTER) == BEFORE
    moved.keep_only([])
    assert moved.without("k", AFTER) == AFTER

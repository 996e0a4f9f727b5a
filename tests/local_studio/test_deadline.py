"""A deadline counts less of a second while processes compete for the cores."""

from __future__ import annotations

import os
import time

import pytest

from auto_shutdown.local_studio.deadline import Deadline


@pytest.mark.parametrize(
    ("load", "seconds"), [(0.0, 10.0), (1.9, 10.0), (2.0, 10.0), (4.0, 20.0), (16.0, 80.0)]
)
def test_deadline_is_longer_while_processes_compete_for_the_cores(
    load: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 99.0, 99.0), raising=False)
    deadline = Deadline(10.0)
    assert not deadline.has_passed
    now[0] += seconds - 0.1
    assert not deadline.has_passed
    now[0] += 0.2
    assert deadline.has_passed


def test_deadline_counts_whole_seconds_where_the_load_is_not_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_measured() -> tuple[float, float, float]:
        raise OSError

    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "getloadavg", not_measured, raising=False)
    deadline = Deadline(10.0)
    now[0] += 10.0
    assert deadline.has_passed

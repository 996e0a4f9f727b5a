"""How many processors this host has, also where a container may use only a part of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from auto_shutdown.world import host_processors
from auto_shutdown.world.host_processors import processors


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    processors.cache_clear()
    yield
    processors.cache_clear()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 96),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, 96),
        ({"cpu.max": "20000000 100000\n"}, 96),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 96),
        ({"cpu/cpu.cfs_quota_us": "400000\n"}, 96),
        ({"cpu.max": "0 0\n"}, 96),
    ],
    ids=str,
)
def test_the_limit_of_a_container_reduces_the_number_of_processors(
    files: dict[str, str], expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(96)), raising=False)
    monkeypatch.setattr(host_processors, "CGROUP", tmp_path)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert processors() == expected

"""The bench of every test here."""

from __future__ import annotations

from pathlib import Path

import pytest
from value_world import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)

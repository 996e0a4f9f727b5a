"""The bench of every test here."""

from __future__ import annotations

from pathlib import Path

import pytest
from value_world import Bench

from auto_shutdown.cycle import pass_patience


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(autouse=True)
def patient_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pass wait for its removals on a slow machine, too, whatever signals come meanwhile."""
    monkeypatch.setattr(pass_patience, "SIGNAL_SECONDS", 10.0)

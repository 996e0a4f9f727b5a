"""The real controller in a world of values whose clock is turned by hand (the tests' own)."""

from __future__ import annotations

import sys

from .servers import ROOT

sys.path.insert(0, str(ROOT / "tests" / "cycle"))

from value_world import START, Bench, ValueWorld  # type: ignore[import-not-found]

__all__ = ["START", "Bench", "ValueWorld"]

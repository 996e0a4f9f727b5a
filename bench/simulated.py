"""The real controller in a simulated world with a simulated clock, from the tests of the cycle."""

from __future__ import annotations

import sys

from .servers import ROOT

sys.path.insert(0, str(ROOT / "tests" / "cycle"))

from value_world import START, Bench, ValueWorld  # type: ignore[import-not-found]

__all__ = ["START", "Bench", "ValueWorld"]

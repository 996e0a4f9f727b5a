"""The configuration of a plain server whose limits last seconds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def short_limits(folder: Path, idle_seconds: float, **more: Any) -> Mapping[str, Any]:
    """The traits of the extension, with its files below ``folder``. ``more`` adds traits."""
    return {
        "state_dir": str(folder / "state"),
        "metadata_path": str(folder / "none.json"),
        "min_idle_timeout_minutes": 0.01,
        "idle_timeout_minutes": idle_seconds / 60,
        "grace_minutes": 0,
        "warn_minutes": 0,
        "poll_interval_seconds": 0.3,
        **more,
    }

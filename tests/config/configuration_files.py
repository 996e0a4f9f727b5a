"""Configuration files of a test: their texts, and where they are written."""

from __future__ import annotations

import json
from pathlib import Path

JSON_60 = json.dumps({"AutoShutdown": {"idle_timeout_minutes": 60}})
PY = "c = get_config()\n"


def written(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return [str(root / "user"), str(root / "system")]

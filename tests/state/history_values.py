"""The audit log's file, and the beginning and end of one line of it."""

from __future__ import annotations

from pathlib import Path

from auto_shutdown.core.outcome import Outcome, Result

ENTRY = {"at": "2026-01-01T00:00:00.000Z", "kind": "app", "resource": "KernelGateway/x"}
DONE = Outcome(Result.REMOVED, "Gone.")


def file_of(directory: Path) -> Path:
    return directory / "history-k.jsonl"

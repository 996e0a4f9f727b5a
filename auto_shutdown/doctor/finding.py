"""What the doctor says: one line for each thing looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """How it is. A warning is worth knowing and keeps nothing from working."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """``check`` is what was looked at; ``remedy`` says what to do, empty when all is well."""

    check: str
    level: Level
    message: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "level": self.level.value}


def ok(check: str, message: str) -> Finding:
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, message, remedy)


def failure(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Level.FAILURE, message, remedy)

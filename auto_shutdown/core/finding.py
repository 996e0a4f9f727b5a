"""What the doctor and ``domain check`` say: one finding for each thing that they look at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """A warning is worth a look, and keeps nothing from working. A failure needs a remedy."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """``check`` is the name of the thing that was looked at; ``remedy`` says what to do, and is
    empty when all is well. ``count``: how many resources it concerns, None where nothing counts."""

    check: str
    level: Level
    message: str
    remedy: str = ""
    count: int | None = None

    def to_json(self) -> dict[str, Any]:
        found = {**asdict(self), "level": self.level.value}
        if self.count is None:
            del found["count"]
        return found


def ok(check: str, message: str) -> Finding:
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, message, remedy)


def failure(check: str, message: str, remedy: str) -> Finding:
    return Finding(check, Level.FAILURE, message, remedy)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings there are of each level."""
    found = {level.value: 0 for level in Level}
    for finding in findings:
        found[finding.level.value] += 1
    return found

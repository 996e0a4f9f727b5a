"""The findings of the doctor and of ``domain check``: one for each check that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Level(str, Enum):
    """A failure keeps something from working. A warning does not, but somebody should look at
    it."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``check`` is the name of the check. ``remedy`` says what to do, and
    is empty if the level is ``OK``. ``count`` is the number of resources that the finding is about
    (None: it is not about resources)."""

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

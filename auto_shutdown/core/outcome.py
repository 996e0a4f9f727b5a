"""The outcome of a removal: whether the resource ended, and if not, why.

cycle/removal_tasks.py and the sources in ``world`` make the outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Result(str, Enum):
    """The result of an attempt to remove a resource."""

    REMOVED = "removed"
    GONE = "gone"  # it ended before the attempt: success
    STALE = "stale"  # it became active after the decision: expected, no error
    DRY_RUN = "dry-run"
    STILL_THERE = "still-there"  # the removal call succeeded, but it still runs: tried again later
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


@dataclass(frozen=True)
class Outcome:
    """The result of one removal, with the remedy for people if it failed."""

    result: Result
    detail: str = ""
    code: str = ""
    remedy: str = ""

    @property
    def ended(self) -> bool:
        """Whether the resource no longer exists after the attempt."""
        return self.result in (Result.REMOVED, Result.GONE)

    @property
    def failed(self) -> bool:
        return self.result in (Result.STILL_THERE, Result.TEMPORARY, Result.PERMANENT)

"""What one run of ``domain tidy`` hands to the next: the notices that were sent. Pure values and
their JSON. If they are lost, deletions are only delayed, because the next run sends the notices
again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..core.formatting import iso
from .errors import DomainError
from .resources import ItemKey

#: The version of the JSON's schema.
VERSION = 1

#: How long a run may work with the state before another run may take it. The scheduled function has
#: 15 minutes.
LEASE = timedelta(minutes=20)

#: AWS refuses requests of a machine whose clock is wrong by more than this (15 minutes for S3, 5
#: for SageMaker). An instant that lies further in the future was written by a wrong clock.
CLOCK_TOLERANCE = timedelta(minutes=15)


@dataclass(frozen=True)
class Notice:
    """A notice that was sent at ``given_at`` for the app whose CreationTime is ``created_at``,
    because of ``rule`` (a name in the policy file). ``due_at``: the time of the deletion that the
    notice announced; None in a state file of an earlier version."""

    rule: str
    given_at: datetime
    created_at: datetime | None
    due_at: datetime | None = None

    def is_due_at(self, notice_time: timedelta) -> datetime:
        """When the app may be deleted: ``notice_time`` after the notice, and not before the time
        that the notice announced. ``notice_time`` is that of the present policy, which may have
        changed since the notice."""
        return max(self.given_at + notice_time, self.due_at or self.given_at)


@dataclass(frozen=True)
class Memory:
    """``run`` names the run that works with the state, until ``run_until`` at the latest. Another
    run gives way until then."""

    notices: Mapping[ItemKey, Notice] = field(default_factory=dict)
    run: str = ""
    run_until: datetime | None = None

    def without(self, key: ItemKey) -> Memory:
        return replace(self, notices={k: n for k, n in self.notices.items() if k != key})

    def with_notices(self, notices: Mapping[ItemKey, Notice]) -> Memory:
        return replace(self, notices={**self.notices, **notices})

    def is_taken(self, now: datetime) -> bool:
        """Whether a run may be at work. A run whose clock was far ahead and that crashed does not
        hold the state longer than any other run."""
        if self.run_until is None:
            return False
        return now < self.run_until <= now + LEASE + CLOCK_TOLERANCE

    def taken(self, run: str, until: datetime) -> Memory:
        return replace(self, run=run, run_until=until)

    def released(self) -> Memory:
        return replace(self, run="", run_until=None)


def to_json(memory: Memory) -> dict[str, Any]:
    notices = [
        {
            **key._asdict(),
            "rule": notice.rule,
            "given_at": notice.given_at.isoformat(),
            # To the microsecond: it is compared with AWS's later answers.
            "created_at": notice.created_at.isoformat() if notice.created_at else None,
            "due_at": notice.due_at.isoformat() if notice.due_at else None,
        }
        for key, notice in memory.notices.items()
    ]
    lease = {"run": memory.run, "run_until": iso(memory.run_until)}
    return {"version": VERSION, **lease, "notices": notices}


def from_json(content: Any) -> Memory:
    """Raises DomainError for content that this version did not write. An empty memory would be safe
    as well, but the administrator should know that the state is damaged."""
    try:
        if content["version"] != VERSION:
            raise ValueError("version")
        notices = {}
        for entry in content["notices"]:
            key = ItemKey(*(str(entry[name]) for name in ItemKey._fields))
            given_at = _instant(entry["given_at"])
            if given_at is None:
                raise ValueError("given_at")
            created_at, due_at = _instant(entry["created_at"]), _instant(entry.get("due_at"))
            notices[key] = Notice(str(entry["rule"]), given_at, created_at, due_at)
        run, run_until = str(content.get("run", "")), _instant(content.get("run_until"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DomainError(
            f"The state of earlier runs cannot be understood ({error}). Delete it to begin anew: "
            "the next run then sends the notices again."
        ) from None
    return Memory(notices, run, run_until)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)

"""What one run of ``domain tidy`` hands to the next: the notices given. Pure values, and their
JSON. Losing it only delays a deletion: a notice that is not remembered is given again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..core.words import iso
from .errors import DomainError
from .facts import ItemKey

#: Of the JSON's shape.
VERSION = 1


@dataclass(frozen=True)
class Notice:
    """A notice that was given at ``given_at`` for the app whose CreationTime is ``created_at``,
    because of ``rule`` (a name of the policy file)."""

    rule: str
    given_at: datetime
    created_at: datetime | None


@dataclass(frozen=True)
class Memory:
    """``run`` and ``run_until``: a run that may still be at work, and when it is over at the
    latest. Another run that sees it before then gives way."""

    notices: Mapping[ItemKey, Notice] = field(default_factory=dict)
    run: str = ""
    run_until: datetime | None = None

    def without(self, key: ItemKey) -> Memory:
        return replace(self, notices={k: n for k, n in self.notices.items() if k != key})

    def with_notices(self, notices: Mapping[ItemKey, Notice]) -> Memory:
        return replace(self, notices={**self.notices, **notices})

    def is_taken(self, now: datetime) -> bool:
        """Whether another run may be at work."""
        return self.run_until is not None and now < self.run_until

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
            # To the microsecond: it is compared with what AWS says later.
            "created_at": notice.created_at.isoformat() if notice.created_at else None,
        }
        for key, notice in memory.notices.items()
    ]
    lease = {"run": memory.run, "run_until": iso(memory.run_until)}
    return {"version": VERSION, **lease, "notices": notices}


def from_json(content: Any) -> Memory:
    """Raises DomainError for what this version did not write: to begin anew could be right, but
    the administrator should know."""
    try:
        if content["version"] != VERSION:
            raise ValueError("version")
        notices = {}
        for entry in content["notices"]:
            key = ItemKey(*(str(entry[name]) for name in ItemKey._fields))
            given_at = _instant(entry["given_at"])
            if given_at is None:
                raise ValueError("given_at")
            notices[key] = Notice(str(entry["rule"]), given_at, _instant(entry["created_at"]))
        run, run_until = str(content.get("run", "")), _instant(content.get("run_until"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DomainError(
            f"The state of earlier runs cannot be understood ({error}). Delete it to begin anew: "
            "notices are then given again."
        ) from None
    return Memory(notices, run, run_until)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)

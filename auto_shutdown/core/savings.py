"""What was saved: the hours in which an instance was not billed because of a removal.

SageMaker bills an instance until its last app is gone, so only that removal saves anything. It is
counted until the same owner has an instance of that type again, and for a day at the longest:
beyond that, nobody can say that it would still have run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .ledger import Ledger
from .model import IN_SERVICE, App, Snapshot
from .prices import PRICED_AS_OF
from .words import iso

#: One removal saves this much at most.
LONGEST = timedelta(hours=24)

HOUR = timedelta(hours=1)

_SUMS = ("hours", "usd", "unpriced_hours")


@dataclass(frozen=True)
class Freed:
    """An instance that is not billed since ``at``. ``usd_per_hour`` None: its price is unknown."""

    instance_type: str | None
    at: datetime
    usd_per_hour: float | None


@dataclass(frozen=True)
class Savings:
    """Hours (and US dollars) of what is over, and what is not over yet. ``unpriced_hours`` are
    those of the ``hours`` whose price is unknown."""

    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0
    freed: tuple[Freed, ...] = ()


def frees_its_instance(app: App, snapshot: Snapshot, ledger: Ledger) -> bool:
    """Whether ``app`` is the last of its owner on that instance type (there is one instance of a
    type for each owner). The ledger has no mark of an app that was just removed."""
    if not app.billing:
        return False
    others = (
        other
        for other in snapshot.apps
        if other.ref != app.ref and other.instance_type == app.instance_type and other.billing
    )
    return not any(o.status == IN_SERVICE and o.ref in ledger.marks for o in others)


def settled(savings: Savings, in_service: Collection[str | None], now: datetime) -> Savings:
    """The savings after the instance types ``in_service`` were seen to be billed."""
    open_, hours, usd, unpriced = [], savings.hours, savings.usd, savings.unpriced_hours
    for freed in savings.freed:
        if freed.instance_type not in in_service and now - freed.at < LONGEST:
            open_.append(freed)
            continue
        spared = _hours(freed, now)
        hours += spared
        usd += spared * (freed.usd_per_hour or 0.0)
        unpriced += spared if freed.usd_per_hour is None else 0.0
    return replace(savings, hours=hours, usd=usd, unpriced_hours=unpriced, freed=tuple(open_))


def all_settled(savings: Savings, now: datetime) -> Savings:
    return settled(savings, {freed.instance_type for freed in savings.freed}, now)


def _hours(freed: Freed, now: datetime) -> float:
    return min(max(now - freed.at, timedelta(0)), LONGEST) / HOUR


def view(savings: Savings, now: datetime) -> dict[str, Any]:
    """For the report: everything as if it were over now."""
    over = all_settled(savings, now)
    return {
        "instance_hours": round(over.hours, 2),
        "usd": round(over.usd, 2),
        "unpriced_hours": round(over.unpriced_hours, 2),
        "priced_as_of": PRICED_AS_OF,
    }


def to_json(savings: Savings) -> dict[str, Any]:
    return {
        "hours": savings.hours,
        "usd": savings.usd,
        "unpriced_hours": savings.unpriced_hours,
        "freed": [
            {"instance_type": f.instance_type, "at": iso(f.at), "usd_per_hour": f.usd_per_hour}
            for f in savings.freed
        ],
    }


def from_json(found: Mapping[str, Any]) -> Savings:
    """What cannot be understood is left out: a sum that is too low claims nothing false."""
    try:
        hours, usd, unpriced = (float(found.get(name, 0.0)) for name in _SUMS)
        freed = tuple(
            Freed(
                None if f["instance_type"] is None else str(f["instance_type"]),
                datetime.fromisoformat(f["at"].replace("Z", "+00:00")).astimezone(timezone.utc),
                None if f["usd_per_hour"] is None else float(f["usd_per_hour"]),
            )
            for f in found.get("freed", [])
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return Savings()
    return Savings(hours, usd, unpriced, freed)

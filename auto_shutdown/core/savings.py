"""What was saved: the hours in which an instance was not billed because of a removal.

SageMaker bills an instance until its last app is gone, so only that removal saves anything. It is
counted until the same owner has an instance of that type again, and for a day at the longest:
beyond that, nobody can say that it would still have run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, timezone
from typing import Any

from .ledger import Ledger
from .model import IN_SERVICE, App, Snapshot
from .prices import PRICED_AS_OF
from .words import iso

#: One removal saves this much at most.
LONGEST = timedelta(hours=24)

#: The daily amounts go back so far: a whole month before this one, in any month.
DAYS_KEPT = 62

HOUR = timedelta(hours=1)

_SUMS = ("hours", "usd", "unpriced_hours")


@dataclass(frozen=True)
class Freed:
    """An instance that is not billed since ``at``. ``usd_per_hour`` None: its price is unknown."""

    instance_type: str | None
    at: datetime
    usd_per_hour: float | None


@dataclass(frozen=True)
class Day:
    """What was saved on one day of UTC (``2026-11-28``)."""

    day: str
    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0


@dataclass(frozen=True)
class Savings:
    """Hours (and US dollars) of what is over, and what is not over yet. ``unpriced_hours`` are
    those of the ``hours`` whose price is unknown. ``days`` split the same amounts by day, oldest
    first; state written by earlier versions has amounts without days."""

    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0
    freed: tuple[Freed, ...] = ()
    days: tuple[Day, ...] = ()


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
    days = savings.days
    for freed in savings.freed:
        if freed.instance_type not in in_service and now - freed.at < LONGEST:
            open_.append(freed)
            continue
        spared = _hours(freed, now)
        hours += spared
        usd += spared * (freed.usd_per_hour or 0.0)
        unpriced += spared if freed.usd_per_hour is None else 0.0
        days = _add_by_day(days, freed, spared)
    return replace(
        savings, hours=hours, usd=usd, unpriced_hours=unpriced, freed=tuple(open_), days=days
    )


def _add_by_day(days: tuple[Day, ...], freed: Freed, hours: float) -> tuple[Day, ...]:
    """``days`` with the ``hours`` after ``freed.at``, split at midnight UTC."""
    found = {day.day: day for day in days}
    start, end = freed.at, freed.at + hours * HOUR
    while start < end:
        midnight = datetime.combine(start.date(), time(), timezone.utc) + timedelta(days=1)
        part = (min(end, midnight) - start) / HOUR
        name = start.date().isoformat()
        old = found.get(name, Day(name))
        found[name] = Day(
            name,
            old.hours + part,
            old.usd + part * (freed.usd_per_hour or 0.0),
            old.unpriced_hours + (part if freed.usd_per_hour is None else 0.0),
        )
        start = midnight
    return tuple(found[name] for name in sorted(found)[-DAYS_KEPT:])


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
        "days": [_day_json(day, 3) for day in over.days],
    }


def _day_json(day: Day, digits: int) -> dict[str, Any]:
    return {
        "day": day.day,
        "instance_hours": round(day.hours, digits),
        "usd": round(day.usd, digits),
        "unpriced_hours": round(day.unpriced_hours, digits),
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
        "days": [_day_json(day, 6) for day in savings.days],
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
        days = tuple(
            Day(
                datetime.strptime(day["day"], "%Y-%m-%d").date().isoformat(),  # noqa: DTZ007
                float(day["instance_hours"]),
                float(day["usd"]),
                float(day["unpriced_hours"]),
            )
            for day in found.get("days", [])
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return Savings()
    return Savings(hours, usd, unpriced, freed, days)

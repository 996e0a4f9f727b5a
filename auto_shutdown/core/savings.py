"""The savings: the hours in which an instance was not billed because of a removal.

SageMaker bills an instance until its last app is gone, so only the removal of that app saves money.
A saving ends when the same owner has an instance of that type again, and after a day at the latest,
because nobody knows how long the instance would have run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, timezone
from typing import Any

from .formatting import iso
from .ledger import Ledger
from .model import IN_SERVICE, App, Snapshot
from .prices import PRICED_AS_OF

#: The longest time that counts as saved by one removal.
LONGEST = timedelta(hours=24)

#: The number of daily amounts kept: enough for this month and the whole month before.
DAYS_KEPT = 62

HOUR = timedelta(hours=1)

_SUMS = ("hours", "usd", "unpriced_hours")


@dataclass(frozen=True)
class Freed:
    """An instance that is not billed since ``at``. ``usd_per_hour`` is None if it is unknown."""

    instance_type: str | None
    at: datetime
    usd_per_hour: float | None


@dataclass(frozen=True)
class Day:
    """The savings of one UTC day (``2026-11-28``)."""

    day: str
    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0


@dataclass(frozen=True)
class Savings:
    """The sums of the savings that have ended, and in ``freed`` the savings that continue.

    ``hours`` are instance hours, ``usd`` US dollars. ``unpriced_hours`` is the part of ``hours``
    whose price is unknown. ``days`` split the same sums by day, oldest first. State of earlier
    versions has sums without days.
    """

    hours: float = 0.0
    usd: float = 0.0
    unpriced_hours: float = 0.0
    freed: tuple[Freed, ...] = ()
    days: tuple[Day, ...] = ()


def frees_its_instance(app: App, snapshot: Snapshot, ledger: Ledger) -> bool:
    """Whether ``app`` is its owner's last billed app on its instance type.

    An owner has one instance of each type. An app that was just removed may still be in
    ``snapshot``, but has no mark in ``ledger``.
    """
    if not app.billing:
        return False
    others = (
        other
        for other in snapshot.apps
        if other.ref != app.ref and other.instance_type == app.instance_type and other.billing
    )
    return not any(o.status == IN_SERVICE and o.ref in ledger.marks for o in others)


def settled(
    savings: Savings,
    in_service: Collection[str | None],
    now: datetime,
    seen_at: datetime | None = None,
) -> Savings:
    """``savings`` after ending those whose instance type is in ``in_service``, so billed again.

    ``seen_at`` is when the observation of ``in_service`` began. It may still show an app whose
    removal ended later, so it ends only the savings that began before it. None: it ends all.
    """
    open_, hours, usd, unpriced = [], savings.hours, savings.usd, savings.unpriced_hours
    days = savings.days
    for freed in savings.freed:
        is_new = seen_at is not None and freed.at >= seen_at
        billed_again = freed.instance_type in in_service and not is_new
        if not billed_again and now - freed.at < LONGEST:
            open_.append(freed)
            continue
        saved = _hours(freed, now)
        hours += saved
        usd += saved * (freed.usd_per_hour or 0.0)
        unpriced += saved if freed.usd_per_hour is None else 0.0
        days = _add_by_day(days, freed, saved)
    return replace(
        savings, hours=hours, usd=usd, unpriced_hours=unpriced, freed=tuple(open_), days=days
    )


def _add_by_day(days: tuple[Day, ...], freed: Freed, hours: float) -> tuple[Day, ...]:
    """``days`` with the ``hours`` after ``freed.at``, split at midnight UTC."""
    by_name = {day.day: day for day in days}
    start, end = freed.at, freed.at + hours * HOUR
    while start < end:
        midnight = datetime.combine(start.date(), time(), timezone.utc) + timedelta(days=1)
        part = (min(end, midnight) - start) / HOUR
        name = start.date().isoformat()
        old = by_name.get(name, Day(name))
        by_name[name] = Day(
            name,
            old.hours + part,
            old.usd + part * (freed.usd_per_hour or 0.0),
            old.unpriced_hours + (part if freed.usd_per_hour is None else 0.0),
        )
        start = midnight
    return tuple(by_name[name] for name in sorted(by_name)[-DAYS_KEPT:])


def combined(
    earlier: Savings, later: Savings, first_billed: Mapping[str | None, datetime]
) -> Savings:
    """The savings of an earlier run and those that began after it. ``first_billed`` says when each
    instance type was first billed again: that ended the earlier savings of the type."""
    for instance_type, at in sorted(first_billed.items(), key=lambda item: item[1]):
        earlier = settled(earlier, {instance_type}, at)
    days = {day.day: day for day in earlier.days}
    for day in later.days:
        old = days.get(day.day, Day(day.day))
        days[day.day] = Day(
            day.day,
            old.hours + day.hours,
            old.usd + day.usd,
            old.unpriced_hours + day.unpriced_hours,
        )
    return Savings(
        earlier.hours + later.hours,
        earlier.usd + later.usd,
        earlier.unpriced_hours + later.unpriced_hours,
        earlier.freed + later.freed,
        tuple(days[name] for name in sorted(days)[-DAYS_KEPT:]),
    )


def all_settled(savings: Savings, now: datetime) -> Savings:
    """``savings`` as if every saving ended now."""
    return settled(savings, {freed.instance_type for freed in savings.freed}, now)


def _hours(freed: Freed, now: datetime) -> float:
    return min(max(now - freed.at, timedelta(0)), LONGEST) / HOUR


def view(savings: Savings, now: datetime) -> dict[str, Any]:
    """The savings for the report, as if every saving ended now."""
    sums = all_settled(savings, now)
    return {
        "instance_hours": round(sums.hours, 2),
        "usd": round(sums.usd, 2),
        "unpriced_hours": round(sums.unpriced_hours, 2),
        "priced_as_of": PRICED_AS_OF,
        "days": [_day_json(day, 3) for day in sums.days],
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


def from_json(document: Mapping[str, Any]) -> Savings:
    """The savings in ``document``. Raises ValueError if it is not valid."""
    try:
        hours, usd, unpriced = (float(document.get(name, 0.0)) for name in _SUMS)
        freed = tuple(
            Freed(
                None if f["instance_type"] is None else str(f["instance_type"]),
                datetime.fromisoformat(f["at"].replace("Z", "+00:00")).astimezone(timezone.utc),
                None if f["usd_per_hour"] is None else float(f["usd_per_hour"]),
            )
            for f in document.get("freed", [])
        )
        days = tuple(
            Day(
                datetime.strptime(day["day"], "%Y-%m-%d").date().isoformat(),  # noqa: DTZ007
                float(day["instance_hours"]),
                float(day["usd"]),
                float(day["unpriced_hours"]),
            )
            for day in document.get("days", [])
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("no valid savings") from error
    return Savings(hours, usd, unpriced, freed, days)

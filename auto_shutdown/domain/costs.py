"""The cost of resources. Pure. Every amount is an estimate: hours multiplied by a list price. Only
AWS Cost Explorer knows the bill.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..core.model import FREE_APP_TYPES
from ..core.prices import usd_per_hour
from .facts import Facts
from .resources import APP, IN_SERVICE, KERNEL_GATEWAY, R_SERVER, SPACE, TRACKING_SERVER, Item

HOUR = timedelta(hours=1)

#: A member of the policy's prices: US dollars for a gigabyte and month of a space's volume.
STORAGE_PRICE = "storage-gb-month"
HOURS_A_MONTH = 730

#: Metering begins at InService and ends when the resource is gone, so these are billed.
BILLED_STATUSES = frozenset({IN_SERVICE, "Deleting", "Updating", "Stopping"})


def is_billed(item: Item) -> bool:
    """Whether ``item`` is billed by the hour now; for a space, whether its storage is."""
    if item.kind == SPACE:
        return bool(item.storage_gb)
    if item.kind == TRACKING_SERVER:
        return item.status not in ("Stopped", "Deleted", "Creating", "Failed")
    if item.kind == APP and item.type in FREE_APP_TYPES:
        # The default size of RStudioServerPro ("system") is free, the others are not.
        paid = item.type == R_SERVER and item.instance_type not in (None, "system")
        return paid and item.status in BILLED_STATUSES
    return item.status in BILLED_STATUSES


@dataclass(frozen=True)
class Cost:
    """The cost of one resource. ``usd`` is the sum of the last ``hours``. A value is None if the
    price or the age is unknown. ``shared_by``: the number of apps that share one instance; each has
    its part of the price."""

    usd_per_hour: float | None
    hours: float | None
    usd: float | None
    shared_by: int = 1


def costs(facts: Facts, prices: Mapping[str, float]) -> dict[Item, Cost]:
    """The cost of each billed item. ``prices`` are the administrator's own, by instance type, by
    app type (``Canvas``), or ``storage-gb-month``."""
    on_instance = Counter(_instance(i) for i in facts.items if _shares(i) and is_billed(i))
    found = {}
    for item in facts.items:
        if not is_billed(item):
            continue
        shared_by = on_instance[_instance(item)] if _shares(item) else 1
        rate = _rate(item, prices)
        rate = None if rate is None else rate / shared_by
        hours = None
        start = facts.started_at(item)
        if start is not None:
            hours = max(facts.at - start, timedelta(0)) / HOUR
        usd = None if rate is None or hours is None else rate * hours
        found[item] = Cost(rate, hours, usd, shared_by)
    return found


def _shares(item: Item) -> bool:
    """Studio Classic runs all KernelGateway apps of an owner and type on one instance."""
    return item.type == KERNEL_GATEWAY


def _instance(item: Item) -> tuple[object, str | None]:
    return item.owner_key, item.instance_type


def _rate(item: Item, prices: Mapping[str, float]) -> float | None:
    if item.kind == SPACE:
        month = prices.get(STORAGE_PRICE)
        if month is None or item.storage_gb is None:
            return None
        return month * item.storage_gb / HOURS_A_MONTH
    if item.instance_type is None:
        return prices.get(item.type)
    if item.type in prices:
        return prices[item.type]
    return usd_per_hour(item.instance_type, item.region, prices)


def by_day(facts: Facts, found: Mapping[Item, Cost], days: int) -> list[dict[str, object]]:
    """The cost of the resources that are billed now on each of the last ``days`` days (UTC), in US
    dollars by type. AWS does not list deleted resources, so their cost is missing."""
    now = facts.at
    first = now.date() - timedelta(days=days - 1)
    sums: dict[date, dict[str, float]] = {
        first + timedelta(days=number): defaultdict(float) for number in range(days)
    }
    for item, cost in found.items():
        start = facts.started_at(item)
        if cost.usd_per_hour is None or start is None:
            continue
        for day, hours in _hours_by_day(max(start, _midnight(first, now)), now):
            sums[day][item.type] += hours * cost.usd_per_hour
    return [
        {
            "day": day.isoformat(),
            "usd": round(sum(types.values()), 4),
            "by_type": {name: round(usd, 4) for name, usd in sorted(types.items())},
        }
        for day, types in sums.items()
    ]


def _midnight(day: date, now: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)


def _hours_by_day(start: datetime, end: datetime) -> Iterable[tuple[date, float]]:
    while start < end:
        following = _midnight(start.date() + timedelta(days=1), start)
        until = min(end, following)
        yield start.date(), (until - start) / HOUR
        start = until

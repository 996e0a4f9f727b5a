"""The report of ``domain report`` as JSON: one row for each billed resource, and sums. Pure.

Unknown values are null. Amounts are estimates: hours multiplied by a list price.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from .._version import __version__
from ..core.formatting import iso
from ..core.prices import PRICED_AS_OF
from . import facts as f
from .costs import Cost, by_day, costs
from .facts import Facts
from .observations import ServerReport, Sums
from .policy import DomainPolicy
from .resource_findings import idle_since
from .resources import (
    APP,
    CODE_EDITOR,
    JUPYTER_LAB,
    JUPYTER_SERVER,
    SPACE,
    USER_PROFILE,
    WATCHED_TYPES,
    DomainKey,
    Item,
    OwnerKey,
)
from .rules import is_orphan, is_without_extension

#: The version of the JSON's schema. It is raised if the meaning of a member changes.
VERSION = 1

#: The number of days in the chart of costs.
DAYS = 14

#: The columns of the table and the CSV file, in order.
COLUMNS = (
    "region",
    "domain",
    "owner",
    "space",
    "team",
    "type",
    "name",
    "status",
    "instance_type",
    "storage_gb",
    "since",
    "hours",
    "usd_per_hour",
    "usd",
    "idle_since",
    "idle_known_by",
    "extension",
    "extension_version",
    "dry_run",
    "native_idle",
    "orphan",
)

UNKNOWN = "unknown"
NO_OWNER = "no owner"
NO_TEAM = "no team"

#: The names of groups for rows without a value.
NOBODY = {
    "owner": NO_OWNER,
    "team": NO_TEAM,
    "domain": "no domain",
    "instance_type": "no instance type",
}


def build(facts: Facts, policy: DomainPolicy) -> dict[str, Any]:
    """The report."""
    priced = costs(facts, policy.prices)
    rows = [_row(item, cost, facts, policy) for item, cost in priced.items()]
    rows.sort(
        key=lambda row: (-(row["usd_per_hour"] or 0), row["domain"] or "", row["owner"] or "")
    )
    return {
        "version": VERSION,
        "program": __version__,
        "at": iso(facts.at),
        "account": facts.account,
        "regions": list(facts.regions),
        "domains": [_domain(facts, key) for key in sorted(facts.domains)],
        "rows": rows,
        "totals": {
            "all": _sum(rows),
            **{
                f"by_{name}": _totals(rows, name)
                for name in ("domain", "owner", "team", "type", "instance_type")
            },
        },
        "saved": _savings(facts, policy, lambda report: report.saved),
        "would_save": _savings(facts, policy, lambda report: report.would_save),
        "would_remove": _would_remove(facts),
        "days": by_day(facts, priced, DAYS),
        "billed": dict(facts.billed),
        "priced_as_of": PRICED_AS_OF,
        "unread": [_unread(u) for u in facts.unread],
    }


def _row(item: Item, cost: Cost, facts: Facts, policy: DomainPolicy) -> dict[str, Any]:
    since, known_by = idle_since(item, facts, policy.point_age)
    report = facts.server_report(item)
    in_use = known_by == "report-line" and since is None
    return {
        "region": item.region,
        "domain": item.domain_id or None,
        "owner": facts.person(item) if item.domain_id else None,
        "space": item.owner if item.owner_kind == SPACE else None,
        "team": facts.tag(item, policy.team_tag),
        "kind": item.kind,
        "type": item.type,
        "name": item.name,
        "status": item.status,
        "instance_type": item.instance_type,
        "storage_gb": item.storage_gb,
        "created_at": iso(item.created_at),
        "since": iso(facts.started_at(item)),
        "hours": _rounded(cost.hours, 2),
        "usd_per_hour": _rounded(cost.usd_per_hour, 6),
        "usd": _rounded(cost.usd, 2),
        "shared_by": cost.shared_by,
        "idle_since": iso(since),
        "idle_known_by": known_by or None,
        "in_use": True if in_use else (False if since is not None else None),
        "extension": extension(item, facts),
        "extension_version": report.version if report is not None else None,
        "extension_reported_at": iso(report.at) if report is not None else None,
        "dry_run": report.dry_run if report is not None else None,
        "native_idle": native_idle(item, facts),
        "orphan": is_orphan(item, facts),
    }


def extension(item: Item, facts: Facts) -> str | None:
    """Whether report lines of the app arrive: ``seen``, ``silent`` (not in the last two intervals),
    ``no report seen``, or ``unknown``. None if the extension cannot watch the app."""
    if item.type not in WATCHED_TYPES:
        return None
    report = facts.server_report(item)
    if report is not None:
        return "seen" if facts.at - report.at <= 2 * facts.report_interval else "silent"
    return "no report seen" if is_without_extension(item, facts) else UNKNOWN


def native_idle(item: Item, facts: Facts) -> str | None:
    """SageMaker's own idle shutdown by the settings of the user profile, if they were read, or the
    domain: ``off`` or minutes. ListSpaces does not show the value that a space may have itself."""
    if item.type not in (JUPYTER_LAB, CODE_EDITOR):
        return None
    person = facts.person(item)
    profile = None
    if person:
        key = OwnerKey(item.region, item.domain_id, USER_PROFILE, person.lower())
        profile = facts.profiles.get(key)
    domain = facts.domains.get(item.domain_key)
    for settings in (
        profile.settings if profile is not None else None,
        (domain.settings or {}).get("DefaultUserSettings") if domain is not None else None,
    ):
        block = (settings or {}).get(f"{item.type}AppSettings") or {}
        idle = (block.get("AppLifecycleManagement") or {}).get("IdleSettings")
        if idle:
            on = idle.get("LifecycleManagement") == "ENABLED"
            return f"{idle.get('IdleTimeoutInMinutes', '?')} min" if on else "off"
    return "off" if domain is not None and domain.settings is not None else UNKNOWN


def _domain(facts: Facts, key: DomainKey) -> dict[str, Any]:
    domain = facts.domains[key]
    return {
        "region": key.region,
        "id": domain.id,
        "name": domain.name,
        "status": domain.status,
        "user_profiles": sum(p.domain_id == domain.id for p in facts.profiles.values()),
        "spaces": sum(s.domain_id == domain.id for s in facts.spaces.values()),
        "servers_reporting": len({r.key for r in facts.reports if r.domain_id == domain.id}),
    }


def _sum(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found = list(rows)
    return {
        "resources": len(found),
        "usd_per_hour": round(sum(row["usd_per_hour"] or 0 for row in found), 4),
        "usd": round(sum(row["usd"] or 0 for row in found), 2),
        "unpriced": sum(row["usd_per_hour"] is None for row in found),
    }


def _totals(rows: Iterable[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    """Sums by one column, the most expensive first. The amounts leave ``unpriced`` resources
    out."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row[name] or NOBODY.get(name, UNKNOWN)].append(row)
    found = [{"name": key, **_sum(group)} for key, group in groups.items()]
    return sorted(found, key=lambda entry: (-entry["usd_per_hour"], entry["name"]))


def _savings(facts: Facts, policy: DomainPolicy, of: Any) -> dict[str, Any]:
    """Savings by owner and team, from the servers' report lines of the period that was read."""
    total = Sums()
    by_owner: dict[str, Sums] = defaultdict(Sums)
    by_team: dict[str, Sums] = defaultdict(Sums)
    for report in facts.report_of.values():
        sums: Sums = of(report)
        total += sums
        person, team = _whose(report, facts, policy)
        by_owner[person] += sums
        by_team[team] += sums
    return {
        **_view(total),
        "by_owner": _views(by_owner),
        "by_team": _views(by_team),
    }


def _whose(report: ServerReport, facts: Facts, policy: DomainPolicy) -> tuple[str, str]:
    """The user profile and the team of a server."""
    kind = USER_PROFILE if report.app_type.lower() == JUPYTER_SERVER.lower() else SPACE
    key = OwnerKey(report.region, report.domain_id, kind, report.owner.lower())
    if kind == USER_PROFILE and key not in facts.profiles:
        key = key._replace(kind=SPACE)  # the JupyterServer app of a Classic shared space
    item = Item(
        APP,
        report.region,
        report.app_type,
        report.app_name,
        "",
        domain_id=report.domain_id,
        owner_kind=key.kind,
        owner=report.owner,
    )
    return facts.person(item) or NO_OWNER, facts.tag(item, policy.team_tag) or NO_TEAM


def _view(sums: Sums) -> dict[str, float]:
    return {
        "instance_hours": round(sums.hours, 2),
        "usd": round(sums.usd, 2),
        "unpriced_hours": round(sums.unpriced_hours, 2),
    }


def _views(groups: Mapping[str, Sums]) -> list[dict[str, Any]]:
    found = [{"name": name, **_view(sums)} for name, sums in groups.items() if sums.hours]
    return sorted(found, key=lambda entry: (-entry["usd"], -entry["instance_hours"]))


def _would_remove(facts: Facts) -> dict[str, int]:
    """What the dry runs would have removed, by kind. Each server counts since its start."""
    found: dict[str, int] = defaultdict(int)
    for report in facts.report_of.values():
        for kind, count in report.would_remove.items():
            found[kind] += count
    return dict(found)


def _unread(unread: f.Unread) -> dict[str, str]:
    names = ("source", "region", "domain_id", "code", "message", "remedy")
    return {name: getattr(unread, name) for name in names}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def age(row: Mapping[str, Any]) -> timedelta | None:
    return None if row["hours"] is None else timedelta(hours=row["hours"])


def csv_rows(report: Mapping[str, Any]) -> Iterable[list[Any]]:
    """The header and the rows of the CSV file. Users choose names, so a text that a spreadsheet
    would run as a formula is escaped."""
    yield list(COLUMNS)
    for row in report["rows"]:
        yield [_cell(row[name]) for name in COLUMNS]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None else value

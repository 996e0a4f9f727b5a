"""Parses the report lines that servers write to their logs (``AutoShutdown.report_to_log``). Pure.

``auto_shutdown/cycle/report_line.py`` writes the lines; docs/domain.md describes their schema.
Users can write anything to their logs. So a line counts only for the owner of its log stream, and
it can only keep an app: no content of a line leads to a deletion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .observations import ReportedApp, ServerReport, Sums

#: The begin of a line, after a prefix that the log's driver may write. The value of this member is
#: the schema's version.
MARKER = '{"auto_shutdown_report":'

#: The versions of the schema that this module understands.
VERSIONS = (1,)


def parse(message: str) -> Mapping[str, Any] | None:
    """The JSON object of a report line; None if the message is not one."""
    start = message.find(MARKER)
    if start < 0:
        return None
    try:
        line, _ = json.JSONDecoder().raw_decode(message[start:])
    except (ValueError, RecursionError):
        return None
    known = isinstance(line, dict) and line.get("auto_shutdown_report") in VERSIONS
    return line if known else None


def server_report(
    region: str, place: re.Match[str], newest: str, first: str = ""
) -> ServerReport | None:
    """The report of one server. ``place`` is the match of its log stream's name. ``first`` is the
    earliest line that was read; the savings are counted from there."""
    line = parse(newest)
    at = _instant(line.get("at")) if line is not None else None
    if line is None or at is None:
        return None
    earlier: Mapping[str, Any] = (parse(first) or line) if first else line
    return ServerReport(
        region,
        place["domain"],
        place["owner"],
        place["type"],
        place["name"],
        at,
        version=str(line.get("version", ""))[:40],
        health=str(line.get("health", ""))[:20],
        enabled=_flag(line.get("enabled")),
        dry_run=_flag(line.get("dry_run")),
        apps=tuple(_apps(line.get("apps"))),
        saved=_sums(line.get("saved")).since(_sums(earlier.get("saved"))),
        would_save=_sums(line.get("would_save")).since(_sums(earlier.get("would_save"))),
        would_remove=_counts(line.get("would_remove")),
    )


def _apps(found: Any) -> list[ReportedApp]:
    entries = found if isinstance(found, list) else []
    return [
        ReportedApp(
            str(entry.get("type", "")),
            str(entry.get("name", "")),
            str(entry.get("action", "")),
            str(entry.get("reason", "")),
            _instant(entry.get("idle_since")),
            bool(entry.get("would_remove")),
        )
        for entry in entries
        if isinstance(entry, dict)
    ]


def _sums(found: Any) -> Sums:
    if not isinstance(found, Mapping):
        return Sums()
    names = ("instance_hours", "usd", "unpriced_hours")
    return Sums(*(_number(found.get(name)) for name in names))


def _counts(found: Any) -> dict[str, int]:
    if not isinstance(found, Mapping):
        return {}
    return {str(kind): int(_number(count)) for kind, count in found.items()}


def _number(value: Any) -> float:
    """``value`` if it is a finite number and not negative, otherwise 0: a user may have written the
    line."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 <= value < 1e9 else 0.0


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _instant(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return at.astimezone(timezone.utc) if at.tzinfo is not None else None

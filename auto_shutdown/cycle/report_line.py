"""The report line: one line of JSON on the server's standard output, which SageMaker ships to
CloudWatch Logs, where ``jupyter auto-shutdown domain report`` reads those of all users.

A line is written when its content has changed, at most once a minute, and at least every 15
minutes. Nothing is written unless the administrator turns ``report_to_log`` on. No notebook, path
or command is named unless ``report_to_log_names`` is on, too. docs/domain.md documents the schema,
which has a version. The line goes to the file descriptor and not through logging, which would add a
prefix. A separate thread writes it, because a write blocks while nobody reads the standard output.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from .._version import __version__
from ..config.settings import Limits
from ..core.decision import Plan
from ..core.model import PENDING, Snapshot
from ..core.prices import usd_per_hour
from ..core.rehearsal import Rehearsal, advance, totals
from ..world.clock import Moment

#: The version of the line's schema. It is raised when a member changes its meaning.
VERSION = 1

#: The longest and the shortest time between two lines.
LONGEST_INTERVAL = timedelta(minutes=15)
SHORTEST_INTERVAL = timedelta(minutes=1)

#: A write to a pipe of up to this size is atomic (POSIX: PIPE_BUF is 4096 on Linux), so no other
#: output can get inside the line. Apps that do not fit are left out and counted.
MOST_BYTES = 4096

STANDARD_OUTPUT = 1

Write = Callable[[bytes], None]


class ReportLine:
    """Writes the line after passes. ``region`` selects the prices."""

    def __init__(
        self, limits: Limits, region: str | None, log: logging.Logger, write: Write | None = None
    ) -> None:
        self._limits, self._region, self._log = limits, region, log
        self._failed = False
        self._write = write or _InBackground().write
        self._rehearsal = Rehearsal()
        self._written: Any = None
        self._written_at: float | None = None

    def pass_ended(
        self,
        moment: Moment,
        report: Callable[[], Mapping[str, Any]],
        snapshot: Snapshot,
        plan: Plan,
        dry_run: bool,
    ) -> None:
        """Write the line if it is due. Never raises: an error here must not end a pass."""
        waits = snapshot.unread.get(Snapshot.APPS)
        if not self._limits.report_to_log or (waits is not None and waits.code == PENDING):
            return  # a line without apps would say that none is running
        try:
            rates = self._rates(snapshot)
            self._rehearsal = advance(self._rehearsal, snapshot, plan, dry_run, moment.now, rates)
            if self._age(moment.monotonic) < SHORTEST_INTERVAL.total_seconds():
                return  # to build a line costs a whole report, and passes can be frequent
            sums = totals(self._rehearsal, moment.now, rates)
            line = compose(report(), sums, self._rehearsal, self._limits.report_to_log_names)
            content, age = _compared_content(line), self._age(moment.monotonic)
            if content != self._written or age >= LONGEST_INTERVAL.total_seconds():
                self._written, self._written_at = content, moment.monotonic
                self._write(encode(line))
        except Exception as error:
            if not self._failed:
                self._log.error("auto_shutdown: no report line", exc_info=error)
            self._failed = True

    def _rates(self, snapshot: Snapshot) -> dict[str, float | None]:
        names = {app.instance_type for app in snapshot.apps if app.instance_type}
        names |= set(self._rehearsal.freed)
        return {n: usd_per_hour(n, self._region, self._limits.hourly_prices) for n in names}

    def _age(self, monotonic: float) -> float:
        """Seconds since the last line (infinite: there was none)."""
        return math.inf if self._written_at is None else monotonic - self._written_at


def compose(
    report: Mapping[str, Any], sums: Rehearsal, rehearsal: Rehearsal, with_names: bool
) -> dict[str, Any]:
    """The line for ``report``, as JSON. ``sums`` are the totals of the rehearsal at this moment."""
    due = {(ref.kind.value, ref.id) for ref in rehearsal.due}
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for resource in report["resources"]:
        reasons[resource["kind"]][resource["reason"]] += 1
    savings = report["savings"]
    line = {
        # The first member, because ``domain report`` recognises a report line by it.
        "auto_shutdown_report": VERSION,
        "at": report["now"],
        "version": __version__,
        "platform": report["platform"]["kind"],
        "health": report["health"]["state"],
        "enabled": report["policy"]["enabled"],
        "dry_run": report["policy"]["dry_run"],
        "idle_timeout_minutes": report["policy"]["idle_timeout_minutes"],
        "reasons": {kind: dict(sorted(counts.items())) for kind, counts in reasons.items()},
        "removed": savings.get("removed", {}),
        "saved": {name: savings.get(name, 0) for name in _SUMS},
        "would_remove": dict(sums.counts),
        "would_save": {
            "instance_hours": round(sums.hours, 2),
            "usd": round(sums.usd, 2),
            "unpriced_hours": round(sums.unpriced_hours, 2),
        },
        "apps": [_app(r, due) for r in report["resources"] if r["kind"] == "app"],
    }
    if with_names:
        names = ("kind", "id", "name", "paths", "action", "reason", "detail", "idle_since")
        line["resources"] = [
            {name: resource[name] for name in names} for resource in report["resources"]
        ]
    return line


_SUMS = ("instance_hours", "usd", "unpriced_hours")


def _app(resource: Mapping[str, Any], due: set[tuple[str, str]]) -> dict[str, Any]:
    app_type, _, name = str(resource["id"]).partition("/")
    return {
        "type": app_type,
        "name": name,
        "state": resource["state"],
        "instance_type": resource["instance_type"],
        "action": resource["action"],
        "reason": resource["reason"],
        "idle_since": resource["idle_since"],
        "due_at": resource["due_at"],
        "would_remove": ("app", resource["id"]) in due,
    }


def _compared_content(line: Mapping[str, Any]) -> Any:
    """The content whose change causes a new line. Instants, sums and kernels change too often."""
    apps = [
        {name: app[name] for name in ("type", "name", "state", "action", "would_remove")}
        for app in line["apps"]
    ]
    names = ("health", "enabled", "dry_run", "removed", "would_remove")
    return [apps, {name: line[name] for name in names}]


def encode(line: Mapping[str, Any]) -> bytes:
    """The bytes of a line: ASCII without line breaks, so that no name can begin a line."""
    kept = dict(line)
    while True:
        text = json.dumps(kept, separators=(",", ":")).encode() + b"\n"
        if len(text) <= MOST_BYTES or not kept["apps"] or "resources" in kept:
            return text
        kept["apps"] = kept["apps"][: len(kept["apps"]) * 3 // 4]
        kept["apps_left_out"] = len(line["apps"]) - len(kept["apps"])


class _InBackground:
    """Writes to standard output in a thread. While one write hangs, later lines are dropped."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def write(self, text: bytes) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=_write, args=(text,), daemon=True)
        self._thread.start()


def _write(text: bytes) -> None:
    with contextlib.suppress(OSError):  # a standard output that was closed
        while text:
            text = text[os.write(STANDARD_OUTPUT, text) :]

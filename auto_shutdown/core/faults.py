"""What does not work at the moment, derived from what was seen; nothing is kept by hand, so a
fault that is over cannot stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from .ledger import Ledger
from .model import Snapshot
from .verdict import Fault, Result

#: Without these nothing, or nothing that is billed, can be removed.
BLOCKING_SOURCES = frozenset({Snapshot.KERNELS, Snapshot.APPS})


def derive(snapshot: Snapshot, ledger: Ledger, now: datetime) -> list[Fault]:
    """The faults of the world: sources that cannot be read, removals that fail."""
    unread = [
        Fault(u.source, u.code, u.message, u.remedy, now, u.source in BLOCKING_SOURCES)
        for u in snapshot.unread.values()
    ]
    failing = [
        Fault(
            str(ref),
            failure.outcome.code,
            failure.outcome.detail,
            failure.outcome.remedy,
            now,
            failure.outcome.result is Result.PERMANENT,
        )
        for ref, failure in ledger.failures.items()
    ]
    return unread + failing


def settle(
    before: Mapping[str, Fault], found: Iterable[Fault]
) -> tuple[dict[str, Fault], list[Fault], list[Fault]]:
    """The faults by source, those that are new (or changed), and those that are over.

    A fault goes on as long as its source fails with the same code: that is one log line when it
    starts and one when it is over, however many passes lie between.
    """
    after: dict[str, Fault] = {}
    started: list[Fault] = []
    for fault in found:
        known = before.get(fault.source)
        if known is not None and known.code == fault.code:
            fault = replace(fault, since=known.since)
        else:
            started.append(fault)
        after[fault.source] = fault
    return after, started, [fault for source, fault in before.items() if source not in after]


def health_state(faults: Iterable[Fault], enabled: bool) -> str:
    """``ok``, ``degraded`` (something of it does not work), ``failing`` (nothing is removed, or
    something that must be cannot be), or ``disabled``."""
    found = list(faults)
    if not enabled:
        return "disabled"
    if any(fault.blocking for fault in found):
        return "failing"
    return "degraded" if found else "ok"

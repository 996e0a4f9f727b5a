"""Faults: the parts of the extension that do not work, with a remedy for each.

The current faults are derived anew from the snapshot and the ledger of each pass, so a fault
that is over cannot remain by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from .ledger import Ledger
from .model import PENDING, Snapshot
from .outcome import Result
from .translatable import sentence


@dataclass(frozen=True)
class Fault:
    """A part that does not work: ``source`` is where, ``message`` what, ``remedy`` what to do."""

    source: str
    code: str
    message: str
    remedy: str
    since: datetime
    #: True if it prevents removals; the health is then ``failing``.
    blocking: bool = False


#: A fault of one of these sources prevents every removal, or that of every billed app.
BLOCKING_SOURCES = frozenset({Snapshot.KERNELS, Snapshot.APPS})

REFUSED_REMEDY = sentence(
    "Restart this kernel, or shut it down if nobody needs it. If other kernels have this fault, "
    "look at the log of their gateway. The administrator's max_busy_minutes ends such kernels."
)


def derive(snapshot: Snapshot, ledger: Ledger, now: datetime) -> list[Fault]:
    """One fault for each source that cannot be read, each removal that fails, and each kernel whose
    gateway refuses each connection.

    Each fault has a ``source`` of its own, by which :func:`settle` recognises it in the next pass.
    The source of a fault of one resource ends with ``str(ref)``, by which the panel finds the row
    of that resource.
    """
    unread = [
        Fault(u.source, u.code, u.message, u.remedy, now, u.source in BLOCKING_SOURCES)
        # One failure may make several sources unreadable; it is shown once.
        for u in dict.fromkeys(snapshot.unread.values())
        if u.code != PENDING
    ]
    refusing = [
        Fault(
            f"connection of {kernel.ref}",
            "KernelRefuses",
            sentence(
                "The kernel %1 cannot be asked whether a cell runs: %2. It is kept. It also keeps "
                "its app; a kernel that never came up does so only for suspect_after_minutes.",
                kernel.id,
                kernel.refused,
            ),
            REFUSED_REMEDY,
            now,
        )
        for kernel in snapshot.kernels
        if kernel.refused
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
    return unread + failing + refusing


def settle(
    before: Mapping[str, Fault], current: Iterable[Fault]
) -> tuple[dict[str, Fault], list[Fault], list[Fault]]:
    """Compare ``current`` with the faults ``before``, which are keyed by source.

    Returns all current faults by source, the new or changed ones, and the ones that are over. A
    fault continues while its source fails with the same code. So the log gets one line when a fault
    starts and one when it is over, however many passes lie between.
    """
    after: dict[str, Fault] = {}
    started: list[Fault] = []
    for fault in current:
        known = before.get(fault.source)
        if known is not None and known.code == fault.code:
            fault = replace(fault, since=known.since)
        else:
            started.append(fault)
        after[fault.source] = fault
    return after, started, [fault for source, fault in before.items() if source not in after]


#: A blocking fault of one of these sources prevents every removal: a pass fails or hangs, the
#: settings cannot be read, or an administrator has stopped removals.
STOPS_ALL = frozenset({"cycle", "settings", "stop-switch"})


def stop_all_removals(faults: Iterable[Fault]) -> bool:
    """Whether one of ``faults`` prevents every removal, and not only that of one resource."""
    return any(fault.blocking and fault.source in STOPS_ALL for fault in faults)


def health_state(faults: Iterable[Fault], enabled: bool) -> str:
    """``ok``, ``degraded`` (a part does not work), ``failing`` (a fault prevents removals), or
    ``disabled``."""
    current = list(faults)
    if not enabled:
        return "disabled"
    if any(fault.blocking for fault in current):
        return "failing"
    return "degraded" if current else "ok"

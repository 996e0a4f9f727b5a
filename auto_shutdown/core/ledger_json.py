"""Write the ledger as JSON and read it back, for the state that survives a restart.

An entry that is not valid is left out, never guessed: a lost mark only starts a new idle clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from .ledger import Hold, Ledger
from .marks import Mark, Work, moved, shifted
from .model import Kind, Ref, Snapshot
from .signals import Signal
from .translatable import sentence

#: The ``detail`` of the background work of an app that worked when the earlier server stopped. It
#: applies until the app is queried again.
WORKED_EARLIER = sentence("it worked when this server was last stopped")

_INSTANTS = ("first_seen", "seen_at", "active_at")


def marks_to_json(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "kind": ref.kind.value,
            "id": ref.id,
            "first_seen": _text(mark.first_seen),
            "seen_at": _text(mark.seen_at),
            "active_at": _text(mark.active_at),
            "signal": mark.signal,
            "stamps": _texts(mark.stamps),
            "weak": _texts(mark.weak),
            "state": mark.state,
            "state_since": _text(mark.state_since),
            "app": mark.app,
            "incarnation": mark.incarnation,
            "quiet_since": _text(mark.quiet_since),
            "alone": mark.alone,
            "may_run_cell": mark.may_run_cell,
            "working": mark.work.result == "working",
            "in_background": mark.work.in_background,
        }
        for ref, mark in ledger.marks.items()
    ]


def marks_from_json(entries: Any, now: datetime) -> dict[Ref, Mark]:
    """The marks in ``entries``. An instant after ``now`` becomes ``now``."""
    marks: dict[Ref, Mark] = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            ref = Ref(Kind(entry["kind"]), str(entry["id"]))
            first_seen, seen_at, active_at = (min(_instant(entry[n]), now) for n in _INSTANTS)
            mark = Mark(
                first_seen,
                seen_at,
                active_at,
                signal=str(entry["signal"]),
                stamps=_instants(entry["stamps"]),
                weak={k: min(at, now) for k, at in _instants(entry["weak"]).items()},
                state=str(entry["state"]),
                state_since=_past(entry.get("state_since"), now),
                app=entry["app"] if isinstance(entry.get("app"), str) else None,
                incarnation=str(entry.get("incarnation", "")),
                quiet_since=_past(entry.get("quiet_since"), now),
                alone=entry.get("alone") is True,
                may_run_cell=entry.get("may_run_cell") is True,
            )
            if entry.get("in_background") is True:
                mark = replace(mark, work=Work(in_background=True))
            if entry.get("working") is True:
                # Nobody knows when this background work ended, so the idle clock starts now.
                mark = moved(mark, Signal.BACKGROUND_WORK, now)
                if ref.kind is Kind.APP:
                    # A kernel or terminal is always queried before its removal. Some apps are
                    # queried only while their last answer is "working".
                    mark = replace(mark, work=Work(now, None, "working", WORKED_EARLIER))
            marks[ref] = mark
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return marks


def holds_to_json(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {"kind": ref.kind.value, "id": ref.id, "until": _text(hold.until), "note": hold.note}
        for ref, hold in ledger.holds.items()
    ]


def holds_from_json(entries: Any) -> dict[Ref, Hold]:
    holds: dict[Ref, Hold] = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            until, note = _instant(entry["until"]), str(entry.get("note", ""))
            holds[Ref(Kind(entry["kind"]), str(entry["id"]))] = Hold(until, note)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            continue
    return holds


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _texts(stamps: Mapping[str, datetime]) -> dict[str, str]:
    return {name: at.isoformat() for name, at in stamps.items()}


def _instants(stamps: Any) -> dict[str, datetime]:
    return {str(name): _instant(at) for name, at in stamps.items()}


def _past(value: Any, now: datetime) -> datetime | None:
    return min(_instant(value), now) if value else None


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(str(value))
    return (
        instant.astimezone(timezone.utc) if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    )


def anchor(boot: str | None, now: datetime, monotonic: float) -> dict[str, Any]:
    """The clock readings from which :func:`step_since` computes a step of the wall clock."""
    return {"boot": boot, "at": _text(now), "monotonic": monotonic}


def step_since(document: Any, boot: str | None, now: datetime, monotonic: float) -> timedelta:
    """By how much somebody set the wall clock forward since ``document`` was written.

    Zero if that is unknown: ``document`` is of another boot of the host, or has no anchor.
    """
    try:
        elapsed = timedelta(seconds=monotonic - document["monotonic"])
        if boot is None or document["boot"] != boot or elapsed < timedelta(0):
            return timedelta(0)
        return now - _instant(document["at"]) - elapsed
    except (KeyError, TypeError, ValueError, OverflowError):
        return timedelta(0)


def restore(
    *,
    marks: Any,
    holds: Any,
    boot: str | None,
    quiet_until: datetime,
    latest_hold: datetime,
    now: datetime,
    monotonic: float,
) -> Ledger:
    """The ledger with which a server starts.

    ``marks`` and ``holds`` are the documents that an earlier server wrote. A step of the wall clock
    since then changes no duration.

    Marks count only if the earlier server ran in the same boot of the host and stopped cleanly.
    Otherwise there may have been activity that it did not write, and its marks would lead to a
    removal that is too early. Keep-alives always count, because a person set them; they end
    at ``latest_hold`` at the latest.
    """
    trusted = (
        isinstance(marks, Mapping)
        and boot is not None
        and marks.get("boot") == boot
        and marks.get("clean") is True
    )
    known: dict[Ref, Mark] = {}
    if trusted:
        step = step_since(marks, boot, now, monotonic)
        old = marks_from_json(marks.get("marks"), now - step)
        known = {ref: shifted(mark, step) for ref, mark in old.items()}
    kept = holds.get("keep_alive") if isinstance(holds, Mapping) else None
    step = step_since(holds, boot, now, monotonic)
    return Ledger(
        quiet_until,
        marks=known,
        forgotten=frozenset() if trusted else frozenset({Snapshot.KERNELS, Snapshot.TERMINALS}),
        holds={
            ref: Hold(min(hold.until + step, latest_hold), hold.note)
            for ref, hold in holds_from_json(kept).items()
        },
    )

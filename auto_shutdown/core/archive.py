"""The ledger as JSON and back, for the state that survives a restart.

What cannot be understood is left out, never guessed: a lost mark only starts a new clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .ledger import Hold, Ledger, Mark
from .model import Kind, Ref

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
            "stamp": _text(mark.stamp),
            "state": mark.state,
            "state_since": _text(mark.state_since),
            "app": mark.app,
            "incarnation": mark.incarnation,
        }
        for ref, mark in ledger.marks.items()
    ]


def marks_from_json(entries: Any, now: datetime) -> dict[Ref, Mark]:
    """The marks, none of them in the future."""
    marks: dict[Ref, Mark] = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            ref = Ref(Kind(entry["kind"]), str(entry["id"]))
            instants = {name: min(_instant(entry[name]), now) for name in _INSTANTS}
            marks[ref] = Mark(
                **instants,
                signal=str(entry["signal"]),
                stamp=_instant(entry["stamp"]) if entry.get("stamp") else None,
                state=str(entry["state"]),
                state_since=min(_instant(entry["state_since"]), now)
                if entry.get("state_since")
                else None,
                app=entry["app"] if isinstance(entry.get("app"), str) else None,
                incarnation=str(entry.get("incarnation", "")),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return marks


def holds_to_json(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {"kind": ref.kind.value, "id": ref.id, "until": _text(hold.until)}
        for ref, hold in ledger.holds.items()
    ]


def holds_from_json(entries: Any) -> dict[Ref, Hold]:
    holds: dict[Ref, Hold] = {}
    for entry in entries if isinstance(entries, list) else []:
        try:
            holds[Ref(Kind(entry["kind"]), str(entry["id"]))] = Hold(_instant(entry["until"]))
        except (KeyError, TypeError, ValueError):
            continue
    return holds


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(str(value))
    return (
        instant.astimezone(timezone.utc) if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
    )


def restore(
    *,
    marks: Any,
    holds: Any,
    boot: str | None,
    quiet_until: datetime,
    latest_hold: datetime,
    now: datetime,
) -> Ledger:
    """The ledger a server starts with.

    Marks are trusted only of the same boot and after a clean stop: after anything else there may
    have been activity that was never written down, and old marks would then remove too early
    (law 5). Keep-alives are people's words, and hold in any case, up to ``latest_hold``.
    """
    trusted = (
        isinstance(marks, Mapping)
        and boot is not None
        and marks.get("boot") == boot
        and marks.get("clean") is True
    )
    return Ledger(
        quiet_until,
        marks=marks_from_json(marks.get("marks"), now) if trusted else {},
        holds={
            ref: Hold(min(hold.until, latest_hold)) for ref, hold in holds_from_json(holds).items()
        },
    )

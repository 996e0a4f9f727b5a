"""What a server remembers from one pass to the next: marks of activity, keep-alives, failed
removals, vetoes and notices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from .decision import Decision
from .marks import Mark, first_sight, moved, shifted
from .model import EVERYTHING, Kind, Ref
from .outcome import Outcome

#: The delay after a failed removal doubles with each failure in a row, between these two values.
#: The longest delay applies to a missing permission, too. A person who grants the permission wants
#: to see the effect soon, and one call an hour costs nothing.
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)

V = TypeVar("V")


@dataclass(frozen=True)
class Hold:
    """A keep-alive: its resource is not removed before ``until``. ``note`` is the user's own
    explanation, or empty."""

    until: datetime
    note: str = ""


@dataclass(frozen=True)
class Failure:
    """``count`` failed removals in a row. The next attempt is not before ``retry_at``."""

    count: int
    retry_at: datetime
    outcome: Outcome


@dataclass(frozen=True)
class Notice:
    """The removal of a resource was announced at ``at``. Activity after that voids the notice.
    Evidence of activity before it, however late it arrives, does not."""

    at: datetime


@dataclass(frozen=True)
class Veto:
    """``hook`` objected to a removal. It is called again at ``until``."""

    hook: str
    text: str
    until: datetime


@dataclass(frozen=True)
class Ledger:
    """What a server remembers from one pass to the next.

    - ``quiet_until``: nothing is removed before it. It is set at a start, and after a pause of the
      loop.
    - ``forgotten``: the sources (such as ``Snapshot.KERNELS``) whose marks a restart lost. A source
      is removed from it when it has been read again.
    - ``rehearsed``: the removals that ``dry_run`` has rehearsed. For each resource it holds the
      ``idle_since`` of that decision.
    """

    quiet_until: datetime
    marks: Mapping[Ref, Mark] = field(default_factory=dict)
    holds: Mapping[Ref, Hold] = field(default_factory=dict)
    failures: Mapping[Ref, Failure] = field(default_factory=dict)
    notices: Mapping[Ref, Notice] = field(default_factory=dict)
    vetoes: Mapping[Ref, Veto] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()
    rehearsed: Mapping[Ref, datetime | None] = field(default_factory=dict)

    def hold_on(self, refs: Iterable[Ref], now: datetime) -> Hold | None:
        """Of the keep-alives in force on any of ``refs`` or on everything: the last to end."""
        if not self.holds:
            return None
        in_force = [
            hold
            for ref in (EVERYTHING, *refs)
            if (hold := self.holds.get(ref)) is not None and hold.until > now
        ]
        return max(in_force, key=lambda hold: hold.until, default=None)

    def held_until(self, refs: Iterable[Ref], now: datetime) -> datetime | None:
        """When the last keep-alive on ``refs`` or on everything ends; None if none is in force."""
        hold = self.hold_on(refs, now)
        return None if hold is None else hold.until

    def veto_on(self, ref: Ref, now: datetime) -> Veto | None:
        """The veto in force on the removal of ``ref``."""
        veto = self.vetoes.get(ref) if self.vetoes else None
        return veto if veto is not None and veto.until > now else None

    def was_rehearsed(self, ref: Ref, idle_since: datetime | None) -> bool:
        """Whether ``dry_run`` has rehearsed the removal of ``ref`` for the same idleness."""
        return ref in self.rehearsed and self.rehearsed[ref] == idle_since


def note(ledger: Ledger, refs: Iterable[Ref], signal: str, now: datetime) -> Ledger:
    """The ledger after a report of activity on ``refs`` (presence, a heartbeat)."""
    marks = dict(ledger.marks)
    for ref in refs:
        marks[ref] = moved(marks.get(ref) or first_sight(now), signal, now)
    return replace(ledger, marks=marks)


def add_vetoes(ledger: Ledger, vetoes: Mapping[Ref, Veto]) -> Ledger:
    """The ledger with ``vetoes`` added."""
    return replace(ledger, vetoes={**ledger.vetoes, **vetoes})


def give_notice(ledger: Ledger, decisions: Iterable[Decision], now: datetime) -> Ledger:
    """The ledger with a notice for each removal whose ``warn_at`` has passed.

    A notice announces a due time, so a decision without one gets no notice. A notice is dropped
    when its resource is active again, or when the removal moves so far into the future that it
    needs a new notice.
    """
    notices = dict(ledger.notices)
    for decision in decisions:
        if decision.warn_at is None or decision.warn_at > now or decision.idle_since is None:
            notices.pop(decision.ref, None)
        elif not has_notice(ledger, decision.ref, decision.idle_since):
            notices.pop(decision.ref, None)
            if decision.due_at is not None:
                notices[decision.ref] = Notice(now)
    return replace(ledger, notices=notices)


def has_notice(ledger: Ledger, ref: Ref, idle_since: datetime) -> bool:
    """Whether the removal of ``ref``, idle since ``idle_since``, has been announced.

    Only activity after a notice voids it. Late evidence of activity before the notice moves
    ``idle_since`` forward, but does not start the notice again. If it did, a server without that
    evidence would remove the resource sooner than a server that has it; but a server that has lost
    memory must never remove sooner.
    """
    notice = ledger.notices.get(ref)
    return notice is not None and notice.at >= idle_since


def record(ledger: Ledger, ref: Ref, outcome: Outcome, now: datetime) -> Ledger:
    """The ledger after an attempt to remove ``ref``.

    A failed attempt delays the next attempt. Any other outcome clears earlier failures.

    The mark of a removed app is dropped at once, so that an app created later under the same name
    gets a new clock. The mark of a kernel or terminal stays until no source lists it. Otherwise a
    list that is out of date would make it look like an arrival, which would keep its app.
    """
    if outcome.ended:
        return replace(
            ledger,
            marks=_without(ledger.marks, ref) if ref.kind is Kind.APP else ledger.marks,
            holds=_without(ledger.holds, ref),
            failures=_without(ledger.failures, ref),
            notices=_without(ledger.notices, ref),
        )
    if not outcome.failed:
        return replace(ledger, failures=_without(ledger.failures, ref))
    count = ledger.failures[ref].count + 1 if ref in ledger.failures else 1
    wait = min(FIRST_RETRY * 2 ** min(count - 1, 16), LONGEST_RETRY)
    failure = Failure(count, now + wait, outcome)
    return replace(ledger, failures={**ledger.failures, ref: failure})


def without_mark(ledger: Ledger, ref: Ref) -> Ledger:
    """The ledger without the mark of ``ref``, an app that was removed."""
    return replace(ledger, marks=_without(ledger.marks, ref))


def rehearse(ledger: Ledger, ref: Ref, idle_since: datetime | None) -> Ledger:
    """The ledger after ``dry_run`` has rehearsed the removal of ``ref``, idle since that time."""
    return replace(ledger, rehearsed={**ledger.rehearsed, ref: idle_since})


def hold(ledger: Ledger, ref: Ref, until: datetime | None, note: str = "") -> Ledger:
    """Set a keep-alive on ``ref``, or release it (``until`` None)."""
    holds = _without(ledger.holds, ref)
    if until is not None:
        holds[ref] = Hold(until, note)
    return replace(ledger, holds=holds)


def shift(ledger: Ledger, step: timedelta) -> Ledger:
    """The ledger after somebody set the wall clock forward by ``step``.

    All instants that this extension recorded move by ``step``
    (:func:`~auto_shutdown.core.marks.shifted`).
    """
    return replace(
        ledger,
        quiet_until=ledger.quiet_until + step,
        marks={ref: shifted(mark, step) for ref, mark in ledger.marks.items()},
        holds={ref: replace(hold, until=hold.until + step) for ref, hold in ledger.holds.items()},
        failures={
            ref: replace(f, retry_at=f.retry_at + step) for ref, f in ledger.failures.items()
        },
        notices={ref: Notice(notice.at + step) for ref, notice in ledger.notices.items()},
        vetoes={ref: replace(v, until=v.until + step) for ref, v in ledger.vetoes.items()},
        rehearsed={
            ref: None if since is None else since + step for ref, since in ledger.rehearsed.items()
        },
    )


def _without(mapping: Mapping[Ref, V], ref: Ref) -> dict[Ref, V]:
    return {key: value for key, value in mapping.items() if key != ref}

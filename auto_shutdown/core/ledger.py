"""What is remembered between two looks at the world: the marks of activity, keep-alives, failed
removals, vetoes, and the notice given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from .marks import (
    BUSY,
    RUNNING,
    STUCK_CPU,
    Inside,
    Mark,
    Work,
    advance_app,
    advance_kernel,
    advance_terminal,
    first_sight,
    moved,
    shifted,
)
from .model import EVERYTHING, IN_SERVICE, Answer, App, Kind, Ref, Resource, Snapshot
from .signals import Signal
from .verdict import Decision, Outcome

#: Waits after a failed removal: doubled for each failure in a row, from the first to the second.
#: A missing permission waits as long as a throttled call at most: it is mended by people, who
#: then want to see it work, and one call an hour costs nothing.
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)

V = TypeVar("V")


@dataclass(frozen=True)
class Hold:
    """A keep-alive: its resource is not removed before ``until``. ``note`` is the user's reason
    for it, in their own words; empty where they gave none."""

    until: datetime
    note: str = ""


@dataclass(frozen=True)
class Failure:
    """Removals that failed in a row, and when the next may be tried."""

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
    """That ``hook`` objected to a removal; it is asked again at ``until``."""

    hook: str
    text: str
    until: datetime


@dataclass(frozen=True)
class Ledger:
    """``quiet_until``: nothing at all is removed before it (a start, or a pause of the loop).
    ``forgotten``: the sources of whose things all memory was lost, until they are read."""

    quiet_until: datetime
    marks: Mapping[Ref, Mark] = field(default_factory=dict)
    holds: Mapping[Ref, Hold] = field(default_factory=dict)
    failures: Mapping[Ref, Failure] = field(default_factory=dict)
    notices: Mapping[Ref, Notice] = field(default_factory=dict)
    vetoes: Mapping[Ref, Veto] = field(default_factory=dict)
    forgotten: frozenset[str] = frozenset()

    def hold_on(self, refs: Iterable[Ref], now: datetime) -> Hold | None:
        """The keep-alive in force on any of ``refs`` or on everything that ends last."""
        if not self.holds:
            return None
        in_force = [
            hold
            for ref in (EVERYTHING, *refs)
            if (hold := self.holds.get(ref)) is not None and hold.until > now
        ]
        return max(in_force, key=lambda hold: hold.until, default=None)

    def held_until(self, refs: Iterable[Ref], now: datetime) -> datetime | None:
        """When the last of these keep-alives ends; None where none is in force."""
        hold = self.hold_on(refs, now)
        return None if hold is None else hold.until

    def veto_on(self, ref: Ref, now: datetime) -> Veto | None:
        """The objection in force to removing ``ref``."""
        veto = self.vetoes.get(ref) if self.vetoes else None
        return veto if veto is not None and veto.until > now else None


def advance(ledger: Ledger, snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger after a look at the world. Pure.

    Marks of what a source no longer lists are dropped; marks of a source that could not be read
    stay as they are: what it gave last is carried along, and is no news.
    """
    marks: dict[Ref, Mark] = {}
    known = dict(ledger.marks)
    tenants: tuple[Resource, ...] = (*snapshot.kernels, *snapshot.terminals)
    for tenant in tenants if ledger.forgotten else ():
        if _SOURCES[tenant.ref.kind] in ledger.forgotten:
            # Its stamps do not tell of what was known of it beside them.
            known.setdefault(tenant.ref, first_sight(now))
    for kernel in snapshot.kernels:
        previous = known.get(kernel.ref)
        carried = previous if Snapshot.KERNELS in snapshot.unread else None
        marks[kernel.ref] = carried or advance_kernel(previous, kernel, now)
    for terminal in snapshot.terminals:
        previous = known.get(terminal.ref)
        carried = previous if Snapshot.TERMINALS in snapshot.unread else None
        marks[terminal.ref] = carried or advance_terminal(previous, terminal, now)
    left = [
        mark
        for ref, mark in ledger.marks.items()
        if ref not in marks and _SOURCES[ref.kind] not in snapshot.unread
    ]
    inside = _inside_apps(ledger.marks, marks, left, snapshot, now)
    # A call that was answered too late may have worked all the same.
    over = {app.ref for app in snapshot.apps if app.status != IN_SERVICE}
    for app in snapshot.apps:
        previous = ledger.marks.get(app.ref)
        marks[app.ref] = advance_app(previous, app, inside.get(app.id), now)
    if snapshot.unread:
        for ref, mark in ledger.marks.items():
            if ref not in marks and _SOURCES[ref.kind] in snapshot.unread:
                marks[ref] = mark
    return replace(
        ledger,
        marks=marks,
        holds={ref: hold for ref, hold in ledger.holds.items() if hold.until > now},
        failures={ref: f for ref, f in ledger.failures.items() if ref in marks.keys() - over},
        notices={ref: n for ref, n in ledger.notices.items() if ref in marks},
        vetoes={ref: veto for ref, veto in ledger.vetoes.items() if veto.until > now},
        forgotten=ledger.forgotten & frozenset(snapshot.unread),
    )


def glimpse(ledger: Ledger, part: Snapshot, now: datetime) -> Ledger:
    """The ledger after looking again at a part of the world: what is not in that part stays."""
    seen = advance(ledger, part, now)
    return replace(ledger, marks={**ledger.marks, **seen.marks})


_SOURCES = {
    Kind.KERNEL: Snapshot.KERNELS,
    Kind.TERMINAL: Snapshot.TERMINALS,
    Kind.APP: Snapshot.APPS,
}


def _inside_apps(
    before: Mapping[Ref, Mark],
    after: Mapping[Ref, Mark],
    left: Iterable[Mark],
    snapshot: Snapshot,
    now: datetime,
) -> dict[str, Inside]:
    """For each app id, the latest activity of what runs in it.

    A resource that was not there at the last look is an arrival, and counts as now. One that
    left is no arrival, and counts for nothing: our own shutdown of a kernel must not prolong
    its app. But what was at work at the last look ended somewhere between the two, and the use of
    a kernel that came or went between two looks counts for its app (:class:`Departure`).
    """
    inside: dict[str, Inside] = {}
    for ref, mark in after.items():
        if mark.app is None:
            continue
        known = before.get(ref)
        arrived = known is None or known.app != mark.app
        at, signal = (now, Signal.ARRIVAL) if arrived else (mark.active_at, mark.signal)
        found = inside.get(mark.app)
        if found is None:
            found = inside[mark.app] = Inside(at, signal)
        found.add(at, signal, mark.weak)
    for mark in left:
        if mark.app is not None and mark.at_work:
            inside.setdefault(mark.app, Inside(now, mark.signal)).add(now, mark.signal, {})
    for departure in snapshot.departures:
        at = min(departure.at, now)
        for app in snapshot.apps:
            if departure.anywhere or departure.app == app.id:
                found = inside.setdefault(app.id, Inside(at, departure.signal))
                found.add(at, departure.signal, {})
    return inside


def learn(ledger: Ledger, answers: Iterable[Answer], now: datetime) -> Ledger:
    """The ledger after the world was asked for work in the background.

    Asking moves the stamps of a kernel behind a gateway, and that is not activity: what the
    stamps are after the answer is noted as known. If others were heard meanwhile, it is theirs.
    """
    marks = dict(ledger.marks)
    for answer in answers:
        mark = marks.get(answer.ref)
        if mark is None:
            continue
        if answer.others_heard:
            mark = moved(mark, Signal.REQUEST, now)
        for signal, at in answer.activity.items():
            mark = moved(mark, signal, min(at, now))
        mark = replace(mark, stamps={**mark.stamps, **answer.stamps})
        # What was at work when last asked ended somewhere between: there the idle clock starts.
        ended = answer.conclusive and not answer.unread and mark.work.found == "working"
        if answer.working or ended:
            mark = moved(mark, Signal.BACKGROUND_WORK, now)
        # What is not known is not stuck.
        shows_work = answer.working or answer.cores is None or answer.cores >= STUCK_CPU
        if mark.state == RUNNING and Signal.BACKGROUND_IO in answer.activity:
            shows_work = True
        if mark.state in (BUSY, RUNNING) and answer.conclusive and shows_work:
            mark = replace(mark, quiet_since=now)
        marks[answer.ref] = replace(mark, work=_learnt(mark.work, answer, now))
    return replace(ledger, marks=marks)


def _learnt(work: Work, answer: Answer, now: datetime) -> Work:
    if not answer.conclusive:
        return replace(work, asked_at=now)
    if answer.unread:
        # What was at work may still be.
        if work.found == "working":
            return replace(work, asked_at=now)
        return replace(work, asked_at=now, found="unread", detail=answer.detail)
    found = "working" if answer.working else "none" if answer.told else "untold"
    return Work(now, now, found, answer.detail)


def note(ledger: Ledger, refs: Iterable[Ref], signal: str, now: datetime) -> Ledger:
    """The ledger after somebody reported activity of ``refs`` (presence, a heartbeat)."""
    marks = dict(ledger.marks)
    for ref in refs:
        marks[ref] = moved(marks.get(ref) or first_sight(now), signal, now)
    return replace(ledger, marks=marks)


def object_to(ledger: Ledger, vetoes: Mapping[Ref, Veto]) -> Ledger:
    """The ledger with objections to removals."""
    return replace(ledger, vetoes={**ledger.vetoes, **vetoes})


def give_notice(ledger: Ledger, decisions: Iterable[Decision], now: datetime) -> Ledger:
    """The ledger with a notice for each removal whose ``warn_at`` has passed. A notice stays until
    the resource is active again, or until the removal moves so far ahead that it is announced
    anew."""
    notices = dict(ledger.notices)
    for decision in decisions:
        if decision.warn_at is None or decision.warn_at > now or decision.idle_since is None:
            notices.pop(decision.ref, None)
        elif not has_notice(ledger, decision.ref, decision.idle_since):
            notices[decision.ref] = Notice(now)
    return replace(ledger, notices=notices)


def has_notice(ledger: Ledger, ref: Ref, idle_since: datetime) -> bool:
    """Whether the removal of ``ref``, idle since ``idle_since``, has been announced.

    A notice is void only through activity after it. Evidence that is older than the notice moves
    ``idle_since`` forward and must not start the notice again: whoever lost that evidence would
    then remove the resource sooner than whoever remembers it. Losing
    memory only ever delays a removal."""
    notice = ledger.notices.get(ref)
    return notice is not None and notice.at >= idle_since


def record(ledger: Ledger, ref: Ref, outcome: Outcome, now: datetime) -> Ledger:
    """The ledger after trying to remove ``ref``. A failure backs off; anything else leaves none.

    An app that is gone is forgotten at once, so that the same name created again is new. The
    mark of a kernel or terminal stays until it is no longer listed: a list that lags behind must
    not make it look like an arrival, which would prolong its app.
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


def hold(ledger: Ledger, ref: Ref, until: datetime | None, note: str = "") -> Ledger:
    """Set a keep-alive on ``ref``, or release it (``until`` None)."""
    holds = _without(ledger.holds, ref)
    if until is not None:
        holds[ref] = Hold(until, note)
    return replace(ledger, holds=holds)


def shift(ledger: Ledger, step: timedelta) -> Ledger:
    """The ledger after the wall clock was stepped by ``step``: every instant of ours moves with
    it (:func:`~auto_shutdown.core.marks.shifted`)."""
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
    )


def _without(mapping: Mapping[Ref, V], ref: Ref) -> dict[Ref, V]:
    return {key: value for key, value in mapping.items() if key != ref}


def arrivals(ledger: Ledger, resources: Iterable[Resource]) -> bool:
    """Whether anything that runs in an app came or went since the last look: the moment when
    the cached list of apps may be out of date."""
    there = 0
    for resource in resources:
        if isinstance(resource, App) or not resource.app:
            continue
        there += 1
        mark = ledger.marks.get(resource.ref)
        if mark is None or mark.app != resource.app:
            return True
    was_there = (ref for ref, mark in ledger.marks.items() if mark.app)
    return there != sum(ref.kind is not Kind.APP for ref in was_there)

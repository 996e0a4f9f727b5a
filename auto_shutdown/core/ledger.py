"""The memory between two passes: activity marks, keep-alives, failed removals, vetoes, notices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from .marks import (
    BUSY,
    RUNNING,
    STUCK_CPU,
    AppActivity,
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
    """The memory between two passes.

    Nothing is removed before ``quiet_until``, which follows a start or a pause of the loop.
    ``forgotten`` names the sources whose marks were lost in a restart; a source is in it until it
    is read again. ``rehearsed`` holds the removals that ``dry_run`` has rehearsed: since when each
    resource was idle.
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


def advance(ledger: Ledger, snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger after the pass that read ``snapshot``.

    The marks of resources that a source no longer lists are dropped. The marks of a source that
    could not be read stay unchanged, because ``snapshot`` only repeats its previous resources.
    """
    marks: dict[Ref, Mark] = {}
    known = dict(ledger.marks)
    tenants: tuple[Resource, ...] = (*snapshot.kernels, *snapshot.terminals)
    for tenant in tenants if ledger.forgotten else ():
        if _SOURCES[tenant.ref.kind] in ledger.forgotten:
            # The lost mark may have held newer activity than the stamps show.
            known.setdefault(tenant.ref, first_sight(now))
    for kernel in snapshot.kernels:
        previous = known.get(kernel.ref)
        unchanged = previous if Snapshot.KERNELS in snapshot.unread else None
        marks[kernel.ref] = unchanged or advance_kernel(previous, kernel, now)
    for terminal in snapshot.terminals:
        previous = known.get(terminal.ref)
        unchanged = previous if Snapshot.TERMINALS in snapshot.unread else None
        marks[terminal.ref] = unchanged or advance_terminal(previous, terminal, now)
    departed = [
        mark
        for ref, mark in ledger.marks.items()
        if ref not in marks and _SOURCES[ref.kind] not in snapshot.unread
    ]
    activity = _activity_in_apps(ledger.marks, marks, departed, snapshot, now)
    # A removal call that timed out may still have succeeded: then the app is no longer in service,
    # and the failure is dropped.
    ending = {app.ref for app in snapshot.apps if app.status != IN_SERVICE}
    for app in snapshot.apps:
        previous = ledger.marks.get(app.ref)
        marks[app.ref] = advance_app(previous, app, activity.get(app.id), now)
    if snapshot.unread:
        for ref, mark in ledger.marks.items():
            if ref not in marks and _SOURCES[ref.kind] in snapshot.unread:
                marks[ref] = mark
    return replace(
        ledger,
        marks=marks,
        holds={ref: hold for ref, hold in ledger.holds.items() if hold.until > now},
        failures={ref: f for ref, f in ledger.failures.items() if ref in marks.keys() - ending},
        notices={ref: n for ref, n in ledger.notices.items() if ref in marks},
        vetoes={ref: veto for ref, veto in ledger.vetoes.items() if veto.until > now},
        forgotten=ledger.forgotten & frozenset(snapshot.unread),
        rehearsed={ref: since for ref, since in ledger.rehearsed.items() if ref in marks},
    )


def advance_part(ledger: Ledger, part: Snapshot, now: datetime) -> Ledger:
    """The ledger after reading a part of the resources again; the other marks stay unchanged."""
    advanced = advance(ledger, part, now)
    return replace(ledger, marks={**ledger.marks, **advanced.marks})


_SOURCES = {
    Kind.KERNEL: Snapshot.KERNELS,
    Kind.TERMINAL: Snapshot.TERMINALS,
    Kind.APP: Snapshot.APPS,
}


def _activity_in_apps(
    before: Mapping[Ref, Mark],
    after: Mapping[Ref, Mark],
    departed: Iterable[Mark],
    snapshot: Snapshot,
    now: datetime,
) -> dict[str, AppActivity]:
    """The latest activity of the kernels and terminals in each app, by app id.

    - A resource that is new since the previous pass is an arrival: it counts as activity now.
    - A resource that disappeared does not count. Otherwise this extension's own shutdown of a
      kernel would keep the app of that kernel.
    - A resource that disappeared while it was at work counts as activity now, because its work
      ended at some time since the previous pass.
    - A kernel that was used and disappeared between two passes counts by its last use
      (:class:`Departure`).
    """
    activities: dict[str, AppActivity] = {}
    for ref, mark in after.items():
        if mark.app is None:
            continue
        previous = before.get(ref)
        arrived = previous is None or previous.app != mark.app
        at, signal = (now, Signal.ARRIVAL) if arrived else (mark.active_at, mark.signal)
        activity = activities.get(mark.app)
        if activity is None:
            activity = activities[mark.app] = AppActivity(at, signal)
        activity.add(at, signal, mark.weak)
    for mark in departed:
        if mark.app is not None and mark.at_work:
            activity = activities.setdefault(mark.app, AppActivity(now, mark.signal))
            activity.add(now, mark.signal, {})
    for departure in snapshot.departures:
        at = min(departure.at, now)
        for app in snapshot.apps:
            if departure.anywhere or departure.app == app.id:
                activity = activities.setdefault(app.id, AppActivity(at, departure.signal))
                activity.add(at, departure.signal, {})
    return activities


def record_answers(ledger: Ledger, answers: Iterable[Answer], now: datetime) -> Ledger:
    """The ledger with the ``answers`` to the queries for background work.

    A query moves the stamps of a kernel behind a gateway, and that is not activity. So the stamps
    after the answer replace the known stamps. If another client sent a request during the query,
    that request counts as activity.
    """
    marks = dict(ledger.marks)
    for answer in answers:
        mark = marks.get(answer.ref)
        if mark is None:
            continue
        if answer.other_client_seen:
            mark = moved(mark, Signal.REQUEST, now)
        for signal, at in answer.activity.items():
            mark = moved(mark, signal, min(at, now))
        mark = replace(mark, stamps={**mark.stamps, **answer.stamps})
        # The background work of the previous answer has ended since: the idle clock starts now.
        ended = answer.conclusive and not answer.unread and mark.work.result == "working"
        if answer.working or ended:
            mark = moved(mark, Signal.BACKGROUND_WORK, _worked_at(mark.work, answer, now))
        # A kernel whose processor time is unknown does not count as stuck.
        shows_work = answer.working or answer.cores is None or answer.cores >= STUCK_CPU
        if mark.state == RUNNING and Signal.BACKGROUND_IO in answer.activity:
            shows_work = True
        if mark.state in (BUSY, RUNNING) and answer.conclusive and shows_work:
            mark = replace(mark, quiet_since=now)
        marks[answer.ref] = replace(mark, work=_work_after(mark.work, answer, now))
    return replace(ledger, marks=marks)


def _worked_at(work: Work, answer: Answer, now: datetime) -> datetime:
    """When the work of ``answer`` last showed a sign, or when the earlier ``work`` ended: at some
    time since its answer, which counts as now."""
    goes_on = bool(work.programs) and set(work.programs) <= set(answer.programs)
    ended = work.result == "working" and not goes_on
    if ended or not answer.working or answer.worked_at is None:
        return now
    return min(answer.worked_at, now)


def _work_after(work: Work, answer: Answer, now: datetime) -> Work:
    if not answer.conclusive:
        return replace(work, asked_at=now)
    if answer.unread:
        # The earlier background work may still run.
        if work.result == "working":
            return replace(work, asked_at=now)
        return replace(work, asked_at=now, result="unread", detail=answer.detail)
    result = "working" if answer.working else "none" if answer.answered else "untold"
    return Work(now, now, result, answer.detail, answer.programs)


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

    A notice is dropped when its resource is active again, or when the removal moves so far into
    the future that it needs a new notice.
    """
    notices = dict(ledger.notices)
    for decision in decisions:
        if decision.warn_at is None or decision.warn_at > now or decision.idle_since is None:
            notices.pop(decision.ref, None)
        elif not has_notice(ledger, decision.ref, decision.idle_since):
            notices[decision.ref] = Notice(now)
    return replace(ledger, notices=notices)


def has_notice(ledger: Ledger, ref: Ref, idle_since: datetime) -> bool:
    """Whether the removal of ``ref``, idle since ``idle_since``, has been announced.

    Only activity after a notice voids it. Evidence of activity before the notice moves
    ``idle_since`` forward, and must not start the notice again. Otherwise a server that lost that
    evidence would remove the resource sooner than a server that has it.
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


def arrivals(ledger: Ledger, resources: Iterable[Resource]) -> bool:
    """Whether a kernel or terminal appeared in an app or left it since the previous pass.

    Then the cached list of apps may be out of date.
    """
    count = 0
    for resource in resources:
        if isinstance(resource, App) or not resource.app:
            continue
        count += 1
        mark = ledger.marks.get(resource.ref)
        if mark is None or mark.app != resource.app:
            return True
    previous = (ref for ref, mark in ledger.marks.items() if mark.app)
    return count != sum(ref.kind is not Kind.APP for ref in previous)

"""What is remembered between two looks at the world: high-water marks of activity, keep-alives,
failed removals, and the notice given.

The one rule of a mark: **it only moves forward.** Evidence moves it; silence, a missing value or
a departure never moves it back. A stamp is evidence when it *changed* since the last look, and
then the activity lies between that look and now, whatever the clock that wrote it says: so a
wrong clock in a gateway, or a step of our own, never makes anything look idle for longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from .model import EVERYTHING, IN_SERVICE, App, Kernel, Kind, Ref, Resource, Snapshot, Terminal
from .verdict import Decision, Outcome

#: Waits after a failed removal: doubled for each failure in a row, from the first to the second.
#: A missing permission waits as long as a throttled call at most: it is mended by people, who
#: then want to see it work, and one call an hour costs nothing.
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)

V = TypeVar("V")

#: The one state of a kernel that is activity in itself.
BUSY = "busy"


@dataclass(frozen=True)
class Mark:
    """What is known of one resource. ``active_at`` is the high-water mark and ``signal`` the
    evidence that set it; ``stamp`` and ``state`` are as last reported, ``seen_at`` is when."""

    first_seen: datetime
    seen_at: datetime
    active_at: datetime
    signal: str
    stamp: datetime | None = None
    state: str = ""
    state_since: datetime | None = None
    app: str | None = None
    incarnation: str = ""


@dataclass(frozen=True)
class Hold:
    """A keep-alive: its resource is not removed before ``until``."""

    until: datetime


@dataclass(frozen=True)
class Failure:
    """Removals that failed in a row, and when the next may be tried."""

    count: int
    retry_at: datetime
    outcome: Outcome


@dataclass(frozen=True)
class Notice:
    """That a removal was announced at ``at``, for a resource idle since ``idle_since``. Activity
    after it makes it void."""

    at: datetime
    idle_since: datetime


@dataclass(frozen=True)
class Ledger:
    """``quiet_until``: nothing at all is removed before it (a start, or a pause of the loop)."""

    quiet_until: datetime
    marks: Mapping[Ref, Mark] = field(default_factory=dict)
    holds: Mapping[Ref, Hold] = field(default_factory=dict)
    failures: Mapping[Ref, Failure] = field(default_factory=dict)
    notices: Mapping[Ref, Notice] = field(default_factory=dict)

    def held_until(self, refs: Iterable[Ref], now: datetime) -> datetime | None:
        """The latest keep-alive in force on any of ``refs`` or on everything."""
        ends = [
            hold.until
            for ref in (EVERYTHING, *refs)
            if (hold := self.holds.get(ref)) is not None and hold.until > now
        ]
        return max(ends, default=None)


def advance(ledger: Ledger, snapshot: Snapshot, now: datetime) -> Ledger:
    """The ledger after a look at the world. Pure.

    Marks of what a source no longer lists are dropped; marks of a source that could not be read
    stay as they are.
    """
    marks: dict[Ref, Mark] = {}
    for kernel in snapshot.kernels:
        marks[kernel.ref] = _advance_kernel(ledger.marks.get(kernel.ref), kernel, now)
    for terminal in snapshot.terminals:
        marks[terminal.ref] = _advance_terminal(ledger.marks.get(terminal.ref), terminal, now)
    on_app = _activity_on_apps(ledger.marks, marks, now)
    for app in snapshot.apps:
        previous = ledger.marks.get(app.ref)
        marks[app.ref] = _advance_app(previous, app, on_app.get(app.id), now)
    for ref, mark in ledger.marks.items():
        if ref not in marks and _source_of(ref) in snapshot.unread:
            marks[ref] = mark
    return replace(
        ledger,
        marks=marks,
        holds={ref: hold for ref, hold in ledger.holds.items() if hold.until > now},
        failures={ref: f for ref, f in ledger.failures.items() if ref in marks},
        notices={ref: n for ref, n in ledger.notices.items() if ref in marks},
    )


def glimpse(ledger: Ledger, part: Snapshot, now: datetime) -> Ledger:
    """The ledger after looking again at a part of the world: what is not in that part stays."""
    seen = advance(ledger, part, now)
    return replace(ledger, marks={**ledger.marks, **seen.marks})


def _source_of(ref: Ref) -> str:
    return {
        Kind.KERNEL: Snapshot.KERNELS,
        Kind.TERMINAL: Snapshot.TERMINALS,
        Kind.APP: Snapshot.APPS,
    }[ref.kind]


def _advance_kernel(previous: Mark | None, kernel: Kernel, now: datetime) -> Mark:
    if kernel.unreadable:
        # Where it was is remembered, so that it holds that app and not every one.
        return previous or Mark(now, now, now, "first-seen")
    mark = _advance_stamp(previous, kernel.last_activity, now)
    if kernel.state == BUSY:
        mark = replace(mark, active_at=now, signal="execution-state")
    elif previous is not None and previous.state == BUSY and mark.stamp == previous.stamp:
        # The cell ended somewhere between the two looks. Its end is where the idle clock starts.
        mark = replace(mark, active_at=now, signal="execution-state")
    return _with_state(replace(mark, app=kernel.app), previous, kernel.state, now)


def _advance_terminal(previous: Mark | None, terminal: Terminal, now: datetime) -> Mark:
    if terminal.unreadable:
        return previous or Mark(now, now, now, "first-seen")
    mark = _advance_stamp(previous, terminal.last_activity, now)
    state = "running" if terminal.running_job else "prompt"
    if terminal.running_job or (previous is not None and previous.state == "running"):
        mark = replace(mark, active_at=now, signal="foreground-process")
    return _with_state(replace(mark, app=terminal.app), previous, state, now)


def _advance_stamp(previous: Mark | None, stamp: datetime | None, now: datetime) -> Mark:
    """The mark after reading a ``last_activity``; a future stamp counts as now, a missing one
    as no evidence (at first sight: as first sight)."""
    if previous is None:
        active_at = min(stamp, now) if stamp is not None else now
        signal = "last-activity" if stamp is not None else "first-seen"
        return Mark(now, now, active_at, signal, stamp=stamp)
    mark = replace(previous, seen_at=now)
    if stamp is None or stamp == previous.stamp:
        return mark
    active_at = max(mark.active_at, min(max(stamp, previous.seen_at), now))
    return replace(mark, active_at=active_at, signal="last-activity", stamp=stamp)


def _with_state(mark: Mark, previous: Mark | None, state: str, now: datetime) -> Mark:
    if previous is not None and previous.state == state and previous.state_since is not None:
        return replace(mark, state=state, state_since=previous.state_since)
    return replace(mark, state=state, state_since=now)


def _activity_on_apps(
    before: Mapping[Ref, Mark], after: Mapping[Ref, Mark], now: datetime
) -> dict[str, tuple[datetime, str]]:
    """For each app id, the latest activity of what runs in it, and by what evidence.

    A resource that was not there at the last look is an arrival, and counts as now. One that
    left is no arrival, and counts for nothing: our own shutdown of a kernel must not prolong
    its app.
    """
    latest: dict[str, tuple[datetime, str]] = {}
    for ref, mark in after.items():
        if mark.app is None:
            continue
        known = before.get(ref)
        arrived = known is None or known.app != mark.app
        evidence = (now, "arrival") if arrived else (mark.active_at, mark.signal)
        if mark.app not in latest or evidence[0] > latest[mark.app][0]:
            latest[mark.app] = evidence
    return latest


def _advance_app(
    previous: Mark | None, app: App, activity: tuple[datetime, str] | None, now: datetime
) -> Mark:
    """An app's clock (semantics.md, "Apps"). A new incarnation gets a new clock: another
    CreationTime, or InService after anything else (SageMaker keeps the CreationTime of an app
    that is created again within 24 hours)."""
    incarnation = app.created_at.isoformat() if app.created_at is not None else ""
    came_in_service = app.status == IN_SERVICE and (
        previous is None or previous.state != IN_SERVICE or previous.incarnation != incarnation
    )
    if previous is None or came_in_service:
        signal = "first-seen" if previous is None else "in-service"
        mark = Mark(now, now, now, signal, incarnation=incarnation)
    else:
        mark = replace(previous, seen_at=now, incarnation=incarnation)
    if activity is not None and activity[0] > mark.active_at:
        mark = replace(mark, active_at=activity[0], signal=activity[1])
    return _with_state(mark, None if came_in_service else previous, app.status, now)


def give_notice(ledger: Ledger, decisions: Iterable[Decision], now: datetime) -> Ledger:
    """Remember which removals have been announced by now. A notice stands for as long as the
    resource is idle since the same instant."""
    notices = dict(ledger.notices)
    for decision in decisions:
        if decision.warn_at is None or decision.warn_at > now or decision.idle_since is None:
            notices.pop(decision.ref, None)
        elif not has_notice(ledger, decision.ref, decision.idle_since):
            notices[decision.ref] = Notice(now, decision.idle_since)
    return replace(ledger, notices=notices)


def has_notice(ledger: Ledger, ref: Ref, idle_since: datetime) -> bool:
    notice = ledger.notices.get(ref)
    return notice is not None and notice.idle_since == idle_since


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


def hold(ledger: Ledger, ref: Ref, until: datetime | None) -> Ledger:
    """Set a keep-alive on ``ref``, or release it (``until`` None)."""
    holds = _without(ledger.holds, ref)
    if until is not None:
        holds[ref] = Hold(until)
    return replace(ledger, holds=holds)


def shift(ledger: Ledger, step: timedelta) -> Ledger:
    """The ledger after the wall clock was stepped by ``step``: every instant of ours moves with
    it, so that every duration stays what it was. Stamps are others' and stay as reported."""

    def moved(mark: Mark) -> Mark:
        return replace(
            mark,
            first_seen=mark.first_seen + step,
            seen_at=mark.seen_at + step,
            active_at=mark.active_at + step,
            state_since=mark.state_since + step if mark.state_since is not None else None,
        )

    return replace(
        ledger,
        quiet_until=ledger.quiet_until + step,
        marks={ref: moved(mark) for ref, mark in ledger.marks.items()},
        holds={ref: Hold(hold.until + step) for ref, hold in ledger.holds.items()},
        failures={
            ref: replace(f, retry_at=f.retry_at + step) for ref, f in ledger.failures.items()
        },
        notices={
            ref: Notice(n.at + step, n.idle_since + step) for ref, n in ledger.notices.items()
        },
    )


def _without(mapping: Mapping[Ref, V], ref: Ref) -> dict[Ref, V]:
    return {key: value for key, value in mapping.items() if key != ref}


def arrivals(ledger: Ledger, resources: Iterable[Resource]) -> bool:
    """Whether anything that runs in an app came or went since the last look: the moment when
    the cached list of apps may be out of date."""
    now_there = {(r.ref, r.app) for r in resources if not isinstance(r, App) and r.app}
    then_there = {
        (ref, mark.app)
        for ref, mark in ledger.marks.items()
        if ref.kind is not Kind.APP and mark.app
    }
    return now_there != then_there

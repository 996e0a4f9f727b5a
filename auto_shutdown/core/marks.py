"""High-water marks of activity: what is known of one resource between two looks at it.

The one rule of a mark: **it only moves forward.** Evidence moves it; silence, a missing value or
a departure never moves it back. A stamp is evidence when it *changed* since the last look, and
then the activity lies between that look and now, whatever the clock that wrote it says; where it
names no instant between the two, it counts as now. So a wrong clock in a gateway, or a step of our
own, never makes anything look idle for longer.

Some evidence is *weak*: output without anybody who asked for it, or the presence of a person. It
counts too, but only for so long after the last strong evidence (:func:`activity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from .model import IN_SERVICE, App, Kernel, Terminal
from .signals import WEAK, Signal

#: The one state of a kernel that is activity in itself.
BUSY = "busy"

#: The same of a terminal: a command runs in its foreground.
RUNNING = "running"

#: States of a kernel on its way to being usable: no activity, but given time to get there.
COMING_UP = frozenset({"starting", "restarting", "autorestarting", "unknown"})

#: A busy kernel is at work when it uses this much of one core; below, and silent, for a whole
#: ``suspect_after_minutes``, it is *suspect* (suspect.py).
STUCK_CPU = 0.01


@dataclass(frozen=True)
class Work:
    """What was last found out about work in the background. ``found`` is ``""`` (nothing yet),
    ``working``, ``none``, ``untold`` (it cannot be asked, or does not answer), or ``unread`` (what
    shows it could not be read, so it is unknown)."""

    asked_at: datetime | None = None
    answered_at: datetime | None = None
    found: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Mark:
    """What is known of one resource. ``active_at`` is the high-water mark of strong evidence and
    ``signal`` what set it; ``weak`` those of weak evidence. ``stamps`` and ``state`` are as last
    reported, ``seen_at`` is when. ``quiet_since``: nothing was heard of a *busy* kernel since, or
    the command that runs in a terminal has shown no sign of work since.
    ``alone``: it is busy only with waiting for a person, and nobody is connected."""

    first_seen: datetime
    seen_at: datetime
    active_at: datetime
    signal: str
    stamps: Mapping[str, datetime] = field(default_factory=dict)
    weak: Mapping[str, datetime] = field(default_factory=dict)
    state: str = ""
    state_since: datetime | None = None
    app: str | None = None
    incarnation: str = ""
    quiet_since: datetime | None = None
    alone: bool = False
    work: Work = Work()

    @property
    def at_work(self) -> bool:
        """Whether it was at work in itself when it was last seen."""
        return self.state in (BUSY, RUNNING) and not self.alone


@dataclass
class Inside:
    """The latest activity of all that runs in one app, gathered mark by mark."""

    active_at: datetime
    signal: str
    weak: dict[str, datetime] = field(default_factory=dict)

    def add(self, at: datetime, signal: str, weak: Mapping[str, datetime]) -> None:
        # Of two at the same instant always the same one, in whatever order they are listed.
        self.active_at, self.signal = max((self.active_at, self.signal), (at, signal))
        for name, weak_at in weak.items():
            self.weak[name] = max(weak_at, self.weak.get(name, weak_at))


def first_sight(now: datetime) -> Mark:
    """Of what nothing is known before now: its clock starts now."""
    return Mark(now, now, now, Signal.FIRST_SEEN)


def activity(mark: Mark, caps: Mapping[str, timedelta]) -> tuple[datetime, str]:
    """The latest activity and its signal. A weak signal counts for as long as ``caps`` says
    after the last strong one."""
    best = (mark.active_at, mark.signal)
    for signal, at in mark.weak.items():
        counted = min(at, mark.active_at + caps.get(signal, timedelta(0)))
        if counted > best[0]:
            best = (counted, signal)
    return best


def moved(mark: Mark, signal: str, at: datetime) -> Mark:
    """The mark after evidence of activity at ``at``."""
    if signal in WEAK:
        if at <= mark.weak.get(signal, mark.first_seen):
            return mark
        return replace(mark, weak={**mark.weak, signal: at})
    return replace(mark, active_at=at, signal=signal) if at > mark.active_at else mark


def advance_kernel(previous: Mark | None, kernel: Kernel, now: datetime) -> Mark:
    if kernel.unreadable:
        # Where it was is remembered, so that it holds that app and not every one.
        return previous or first_sight(now)
    mark = _advance_stamps(previous, kernel.stamps, now)
    was_busy = previous is not None and previous.state == BUSY
    if kernel.state == BUSY:
        # One that waits for a person is at work as long as there may be one: the last client may
        # have left at any time since the last look.
        if not kernel.waits_alone or previous is None or not previous.alone:
            mark = moved(mark, Signal.EXECUTION_STATE, now)
        heard = previous is None or not was_busy or mark.stamps != previous.stamps
        mark = replace(mark, quiet_since=now if heard else mark.quiet_since or now)
    else:
        mark = _with(mark, quiet_since=None)
        if previous is not None and was_busy and _told(mark) == _told(previous):
            # The cell ended somewhere between the two looks: there the idle clock starts.
            mark = moved(mark, Signal.EXECUTION_STATE, now)
    mark = _with(mark, app=kernel.app, alone=kernel.waits_alone)
    if previous is not None and previous.state != kernel.state:
        mark = replace(mark, work=Work())
    return _with_state(mark, previous, kernel.state, now)


def _own(stamps: Mapping[str, datetime]) -> dict[str, datetime]:
    """Those that tell of it alone; a heartbeat is of everything there is."""
    return {name: at for name, at in stamps.items() if name != Signal.HEARTBEAT}


def _told(mark: Mark) -> dict[str, datetime]:
    """What the kernel itself told of its activity. Behind a gateway a request is only what was
    seen on its way there: how long the cell then took, that does not say."""
    own = _own(mark.stamps)
    if Signal.LAST_ACTIVITY in own:
        own.pop(Signal.REQUEST, None)
    return own


def advance_terminal(previous: Mark | None, terminal: Terminal, now: datetime) -> Mark:
    if terminal.unreadable:
        return previous or first_sight(now)
    mark = _advance_stamps(previous, terminal.stamps, now)
    state = RUNNING if terminal.running_job else "prompt"
    if terminal.running_job or (previous is not None and previous.at_work):
        mark = moved(mark, Signal.FOREGROUND_PROCESS, now)
    if not terminal.running_job:
        mark = _with(mark, quiet_since=None)
    else:
        typed = previous is not None and mark.stamps.get(Signal.INPUT) != previous.stamps.get(
            Signal.INPUT
        )
        if previous is None or previous.state != RUNNING or typed or mark.quiet_since is None:
            mark = _with(mark, quiet_since=now)
    if previous is not None and previous.state != state:
        mark = _with(mark, work=Work())
    return _with_state(_with(mark, app=terminal.app), previous, state, now)


def advance_app(previous: Mark | None, app: App, inside: Inside | None, now: datetime) -> Mark:
    """An app's clock, ``inside`` being what moved in it. A new incarnation
    gets a new clock: another CreationTime, or InService after anything else (SageMaker keeps the
    CreationTime of an app that is created again within 24 hours)."""
    incarnation = app.created_at.isoformat() if app.created_at is not None else ""
    came_in_service = app.status == IN_SERVICE and (
        previous is None or previous.state != IN_SERVICE or previous.incarnation != incarnation
    )
    if previous is None or came_in_service:
        signal = Signal.FIRST_SEEN if previous is None else Signal.IN_SERVICE
        mark = Mark(now, now, now, signal, stamps=dict(app.stamps), incarnation=incarnation)
    else:
        mark = _with(_advance_stamps(previous, app.stamps, now), incarnation=incarnation)
    if inside is not None:
        mark = moved(mark, inside.signal, inside.active_at)
        for signal, at in inside.weak.items():
            mark = moved(mark, signal, at)
    return _with_state(mark, None if came_in_service else previous, app.status, now)


def _advance_stamps(previous: Mark | None, stamps: Mapping[str, datetime], now: datetime) -> Mark:
    """The mark after reading ``stamps``; a future stamp counts as now, a missing one as no
    evidence (at first sight: as first sight)."""
    if previous is None:
        strong = [(min(at, now), name) for name, at in stamps.items() if name not in WEAK]
        if all(name in WEAK for name in _own(stamps)):
            # An old heartbeat does not tell when this began.
            strong = []
        active_at, signal = max(strong, default=(now, Signal.FIRST_SEEN))
        weak = {name: min(at, now) for name, at in stamps.items() if name in WEAK}
        return Mark(now, now, active_at, signal, stamps=dict(stamps), weak=weak)
    if stamps.items() <= previous.stamps.items():
        return _seen(previous, now)
    mark = replace(previous, seen_at=now, stamps={**previous.stamps, **stamps})
    for name, at in stamps.items():
        known = previous.stamps.get(name)
        if at != known:
            # One from before the last look is of a clock that is wrong, or was stepped.
            believed = known is None or at >= previous.seen_at
            mark = moved(mark, name, min(at, now) if believed else now)
    return mark


def _with_state(mark: Mark, previous: Mark | None, state: str, now: datetime) -> Mark:
    if previous is not None and previous.state == state and previous.state_since is not None:
        return _with(mark, state=state, state_since=previous.state_since)
    return _with(mark, state=state, state_since=now)


def _with(mark: Mark, **changes: Any) -> Mark:
    """``replace``, and the mark itself where that would change nothing: as in most passes, for
    most of what is there."""
    for name, value in changes.items():
        if getattr(mark, name) != value:
            return replace(mark, **changes)
    return mark


def _seen(mark: Mark, now: datetime) -> Mark:
    """``replace(mark, seen_at=now)``, the one change that every mark has in every pass, without
    its way through a constructor of all fields."""
    again = object.__new__(Mark)
    again.__dict__.update(mark.__dict__, seen_at=now)
    return again


def shifted(mark: Mark, step: timedelta) -> Mark:
    """The mark after the wall clock was stepped: our own instants move with it, so that every
    duration stays what it was. Stamps are others' and stay as reported."""

    def later(at: datetime | None) -> datetime | None:
        return None if at is None else at + step

    return replace(
        mark,
        first_seen=mark.first_seen + step,
        seen_at=mark.seen_at + step,
        active_at=mark.active_at + step,
        weak={signal: at + step for signal, at in mark.weak.items()},
        state_since=later(mark.state_since),
        quiet_since=later(mark.quiet_since),
        work=replace(
            mark.work,
            asked_at=later(mark.work.asked_at),
            answered_at=later(mark.work.answered_at),
        ),
    )

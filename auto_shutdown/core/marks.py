"""The mark of a resource: its latest activity, as all passes so far have seen it.

A mark is a high-water mark. Evidence of newer activity moves it forward, and nothing moves it back.

*Stamps* are the instants that other programs report for a resource, such as ``last_activity``. Only
a stamp that differs from the previous pass is evidence of activity, and that activity happened
between the previous pass and this pass. If the stamp itself lies outside that time, the clock that
wrote it is wrong, and the activity counts as happening now. So neither a wrong clock in a gateway
nor a step of this host's clock makes a resource look idle for longer than it is.

Some evidence is *weak*, such as output without a request or the presence of a person. Weak evidence
counts only for a limited time after the last strong evidence (:func:`activity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .signals import WEAK, Signal

#: The only kernel state that is activity in itself.
BUSY = "busy"

#: The state of a kernel that has come up and runs nothing.
IDLE = "idle"

#: The only terminal state that is activity in itself: a command runs in the foreground.
RUNNING = "running"

#: States of a kernel that is starting. They are no activity, but have a grace period.
COMING_UP = frozenset({"starting", "restarting", "autorestarting", "unknown"})

#: States of a kernel whose process has ended, or is about to end.
DEAD = frozenset({"dead", "terminating", "terminated"})

#: A busy kernel that uses less than this share of one core, and is silent, for the whole of
#: ``suspect_after_minutes`` is *suspect*.
STUCK_CPU = 0.01


@dataclass(frozen=True)
class Work:
    """The last query for background work of one resource, and its last answer
    (:class:`~auto_shutdown.core.background.Answer`).

    - ``asked_at``: when the resource was last queried.
    - ``answered_at``: when the last conclusive answer came.
    - ``result``: that answer in a word. ``""``: there was none yet. ``working``: background work
      runs. ``none``: no background work runs. ``unanswered``: the resource cannot be queried, or it
      did not answer. ``unread``: the evidence could not be read, so the resource is kept.
    - ``detail``, ``programs``, ``io_unknown``: as in the answer.
    - ``low_use_since``: since when all answers have reported a low use of the processor and nothing
      else.
    - ``in_background``: an answer that came while no cell or command ran has reported background
      work, and no answer has shown its end. So this work may outlast the cells and commands that
      ran since.
    """

    asked_at: datetime | None = None
    answered_at: datetime | None = None
    result: str = ""
    detail: str = ""
    programs: tuple[str, ...] = ()
    io_unknown: bool = False
    low_use_since: datetime | None = None
    in_background: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether background work goes on that is more than a program or a low use of the
        processor, which may only wait."""
        return self.in_background and not self.programs and self.low_use_since is None


@dataclass(frozen=True)
class Mark:
    """What the passes so far have learned about one resource.

    - ``first_seen``, ``seen_at``: when the first pass and the last pass saw it.
    - ``active_at``: the time of the latest strong evidence of activity; ``signal`` names that
      evidence.
    - ``weak``: the time of the latest weak evidence, by signal.
    - ``stamps``, ``state``, ``app``: as reported at ``seen_at``. ``app`` is the id of the app in
      which it runs.
    - ``state_since``: since when it has been in ``state``.
    - ``incarnation``: for an app, its CreationTime. It shows that an app was created again under
      the same name.
    - ``quiet_since``: since when a busy kernel, a kernel whose gateway refuses each connection, or
      the command in a terminal has shown no sign of work.
    - ``alone``: the kernel is busy only because it waits for a person, and no client is connected.
    - ``may_run_cell``: nothing has shown the end of a cell of the kernel, whatever its state is.
    - ``work``: its background work.
    """

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
    may_run_cell: bool = False
    work: Work = Work()

    @property
    def at_work(self) -> bool:
        """Whether the kernel was busy, or a terminal command ran, at the last pass that saw it."""
        return self.state in (BUSY, RUNNING) and not self.alone

    @property
    def had_come_up(self) -> bool:
        """Whether the kernel was idle or busy at the last pass that saw it, so that it had
        started."""
        return self.state in (IDLE, BUSY)


@dataclass
class AppActivity:
    """The latest activity of all kernels and terminals in one app."""

    active_at: datetime
    signal: str
    weak: dict[str, datetime] = field(default_factory=dict)

    def add(self, at: datetime, signal: str, weak: Mapping[str, datetime]) -> None:
        # At equal instants the signal decides, so that the order of the list has no effect.
        self.active_at, self.signal = max((self.active_at, self.signal), (at, signal))
        for name, weak_at in weak.items():
            self.weak[name] = max(weak_at, self.weak.get(name, weak_at))


def first_sight(now: datetime) -> Mark:
    """The mark of a resource without earlier evidence: active now."""
    return Mark(now, now, now, Signal.FIRST_SEEN)


def activity(mark: Mark, caps: Mapping[str, timedelta]) -> tuple[datetime, str]:
    """The latest activity and its signal. A weak signal counts only within its time in ``caps``
    after the last strong signal."""
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


def shifted(mark: Mark, step: timedelta) -> Mark:
    """The mark after somebody set the wall clock forward by ``step``.

    The instants that this extension recorded move by ``step``, so that every duration stays the
    same. Stamps come from other clocks and stay as reported.
    """

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
            low_use_since=later(mark.work.low_use_since),
        ),
    )

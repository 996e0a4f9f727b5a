"""The mark of a resource after one more pass.

Each function here takes the mark that the last pass left and the resource as this pass observed it.
It returns the new mark. marks.py says what a mark is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .marks import BUSY, DEAD, RUNNING, AppActivity, Mark, Work, first_sight, moved
from .model import IN_SERVICE, App, Kernel, Terminal
from .signals import WEAK, Signal


def advance_kernel(previous: Mark | None, kernel: Kernel, now: datetime) -> Mark:
    if kernel.unreadable:
        # The mark keeps the app of the last pass that could read the kernel. The kernel holds only
        # that app.
        return previous or first_sight(now)
    if previous is not None and _is_unchanged(previous, kernel):
        return _seen(previous, now)
    mark = _advance_stamps(previous, kernel.stamps, now)
    was_busy = previous is not None and previous.state == BUSY
    if kernel.state == BUSY:
        # A kernel that waits for a person is active until the first pass after its last client
        # left: that client may have left at any time since the previous pass.
        if not kernel.waits_alone or previous is None or not previous.alone:
            mark = moved(mark, Signal.EXECUTION_STATE, now)
    elif previous is not None and was_busy and _reported(mark) == _reported(previous):
        # The cell ended at some time since the previous pass: the idle clock starts now.
        mark = moved(mark, Signal.EXECUTION_STATE, now)
    mark = _with(mark, quiet_since=_quiet_since(mark, previous, kernel, now))
    mark = _with(mark, app=kernel.app, alone=kernel.waits_alone)
    mark = _with(mark, may_run_cell=_may_run_cell(kernel))
    if previous is not None and previous.state != kernel.state:
        mark = _with(mark, work=_work_after_change(mark.work, kernel))
    return _with_state(mark, previous, kernel.state, now)


def _work_after_change(work: Work, kernel: Kernel) -> Work:
    """What remains of ``work`` when the state of ``kernel`` changes.

    The work of a cell ends with the cell. Background work may go on, so only an answer ends it. A
    query can make a gateway drop the output that it keeps. Such a kernel is not queried again
    before it is due.
    """
    if not work.in_background or kernel.state in DEAD:
        return Work()
    return Work(in_background=True) if kernel.may_have_kept_output else work


def _may_run_cell(kernel: Kernel) -> bool:
    """Whether a cell of the kernel may run because nothing has shown its end. A cell that waits for
    a person who has left is no work."""
    if kernel.waits_alone:
        return False
    return kernel.end_unseen or kernel.shell_silent or kernel.state == BUSY


def _quiet_since(
    mark: Mark, previous: Mark | None, kernel: Kernel, now: datetime
) -> datetime | None:
    """Since when the kernel has shown no sign of work, although it may be at work."""
    if kernel.state != BUSY and not kernel.refused:
        return None
    if previous is None or mark.stamps != previous.stamps:
        return now
    if kernel.state != previous.state:
        return now  # a cell began or ended since the previous pass
    return previous.quiet_since or now


def _is_unchanged(previous: Mark, kernel: Kernel) -> bool:
    """Whether an idle kernel shows nothing new since ``previous``, which is the usual case in a
    pass. Then only ``seen_at`` changes, and the steps of :func:`advance_kernel` are not needed."""
    return (
        kernel.state == previous.state != BUSY
        and not kernel.refused
        and previous.state_since is not None
        and previous.quiet_since is None
        and previous.app == kernel.app
        and previous.alone == kernel.waits_alone
        and previous.may_run_cell == _may_run_cell(kernel)
        and kernel.stamps.items() <= previous.stamps.items()
    )


def _without_heartbeat(stamps: Mapping[str, datetime]) -> dict[str, datetime]:
    """The stamps without the heartbeat, which is no evidence for one resource: a heartbeat file
    covers many resources."""
    return {name: at for name, at in stamps.items() if name != Signal.HEARTBEAT}


def _reported(mark: Mark) -> dict[str, datetime]:
    """The stamps that show that the kernel's cell has ended, if one of them changes.

    Weak evidence is not among them: a kernel may print and then die in its cell, so its output does
    not show the end. The heartbeat is not among them, because one file covers many resources. For
    a kernel behind a gateway, the stamp of the request is not among them: this server sets it when
    it passes the request on, before the cell runs.
    """
    own = {n: at for n, at in _without_heartbeat(mark.stamps).items() if n not in WEAK}
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
        # Where keys cannot be told from output, ``last_activity`` may be a key.
        keys = (Signal.INPUT, Signal.LAST_ACTIVITY)
        typed = previous is not None and any(
            mark.stamps.get(key) != previous.stamps.get(key) for key in keys
        )
        if previous is None or previous.state != RUNNING or typed or mark.quiet_since is None:
            mark = _with(mark, quiet_since=now)
    if previous is not None and previous.state != state:
        # The work of a command ends with the command. Background work may go on.
        mark = _with(mark, work=mark.work if mark.work.in_background else Work())
    return _with_state(_with(mark, app=terminal.app), previous, state, now)


def advance_app(previous: Mark | None, app: App, inside: AppActivity | None, now: datetime) -> Mark:
    """The mark of an app after a pass. ``inside`` is the activity of its kernels and terminals.

    An app that was created again gets a new idle clock. Its CreationTime differs, or it came
    InService after another status. The CreationTime alone does not show it: SageMaker keeps the
    CreationTime of an app that is created again within 24 hours.
    """
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
    """The mark after reading ``stamps``. A stamp in the future counts as now. A missing stamp is no
    evidence; a new resource without stamps counts as active now."""
    if previous is None:
        strong = [(min(at, now), name) for name, at in stamps.items() if name not in WEAK]
        if all(name in WEAK for name in _without_heartbeat(stamps)):
            # There is nothing but weak stamps and perhaps a heartbeat, and that heartbeat may be
            # from a time before this resource existed. So the resource counts as active now.
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
            # A changed stamp from before the previous pass comes from a wrong or stepped clock.
            plausible = known is None or at >= previous.seen_at
            mark = moved(mark, name, min(at, now) if plausible else now)
    return mark


def _with_state(mark: Mark, previous: Mark | None, state: str, now: datetime) -> Mark:
    if previous is not None and previous.state == state and previous.state_since is not None:
        return _with(mark, state=state, state_since=previous.state_since)
    return _with(mark, state=state, state_since=now)


def _with(mark: Mark, **changes: Any) -> Mark:
    """Like ``replace``, but returns the same object if nothing changes, which is the usual case in
    a pass."""
    for name, value in changes.items():
        if getattr(mark, name) != value:
            return replace(mark, **changes)
    return mark


def _seen(mark: Mark, now: datetime) -> Mark:
    """``replace(mark, seen_at=now)``, but faster: a pass does this for every mark, and ``replace``
    calls the constructor with all fields."""
    again = object.__new__(Mark)
    again.__dict__.update(mark.__dict__, seen_at=now)
    return again

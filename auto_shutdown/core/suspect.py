"""Decide when an active resource is suspect, and whether to remove it then.

A cell, command or program is *suspect* after ``suspect_after_minutes`` without a sign of work. A
suspect resource is reported as suspect and kept. It is removed only after ``max_busy_minutes``, if
the administrator has set that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from .decision import Decision, Reason
from .due import Clock, Context, decide_by_clock, has_recent_answer, keep_alive_refs
from .formatting import duration, iso
from .marks import RUNNING, STUCK_CPU, activity
from .model import KERNEL_GATEWAY, Kind, Program, Ref
from .policy import Policy
from .signals import WEAK, Signal

#: The setting after which a suspect resource is removed.
LIMIT = "max_busy_minutes"

#: Why a suspect resource may work although it shows no sign of that.
IO_UNKNOWN = "Whether it reads or writes data cannot be seen, because it runs as another user"


def decide_suspect(
    busy: Decision, context: Context, silent_since: datetime | None, word: str, apps: Sequence[str]
) -> Decision:
    """``busy``, or another decision if the resource is suspect.

    ``silent_since`` is when the resource last showed a sign of work (None: just now). ``word``
    begins the sentence for people. ``apps`` are the ids of the apps in which the resource runs or
    may run.
    """
    mark, now = context.mark(busy.ref), context.now
    work, window = mark.work, context.policy.suspect_window
    has_low_use = mark.state == RUNNING and work.low_use_since is not None
    if work.result != "none" and not has_low_use:
        return busy
    if not has_recent_answer(mark, now, window / 8):
        return busy
    case, signs = None, f"{word}, but silent and at under {STUCK_CPU:.0%} of a core"
    if has_low_use:
        case = "low-use"
        signs = f"{word}, but silent, and like an idle cluster {work.detail}"
    decision = when_silent(busy, context, silent_since, signs, apps, case)
    return _with_unknown_io(decision) if work.io_unknown else decision


def when_silent(
    kept: Decision,
    context: Context,
    silent_since: datetime | None,
    signs: str,
    apps: Sequence[str],
    case: str | None = None,
) -> Decision:
    """``kept``, or the decision on a suspect resource once ``suspect_after_minutes`` are over.
    ``signs`` begins the sentence for people. ``case`` is the decision's parameter of this name
    (None: as in ``kept``)."""
    ref, policy, now = kept.ref, context.policy, context.now
    since = silent_since or now
    if now - since < policy.suspect_window:
        return kept
    case = case or kept.parameters.get("case", "command")
    if policy.max_busy is None:
        return _keep_suspect(kept, context, signs, since, case=case)
    clock = _suspect_clock(kept, since, policy.max_busy, signs, case)
    return _as_suspect(decide_by_clock(context, ref, clock, keep_alive_refs(ref, *apps)))


def decide_background_work(
    working: Decision,
    context: Context,
    idle_clock: Clock,
    covers: Sequence[Ref],
    in_service_since: datetime | None = None,
) -> Decision:
    """``working``, or another decision if the background work is suspect.

    Background work is suspect if all of it is programs (:class:`Program`) that perhaps only wait
    for a person, a low use of the processor, or both. A cluster of workers that waits for tasks has
    such a low use, and so have the agents and drivers of a host.

    After ``max_busy_minutes`` suspect work keeps its resource no longer, and ``idle_clock``
    decides. The other arguments are those of :func:`decide_by_clock`.
    """
    policy, work = context.policy, context.mark(working.ref).work
    is_of_host = _is_in_another_container(working.ref)
    signs = f"{work.detail[:1].upper()}{work.detail[1:]}"
    quiet_since = _background_quiet_since(working.ref, context)
    if quiet_since is None or context.now - quiet_since < policy.suspect_window:
        return working
    case = "host-use" if is_of_host else "low-use"
    if not work.programs:
        signs += "" if is_of_host else ", as an idle cluster does"
        signs += ", and showed no other sign of work"
    elif work.low_use_since is not None:
        signs += ", and the other work is no more than that of an idle cluster"
    else:
        case = "program"
        signs += ", but shows no sign of work"
    io_unknown = any(p.io_unknown for p in context.snapshot.programs if p.id in work.programs)
    if policy.max_busy is None:
        kept = _keep_suspect(working, context, signs, quiet_since, case=case, work=work.detail)
        return _with_unknown_io(kept) if io_unknown else kept
    suspect_clock = _suspect_clock(working, quiet_since, policy.max_busy, signs, case)
    clocks = (idle_clock, suspect_clock)
    last = max(clocks, key=lambda clock: clock.since + clock.limit)
    decision = decide_by_clock(context, working.ref, last, covers, in_service_since, True)
    decision = replace(decision, parameters={**decision.parameters, "work": work.detail})
    return _with_unknown_io(_as_suspect(decision)) if io_unknown else _as_suspect(decision)


def _keep_suspect(
    active: Decision, context: Context, signs: str, since: datetime, **parameters: str
) -> Decision:
    detail = (
        f"{signs} for {duration(context.now - since)}. It is kept; the administrator's "
        "max_busy_minutes could end it."
    )
    parameters["silent_since"] = iso(since) or ""
    return context.keep(active.ref, Reason.SUSPECT_BUSY, detail, active.signal, **parameters)


def _suspect_clock(
    active: Decision, since: datetime, max_busy: timedelta, signs: str, case: str
) -> Clock:
    return Clock(since, active.signal or "", max_busy, LIMIT, Reason.MAX_BUSY, f"{signs},", case)


def _as_suspect(decision: Decision) -> Decision:
    if decision.reason is Reason.RECENT_ACTIVITY:
        return replace(decision, reason=Reason.SUSPECT_BUSY)
    return decision


def _with_unknown_io(decision: Decision) -> Decision:
    """``decision`` on a suspect resource that runs as another user, with a sentence that says what
    this server cannot see."""
    if decision.reason not in (Reason.SUSPECT_BUSY, Reason.MAX_BUSY):
        return decision
    parameters = {**decision.parameters, "work_unknown": IO_UNKNOWN}
    return replace(decision, detail=f"{decision.detail} {IO_UNKNOWN}.", parameters=parameters)


def last_sign_of_work(program: Program, policy: Policy, now: datetime) -> datetime:
    """When ``program`` last showed a sign of work."""
    weak = {Signal.OUTPUT: program.printed_at, Signal.BACKGROUND_IO: program.io_at}
    return with_weak_signs(program.quiet_since or now, weak, policy)


def with_weak_signs(
    quiet_since: datetime, weak: Mapping[str, datetime | None], policy: Policy
) -> datetime:
    """When a program last showed a sign of work. ``quiet_since`` is the time of the last strong
    sign. A ``weak`` sign counts only for a limited time after that (``caps``). Without this limit,
    a program that redraws its screen for ever, or a monitor that always reads a little data, would
    never become suspect."""
    counted = (min(at, quiet_since + policy.caps[signal]) for signal, at in weak.items() if at)
    return max([quiet_since, *counted])


def _background_quiet_since(ref: Ref, context: Context) -> datetime | None:
    """Since when the background work of ``ref`` has shown no sign of work. None if it may work."""
    programs = context.mark(ref).work.programs
    low_use_since = _low_use_since(ref, context)
    if not programs:
        return low_use_since
    quiet_since = _quiet_since(context, programs)
    if quiet_since is None or low_use_since is None:
        return quiet_since
    return max(quiet_since, low_use_since)


def _is_in_another_container(ref: Ref) -> bool:
    """Whether ``ref`` is an app whose work is known only from the use of its whole host."""
    return ref.kind is Kind.APP and ref.id.startswith(f"{KERNEL_GATEWAY}/")


def _low_use_since(ref: Ref, context: Context) -> datetime | None:
    """Since when a low use of the processor has been the only sign of work. A request, a key or a
    heartbeat ends that; output counts for ``output_only_minutes``."""
    mark = context.mark(ref)
    since = mark.work.low_use_since
    if since is None:
        return None
    if _is_in_another_container(ref):
        # The use is that of a whole host. It may have been that of a cell, and a job that the cell
        # started may use as much now. So the activity in the app counts, too.
        since = max(since, min(activity(mark, context.policy.caps)[0], context.now))
    strong = (at for name, at in mark.stamps.items() if name not in WEAK)
    since = max([since, *(min(at, context.now) for at in strong)])
    printed_at = mark.weak.get(Signal.OUTPUT, since)
    return max(since, min(printed_at, since + context.policy.output_only))


def _quiet_since(context: Context, ids: Sequence[str]) -> datetime | None:
    """Since when none of the programs ``ids`` has shown a sign of work. None if ``ids`` is empty,
    or if one of them is not in the snapshot."""
    known = {program.id: program for program in context.snapshot.programs}
    if not ids or not set(ids) <= known.keys():
        return None
    return max(last_sign_of_work(known[i], context.policy, context.now) for i in ids)

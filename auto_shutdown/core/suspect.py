"""Suspect resources: a cell or command that shows no sign of work for ``suspect_after_minutes``.

A suspect resource is reported as suspect and kept. It is removed only after ``max_busy_minutes``,
where the administrator has set that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .due import Clock, Context, by_the_clock, refs, was_asked
from .marks import STUCK_CPU
from .verdict import Decision, Reason
from .words import duration, iso


def decide_suspect(
    busy: Decision, context: Context, silent_since: datetime | None, word: str, app: str | None
) -> Decision:
    """``busy``, or another decision if the resource is suspect.

    ``silent_since`` is when the resource last showed a sign of work (None: just now). ``word``
    begins the sentence for people. ``app`` is the id of the app in which the resource runs.
    """
    ref, now = busy.ref, context.now
    work = context.mark(ref).work
    window = context.policy.suspect_window
    if work.result != "none" or not was_asked(context.mark(ref), now, window / 8):
        return busy
    signs = f"{word}, but silent and at under {STUCK_CPU:.0%} of a core"
    return when_silent(busy, context, silent_since, signs, app)


def when_silent(
    kept: Decision, context: Context, silent_since: datetime | None, signs: str, app: str | None
) -> Decision:
    """``kept``, or the decision on a suspect resource once ``suspect_after_minutes`` are over.
    ``signs`` begins the sentence for people."""
    ref, policy, now = kept.ref, context.policy, context.now
    since = silent_since or now
    if now - since < policy.suspect_window:
        return kept
    case = kept.parameters.get("case", "command")
    if policy.max_busy is None:
        detail = (
            f"{signs} for {duration(now - since)}. It is kept; the administrator's "
            "max_busy_minutes could end it."
        )
        silent = iso(since) or ""
        return context.keep(
            ref, Reason.SUSPECT_BUSY, detail, kept.signal, case=case, silent_since=silent
        )
    clock = Clock(
        since,
        kept.signal or "",
        policy.max_busy,
        "max_busy_minutes",
        Reason.MAX_BUSY,
        f"{signs},",
        case,
    )
    decision = by_the_clock(context, ref, clock, refs(ref, app))
    if decision.reason is Reason.RECENT_ACTIVITY:
        decision = replace(decision, reason=Reason.SUSPECT_BUSY)
    return decision

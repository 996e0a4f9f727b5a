"""When something is due: the clock, and every wait that must be over before it counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from .ledger import Ledger, has_notice
from .marks import Mark, activity, first_sight
from .model import Kind, Ref, Resource, Snapshot, Unread
from .policy import Policy
from .signals import Signal
from .verdict import Action, Decision, Reason
from .words import duration

#: Processor time is judged over so long a window; over a shorter one where the limit is so short
#: that nobody could wait for it. See docs/decisions/006.
WINDOW = timedelta(minutes=1)

#: What is recent only by a weak signal says so.
_RECENT = {
    Signal.OUTPUT: Reason.OUTPUT,
    Signal.PRESENCE: Reason.PRESENCE,
    Signal.BACKGROUND_IO: Reason.BACKGROUND_WORK,
}


@lru_cache(maxsize=256)  # of the few limits there are, for everything in each pass
def window_of(limit: timedelta) -> timedelta:
    return min(WINDOW, limit / 4)


@dataclass(frozen=True)
class Context:
    snapshot: Snapshot
    ledger: Ledger
    policy: Policy
    now: datetime

    def keep(
        self,
        ref: Ref,
        reason: Reason,
        detail: str,
        signal: str | None = None,
        **parameters: str,
    ) -> Decision:
        """A decision to keep that no clock can end. ``parameters``: see :class:`Decision`."""
        return Decision(ref, Action.KEEP, reason, detail, signal, parameters=parameters)

    def mark(self, ref: Ref) -> Mark:
        found = self.ledger.marks.get(ref)
        # A caller that skipped advance() gets a new clock, never an old one.
        return found or first_sight(self.now)


@dataclass(frozen=True)
class Clock:
    """What is measured against what: idle ``since`` by ``signal``, for ``limit``, which ``rule``
    gives; over, it is removed for ``reason``."""

    since: datetime
    signal: str
    limit: timedelta
    rule: str
    reason: Reason = Reason.IDLE
    word: str = "Idle"
    #: What the kernel waits for ("input", "debugger"), or how a busy one came to be suspect.
    case: str = ""


def clock_of(context: Context, resource: Resource) -> Clock:
    since, signal = activity(context.mark(resource.ref), context.policy.caps)
    return Clock(since, signal, *context.policy.limit_of(resource))


def by_the_clock(
    context: Context,
    ref: Ref,
    clock: Clock,
    covers: Sequence[Ref],
    in_service_since: datetime | None = None,
    ask: bool = False,
) -> Decision:
    """Over its limit? Then not before every other wait is over.

    ``covers`` are the refs whose keep-alives hold this resource. With ``ask`` it must have been
    asked for work in the background, shortly before.
    """
    now, policy, ledger, mark = context.now, context.policy, context.ledger, context.mark(ref)
    ripe_at = clock.since + clock.limit
    hold = ledger.hold_on(covers, now)
    kept_until = None if hold is None else hold.until
    calm_at = ledger.quiet_until
    if in_service_since is not None:
        calm_at = max(calm_at, in_service_since + policy.grace)
    failure = ledger.failures.get(ref)
    retry_at = failure.retry_at if failure is not None else ripe_at

    floor = max(ripe_at, kept_until or ripe_at, calm_at, retry_at)
    warn = min(policy.warn, clock.limit)
    warn_at = floor - warn
    due_at = floor
    if has_notice(ledger, ref, clock.since):
        due_at = max(floor, ledger.notices[ref].at + warn)
    elif warn_at <= now:
        # Nobody has been told yet: the notice runs from now (a limit that was just lowered).
        due_at = now + warn
    if ask and due_at <= now and mark.work.found == "unread":
        detail = f"Whether anything works in the background is not known: {mark.work.detail}."
        parameters = {"case": "work", "work_unknown": mark.work.detail}
        unknown = context.keep(ref, Reason.UNKNOWN, detail, clock.signal, **parameters)
        return replace(unknown, kept_until=kept_until)
    asking = ask and due_at <= now and not was_asked(mark, now, window_of(clock.limit))
    if asking:
        due_at = (mark.work.asked_at or now) + window_of(clock.limit)
        due_at = max(due_at, now + timedelta(milliseconds=10))
    idle_for = f"{clock.word} {duration(now - clock.since)} of {duration(clock.limit)}"

    def verdict(action: Action, reason: Reason, detail: str, **parameters: str) -> Decision:
        if clock.case:
            parameters.setdefault("case", clock.case)
        return Decision(
            ref,
            action,
            reason,
            detail,
            clock.signal,
            clock.since,
            warn_at,
            due_at,
            kept_until,
            parameters,
        )

    if due_at <= now:
        detail = f"{idle_for} ({clock.rule}), last by {clock.signal}."
        if ask and mark.work.found == "untold":
            detail += (
                f" Whether anything worked in the background, nobody knows: {mark.work.detail}."
            )
            return verdict(Action.REMOVE, clock.reason, detail, work_unknown=mark.work.detail)
        return verdict(Action.REMOVE, clock.reason, detail)
    if hold is not None:
        left = duration(hold.until - now)
        detail = f"Kept alive on request for {left} more{': ' + hold.note if hold.note else ''}."
        noted = {"note": hold.note} if hold.note else {}
        return verdict(Action.KEEP, Reason.KEPT_ALIVE, detail, **noted)
    if ripe_at > now:
        reason = _RECENT.get(clock.signal, Reason.RECENT_ACTIVITY)
        return verdict(Action.KEEP, reason, f"{idle_for}, last by {clock.signal}.")
    left = duration(due_at - now)
    if failure is not None and failure.retry_at > now:
        detail = f"{idle_for}; removing it failed ({failure.outcome.code}), next try in {left}."
        return verdict(Action.KEEP, Reason.BACKING_OFF, detail, code=failure.outcome.code)
    if asking:
        detail = f"{idle_for}; it is asked whether anything works in the background."
        return verdict(Action.KEEP, Reason.GRACE, detail, case="asking")
    detail = f"{idle_for}; it is removed after the notice or grace period, in {left}."
    return verdict(Action.KEEP, Reason.GRACE, detail, case="notice")


def was_asked(mark: Mark, now: datetime, window: timedelta) -> bool:
    """Whether the last answer about work in the background is fresh, and final."""
    work = mark.work
    if work.answered_at is None or work.found not in ("none", "untold"):
        return False
    return now - work.answered_at <= 2 * window


def refs(ref: Ref, app: str | None) -> tuple[Ref, ...]:
    """A keep-alive on an app covers what runs in it: its memory is what people mean to keep."""
    return (ref,) if app is None else (ref, Ref(Kind.APP, app))


def disabled(context: Context, ref: Ref) -> Decision:
    return context.keep(ref, Reason.DISABLED, "The setting enabled is off: nothing is removed.")


def unread(context: Context, ref: Ref, what: Unread) -> Decision:
    detail = f"Cannot read the {what.source} ({what.code}); nothing that depends on it goes."
    return context.keep(
        ref, Reason.UNKNOWN, detail, case="source", source=what.source, code=what.code
    )


def unless_vetoed(context: Context, decision: Decision) -> Decision:
    """What a veto hook says of it (docs/veto.md) is the last word before a removal."""
    veto = context.ledger.veto_on(decision.ref, context.now) if decision.removes else None
    if veto is None:
        return decision
    detail = f"Kept by {veto.hook}: {veto.text}."
    return replace(
        decision,
        action=Action.KEEP,
        reason=Reason.VETOED,
        detail=detail,
        due_at=veto.until,
        parameters={"hook": veto.hook, "text": veto.text},
    )


def held_by(context: Context, decision: Decision, app: str | None) -> Decision:
    """A keep-alive is shown whatever the reason: a busy kernel may be kept, too."""
    if decision.kept_until is not None or not context.ledger.holds:
        return decision
    held = context.ledger.held_until(refs(decision.ref, app), context.now)
    return decision if held is None else replace(decision, kept_until=held)

"""Decide when a resource is due: by its idle clock, and by all other waits that delay its removal.

Every rule for a resource that is not active (planner.py, apps.py, suspect.py) ends here, with
:func:`decide_by_clock`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from .decision import Action, Decision, Reason
from .formatting import duration
from .ledger import Ledger, has_notice
from .marks import Mark, Work, activity, first_sight
from .model import App, Kind, Ref, Resource, Snapshot, Unread, apps_of
from .policy import Policy
from .signals import WORDS, Signal

#: Processor time is measured over a window of this length, or of a quarter of the idle limit where
#: that is shorter. See docs/decisions/006.
WINDOW = timedelta(minutes=1)

#: The reason to keep a resource whose latest activity is one of these weak signals.
_RECENT = {
    Signal.OUTPUT: Reason.OUTPUT,
    Signal.PRESENCE: Reason.PRESENCE,
    Signal.BACKGROUND_IO: Reason.BACKGROUND_WORK,
}


#: Ends the sentence about a resource that is due, and is queried for background work.
ASKING = "; it is being asked whether anything works in the background."


@lru_cache(maxsize=256)  # a pass asks for the same few limits for every resource
def window_of(limit: timedelta) -> timedelta:
    """The window over which to measure processor time, for an idle limit of ``limit``."""
    return min(WINDOW, limit / 4)


@dataclass(frozen=True)
class Context:
    """Everything that a decision depends on."""

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
        """A decision to keep without a due time. ``parameters``: see :class:`Decision`."""
        return Decision(ref, Action.KEEP, reason, detail, signal, parameters=parameters)

    def mark(self, ref: Ref) -> Mark:
        """The mark of ``ref``; a new one, with a new idle clock, where the ledger has none."""
        return self.ledger.marks.get(ref) or first_sight(self.now)


class Clock(NamedTuple):
    """An idle clock: it starts at ``since`` and runs for ``limit``. It is a tuple for speed.

    ``signal`` names the activity at ``since``, and ``rule`` the setting that gives ``limit``. After
    the limit the resource is removed for ``reason``. ``word`` begins the sentence for people.
    """

    since: datetime
    signal: str
    limit: timedelta
    rule: str
    reason: Reason = Reason.IDLE
    word: str = "Idle"
    #: The parameter ``case`` of the decision: what the kernel waits for ("input", "debugger"), or
    #: what a suspect resource runs.
    case: str = ""


def clock_of(context: Context, resource: Resource) -> Clock:
    since, signal = activity(context.mark(resource.ref), context.policy.caps)
    return Clock(since, signal, *context.policy.limit_of(resource))


def decide_by_clock(
    context: Context,
    ref: Ref,
    clock: Clock,
    covers: Sequence[Ref],
    in_service_since: datetime | None = None,
    query_work: bool = False,
) -> Decision:
    """Remove ``ref`` when its idle limit and every other wait are over; keep it until then.

    The other waits:

    - a keep-alive on any of ``covers``;
    - the quiet time after the start of this server, and the grace period after the app of the
      resource came in service (``in_service_since``);
    - the retry delay after a failed removal;
    - the notice to people;
    - with ``query_work``, the query for background work. Its answer must be recent. In ``dry_run``
      one answer is enough: without ``dry_run`` the resource would have been removed after it.
    """
    now, policy, ledger = context.now, context.policy, context.ledger
    limit_over_at = clock.since + clock.limit
    hold = ledger.hold_on(covers, now)
    kept_until = None if hold is None else hold.until
    quiet_until = ledger.quiet_until
    if in_service_since is not None:
        quiet_until = max(quiet_until, in_service_since + policy.grace)
    failure = ledger.failures.get(ref)
    retry_at = failure.retry_at if failure is not None else limit_over_at

    # The notice to people may delay the removal. It never moves the removal forward.
    earliest = max(limit_over_at, kept_until or limit_over_at, quiet_until, retry_at)
    warn = min(policy.warn, clock.limit)
    warn_at = earliest - warn
    due_at = earliest
    if has_notice(ledger, ref, clock.since):
        due_at = max(earliest, ledger.notices[ref].at + warn)
    elif warn_at <= now:
        # No notice was given yet, for example because a limit was just lowered: it starts now.
        due_at = now + warn
    mark = context.mark(ref)
    if query_work and earliest <= now and mark.work.result == "unread":
        unknown = keep_unread_work(context, ref, clock, mark.work)
        return replace(unknown, kept_until=kept_until)
    window = window_of(clock.limit)
    needs_answer = query_work and due_at <= now and not has_recent_answer(mark, now, window)
    if policy.dry_run and ledger.was_rehearsed(ref, clock.since):
        needs_answer = False
    if needs_answer:
        due_at = _answer_at(mark.work.asked_at, now, window)
    last = f"Last activity: {WORDS.get(clock.signal, clock.signal)}."
    idle_for = _idle_for(clock, now)

    def decision(action: Action, reason: Reason, detail: str, **parameters: str) -> Decision:
        if clock.case and "case" not in parameters:
            parameters["case"] = clock.case
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
        detail = f"{idle_for} ({clock.rule}). {last}"
        not_ruled_out = _unknown_work(mark) if query_work and clock.reason is Reason.IDLE else ""
        if not_ruled_out:
            detail += f" Background work could not be ruled out: {not_ruled_out}."
            return decision(Action.REMOVE, clock.reason, detail, work_unknown=not_ruled_out)
        return decision(Action.REMOVE, clock.reason, detail)
    if hold is not None:
        left = duration(hold.until - now)
        detail = f"Kept alive on request for {left} more{': ' + hold.note if hold.note else ''}."
        parameters = {"note": hold.note} if hold.note else {}
        return decision(Action.KEEP, Reason.KEPT_ALIVE, detail, **parameters)
    if limit_over_at > now:
        reason = _RECENT.get(clock.signal, Reason.RECENT_ACTIVITY)
        return decision(Action.KEEP, reason, f"{idle_for}. {last}")
    left = duration(due_at - now)
    if failure is not None and failure.retry_at > now:
        detail = f"{idle_for}; removing it failed ({failure.outcome.code}), next try in {left}."
        return decision(Action.KEEP, Reason.BACKING_OFF, detail, code=failure.outcome.code)
    if needs_answer:
        return decision(Action.KEEP, Reason.GRACE, idle_for + ASKING, case="asking")
    detail = f"{idle_for}; it is removed after the notice or grace period, in {left}."
    return decision(Action.KEEP, Reason.GRACE, detail, case="notice")


def keep_unread_work(context: Context, ref: Ref, clock: Clock, work: Work) -> Decision:
    """Keep ``ref``, which is over its idle limit, because nobody could read whether ``work`` runs.

    There is no due time, so people get no new notice. A notice that people got before stays valid
    for one more length of the notice after the removal that it announced was due. If the work can
    be read again only later than that, the removal needs a new notice.
    """
    detail = f"Whether anything works in the background is not known: {work.detail}."
    parameters = {"case": "work", "work_unknown": work.detail}
    unknown = context.keep(ref, Reason.UNKNOWN, detail, clock.signal, **parameters)
    if not has_notice(context.ledger, ref, clock.since):
        return replace(unknown, idle_since=clock.since)
    given_at = context.ledger.notices[ref].at
    still_counts = context.now - given_at <= 2 * min(context.policy.warn, clock.limit)
    warn_at = given_at if still_counts else None
    return replace(unknown, idle_since=clock.since, warn_at=warn_at)


def waits_for_end_of_notice(decision: Decision) -> bool:
    """Whether the resource is over its idle limit, and only the end of its notice or of a grace
    period delays its removal."""
    return decision.reason is Reason.GRACE and decision.parameters.get("case") == "notice"


def keep_while_asked(
    context: Context, removal: Decision, clock: Clock, asked_at: datetime | None, window: timedelta
) -> Decision:
    """Keep the kernel of ``removal`` until its app has been queried for background work. The
    notice of that removal still counts. ``asked_at`` is the time of the app's last query (None:
    there was none), ``window`` that of its measurement."""
    detail = _idle_for(clock, context.now) + ASKING
    asking = context.keep(removal.ref, Reason.GRACE, detail, clock.signal, case="asking")
    due_at = _answer_at(asked_at, context.now, window)
    return replace(asking, idle_since=clock.since, warn_at=removal.warn_at, due_at=due_at)


def _idle_for(clock: Clock, now: datetime) -> str:
    return f"{clock.word} {duration(now - clock.since)} of {duration(clock.limit)}"


def _answer_at(asked_at: datetime | None, now: datetime, window: timedelta) -> datetime:
    """When to expect the answer to a query for background work: always after ``now``."""
    return max((asked_at or now) + window, now + timedelta(milliseconds=10))


def _unknown_work(mark: Mark) -> str:
    """Why background work could not be ruled out; empty if the last answer ruled it out."""
    if mark.work.io_unknown:
        return "a process of another user may have read or written data"
    return mark.work.detail if mark.work.result == "unanswered" else ""


def has_recent_answer(mark: Mark, now: datetime, window: timedelta) -> bool:
    """Whether the last answer about background work permits a removal, and is at most two windows
    old.

    These answers permit a removal: there is no background work; nobody can answer; all of the work
    is programs that may only wait, or a low use of the processor. In the last case the caller has
    already found that the work is suspect.
    """
    work = mark.work
    suspect = bool(work.programs) or work.low_use_since is not None
    if work.answered_at is None or not (work.result in ("none", "unanswered") or suspect):
        return False
    return now - work.answered_at <= 2 * window


@lru_cache(maxsize=16384)  # a pass asks for the same refs as the pass before
def keep_alive_refs(ref: Ref, *apps: str) -> tuple[Ref, ...]:
    """The refs on which a keep-alive keeps ``ref``: ``ref`` itself, and ``apps``, the ids of the
    apps in which it runs or may run.

    A keep-alive on an app also keeps its kernels and terminals: people set it to keep the data in
    the memory of their kernels.
    """
    return (ref, *(Ref(Kind.APP, app) for app in apps))


def keep_disabled(context: Context, ref: Ref) -> Decision:
    return context.keep(ref, Reason.DISABLED, "The setting enabled is off: nothing is removed.")


def keep_unread(context: Context, ref: Ref, failure: Unread) -> Decision:
    """Keep ``ref``, because the source of ``failure`` could not be read."""
    detail = (
        f"Cannot read the {failure.source} ({failure.code}); "
        "nothing that depends on them is removed."
    )
    return context.keep(
        ref, Reason.UNKNOWN, detail, case="source", source=failure.source, code=failure.code
    )


def keep_working(context: Context, ref: Ref, work: str) -> Decision:
    """Keep ``ref`` because of background work; ``work`` describes that work."""
    detail = f"Something works in the background: {work}."
    return context.keep(ref, Reason.BACKGROUND_WORK, detail, Signal.BACKGROUND_WORK, work=work)


def apply_veto(context: Context, decision: Decision) -> Decision:
    """Turn a removal that a hook vetoed (docs/veto.md) into a decision to keep."""
    if not context.ledger.vetoes or not decision.removes:
        return decision
    veto = context.ledger.veto_on(decision.ref, context.now)
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


def show_keep_alive(context: Context, decision: Decision, resource: Resource) -> Decision:
    """Add ``kept_until`` to ``decision``, whatever its reason: a busy kernel can have a keep-alive,
    too."""
    if decision.kept_until is not None or not context.ledger.holds:
        return decision
    apps = () if isinstance(resource, App) else apps_of(resource)
    held = context.ledger.held_until(keep_alive_refs(decision.ref, *apps), context.now)
    return decision if held is None else replace(decision, kept_until=held)

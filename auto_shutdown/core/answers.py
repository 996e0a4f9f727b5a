"""Record the answers to the queries for background work in the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from .ledger import Ledger
from .marks import BUSY, RUNNING, STUCK_CPU, Mark, Work, moved
from .model import Answer
from .signals import Signal


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
        if answer.io_unknown:
            mark = moved(mark, Signal.BACKGROUND_IO, now)  # unknown I/O counts as I/O
        mark = replace(mark, stamps={**mark.stamps, **answer.stamps})
        # The background work of the previous answer has ended since: the idle clock starts now.
        worked = mark.work.result == "working" or mark.work.in_background
        ended = answer.conclusive and not answer.unread and worked
        if answer.working or ended:
            mark = moved(mark, Signal.BACKGROUND_WORK, _worked_at(mark.work, answer, now))
        # A kernel whose processor time is unknown does not count as stuck.
        shows_work = answer.working or answer.cores is None or answer.cores >= STUCK_CPU
        if mark.state == RUNNING and answer.low_use:
            shows_work = False  # the command may be an idle cluster
        if mark.state in (BUSY, RUNNING) and answer.conclusive and shows_work:
            mark = replace(mark, quiet_since=now)
        if answer.conclusive and answer.answered and not (answer.working or answer.unread):
            # Its shell has answered, unless it is known to run a cell (world/work_answers.py).
            mark = replace(mark, may_run_cell=mark.may_run_cell and mark.state == BUSY)
        marks[answer.ref] = replace(mark, work=_work_after(mark, answer, now))
    return replace(ledger, marks=marks)


def _worked_at(work: Work, answer: Answer, now: datetime) -> datetime:
    """The time of the last sign of work in ``answer``.

    If the earlier ``work``, or a part of it, has ended, the result is ``now``: it ended at an
    unknown time since the answer before.
    """
    if not answer.working or (work.result == "working" and not _goes_on(work, answer)):
        return now
    signs = []
    if answer.low_use:
        # The processes may only wait, so a continued low use does not move the idle clock.
        signs.append(work.low_use_since or now)
    if answer.programs:
        signs.append(answer.worked_at or now)
    return min(max(signs, default=now), now)


def _goes_on(work: Work, answer: Answer) -> bool:
    """Whether all of the earlier ``work`` goes on: its programs and its low use."""
    if not work.programs and work.low_use_since is None:
        return False  # other work, which may have ended and begun again
    had_low_use = work.low_use_since is not None
    return set(work.programs) <= set(answer.programs) and (answer.low_use or not had_low_use)


def _work_after(mark: Mark, answer: Answer, now: datetime) -> Work:
    work = mark.work
    if not answer.conclusive:
        return replace(work, asked_at=now)
    if answer.unread:
        # The background work that the answer before reported may still run.
        if work.result == "working":
            return replace(work, asked_at=now)
        return replace(work, asked_at=now, result="unread", detail=answer.detail)
    result = "working" if answer.working else "none" if answer.answered else "unanswered"
    low_use_since = (work.low_use_since or now) if answer.low_use else None
    # While a cell or command runs, nobody knows whether the answer is about background work.
    in_background = answer.working and (work.in_background or not mark.at_work)
    return Work(
        now,
        now,
        result,
        answer.detail,
        answer.programs,
        answer.io_unknown,
        low_use_since,
        in_background,
    )

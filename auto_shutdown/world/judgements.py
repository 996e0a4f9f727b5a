"""Answers to the question whether a resource does background work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone

from ..core.model import Answer, Ref
from ..core.signals import Signal
from .evidence import Use
from .other_servers import Tenant


def judge_use(
    ref: Ref, use: Use | None, enough: float, whose: str, only_cores: bool = False
) -> Answer:
    """The answer by what the processes of ``ref`` used (None: not measured for long enough).
    ``enough`` cores are work; with ``only_cores`` nothing else is."""
    if use is None:
        return Answer(ref, conclusive=False)
    working = use.cores >= enough or (not only_cores and use.is_work(enough))
    detail = f"{whose} {use}"
    return Answer(ref, conclusive=True, working=working, cores=use.cores, detail=detail)


def works(ref: Ref, detail: str) -> Answer:
    return Answer(ref, conclusive=True, working=True, detail=detail)


def with_sign_of_life(answer: Answer) -> Answer:
    """Add a sign of life at this moment to the answer: weak evidence of activity."""
    now = datetime.now(timezone.utc)
    return replace(answer, activity={**answer.activity, Signal.BACKGROUND_IO: now})


def judge_tenants(ref: Ref, tenants: Iterable[Tenant], failure: str) -> Answer:
    """Judge an app by the kernels and terminals in it that other servers report. ``failure``:
    another server did not answer."""
    if failure:
        return unread(ref, failure)
    activity: dict[str, datetime] = {}
    for tenant in tenants:
        if tenant.active_at is None:
            return works(ref, f"{tenant} is at work")
        latest = activity.get(Signal.OTHER_SERVER, tenant.active_at)
        activity[Signal.OTHER_SERVER] = max(latest, tenant.active_at)
    detail = "nothing of another server works in it"
    return Answer(ref, conclusive=True, detail=detail, activity=activity)


def unread(ref: Ref, why: str) -> Answer:
    """The evidence could not be read, so ``ref`` is kept."""
    return Answer(ref, conclusive=True, unread=True, detail=why)


def not_answered(ref: Ref, why: str) -> Answer:
    """Nobody can say whether ``ref`` does background work."""
    return Answer(ref, conclusive=True, answered=False, detail=why)

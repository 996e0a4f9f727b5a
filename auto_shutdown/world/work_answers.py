"""Judge whether a measurement or a report shows background work, and build the ``Answer``.

These functions decide only whether something works. Whether a resource is kept or removed is
decided in ``core/``, from the answers that ``core/answers.py`` records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timezone

from ..core.marks import BUSY
from ..core.model import Answer, Kernel, Ref
from ..core.signals import Signal
from ..core.translatable import Text, joined, sentence
from .evidence import Use
from .kernel_usage import Usage
from .other_servers import Tenant
from .shell_probe import ShellAnswer

#: The detail of the answer about a kernel whose shell is silent.
NO_ANSWER = sentence("its shell does not answer, so it may run a cell")
#: The detail of the answer about such a kernel that is stuck in starting.
NEVER_ANSWERED = "it has been starting all the time, and its shell does not answer"

#: The end of the detail about an app in which a kernel of another server may run a cell.
NO_EXTENSION = (
    "that server lacks this extension. Install this extension there, too, or shut the kernel down"
)
REPORT_IS_OLD = (
    "the report of that server is old. Restart that server, or shut the kernel down there"
)


def judge_use(
    ref: Ref, use: Use | None, enough: float, whose: Text, only_cores: bool = False
) -> Answer:
    """The answer about ``ref`` from what its processes used (None: not measured for long enough).

    ``enough`` is the number of cores that counts as work. With ``only_cores`` no other use counts.
    ``whose`` begins the detail, such as "its processes".
    """
    if use is None:
        return Answer(ref, conclusive=False)
    working = use.cores >= enough or (not only_cores and use.is_work(enough))
    detail = joined(whose, use.text)
    return Answer(ref, conclusive=True, working=working, cores=use.cores, detail=detail)


def works(ref: Ref, detail: Text) -> Answer:
    """``ref`` does background work, which ``detail`` describes."""
    return Answer(ref, conclusive=True, working=True, detail=detail)


def with_sign_of_life(answer: Answer) -> Answer:
    """Add a sign of life at this moment to the answer: weak evidence of activity."""
    now = datetime.now(timezone.utc)
    return replace(answer, activity={**answer.activity, Signal.BACKGROUND_IO: now})


def judge_tenants(
    ref: Ref, tenants: Iterable[Tenant], failure: str, asked: Collection[str] = ()
) -> Answer:
    """The answer about an app, from the kernels and terminals in it that other servers report.
    ``failure`` says which other server could not be read (empty: all could be read). ``asked`` are
    the ids of the kernels whose shells this server asks itself."""
    if failure:
        return unread(ref, failure)
    activity: dict[str, datetime] = {}
    unknown: list[Tenant] = []
    for tenant in tenants:
        if tenant.active_at is None:
            return works(ref, joined(tenant.text, sentence("is at work")))
        if tenant.may_run_cell(asked):
            unknown.append(tenant)
        latest = activity.get(Signal.OTHER_SERVER, tenant.active_at)
        activity[Signal.OTHER_SERVER] = max(latest, tenant.active_at)
    if unknown:
        is_old = unknown[0].has_old_report
        why = f"{unknown[0]} may run a cell, and " + (REPORT_IS_OLD if is_old else NO_EXTENSION)
        return replace(unread(ref, why), activity=activity)
    detail = "nothing of another server works in it"
    return Answer(ref, conclusive=True, detail=detail, activity=activity)


def unread(ref: Ref, why: str) -> Answer:
    """The evidence could not be read, so ``ref`` is kept."""
    return Answer(ref, conclusive=True, unread=True, detail=why)


def not_answered(ref: Ref, why: str) -> Answer:
    """Nobody can say whether ``ref`` does background work."""
    return Answer(ref, conclusive=True, answered=False, detail=why)


def with_stamps(answer: Answer, usage: Usage) -> Answer:
    """The answer with the kernel's stamps after the query to its shell, which may move them."""
    other_client_seen = answer.other_client_seen or usage.other_client_seen
    stamps = {**answer.stamps, **usage.stamps}
    return replace(answer, stamps=stamps, other_client_seen=other_client_seen)


def with_shell(
    answer: Answer, kernel: Kernel, shell: ShellAnswer, is_starting: bool = False
) -> Answer:
    """``answer``, corrected by the answer of the ``shell`` of a kernel that is reported as idle.

    A silent shell may run a cell. ``is_starting``: the kernel may never have come up, so its silent
    shell is no sign of work.
    """
    if shell.free or kernel.state == BUSY:
        return answer
    if shell.failure:
        detail = f"its shell cannot be asked whether a cell runs ({shell.failure})"
        return replace(answer, conclusive=True, working=False, unread=True, detail=detail)
    if is_starting:
        stuck = replace(answer, conclusive=True, working=False, answered=False, unread=False)
        return replace(stuck, detail=NEVER_ANSWERED)
    return replace(
        answer, conclusive=True, working=True, answered=True, unread=False, detail=NO_ANSWER
    )

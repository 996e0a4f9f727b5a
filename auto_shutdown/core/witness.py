"""Keep one kernel of an app that works, so that it can report when the work ends: the *witness*.

This server cannot see the processes of an app in another container. But a kernel in that app can
report the processor time of its host, which shows whether the app works. Without such a kernel
nobody can find out. So the app is queried before the last such kernel is removed.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from .apps import Tenant, is_reporter
from .decision import Decision, Reason
from .due import (
    Context,
    clock_of,
    has_recent_answer,
    keep_unread_work,
    keep_while_asked,
    keep_working,
    waits_for_end_of_notice,
    window_of,
)
from .marks import BUSY
from .model import IN_SERVICE, KERNEL_GATEWAY, App, Kernel, Ref


def loses_output_if_asked(kernel: Kernel) -> bool:
    """Whether a query would make the kernel's gateway drop output.

    A kernel whose shell is silent is asked all the same, because nothing else shows when its cell
    ends.
    """
    runs_cell = kernel.state == BUSY and not kernel.waits_alone and not kernel.shell_silent
    return runs_cell and kernel.may_have_kept_output


def keep_witness(
    context: Context,
    app: App,
    tenants: Sequence[Tenant],
    decisions: MutableMapping[Ref, Decision],
) -> None:
    """Keep one kernel that can report the work of ``app`` while the app works or its work cannot be
    read, and until the app has been queried for work.

    If all kernels that can report it would be removed, one idle kernel stays as the witness. The
    witness may be removed once the latest answer is that nothing works in the app, or that none of
    its kernels can say.

    While the app works, or its work cannot be read, the time of that answer is not known. So the
    witness has no due time in this case, and people get no notice of its removal. A kernel whose
    notice runs counts as one that would be removed in this case, too.
    """
    work = context.mark(app.ref).work
    must_ask = _must_ask(context, app)
    if app.own or decisions[app.ref].removes or not (must_ask or work.result == "working"):
        return
    reporters = [
        tenant
        for tenant in tenants
        if isinstance(tenant, Kernel) and is_reporter(app, tenant) and _can_report(context, tenant)
    ]
    has_no_end = work.result in ("working", "unread")
    for kernel in reporters:
        decision = decisions[kernel.ref]
        if not (decision.removes or (has_no_end and waits_for_end_of_notice(decision))):
            return
    # A kernel whose notice is over goes before a kernel whose notice is not.
    for kernel in sorted(reporters, key=lambda kernel: (decisions[kernel.ref].removes, kernel.id)):
        decision = decisions[kernel.ref]
        if not _may_be_witness(context, kernel, decision):
            continue
        clock = clock_of(context, kernel)
        if work.result == "working":
            decisions[kernel.ref] = keep_working(context, kernel.ref, work.detail)
        elif _is_rehearsed(context, decision):
            pass
        elif work.result == "unread":
            decisions[kernel.ref] = keep_unread_work(context, kernel.ref, clock, work)
        else:
            window = window_of(context.policy.limit_of(app)[0])
            decisions[kernel.ref] = keep_while_asked(
                context, decision, clock, work.asked_at, window
            )
        return


def _may_be_witness(context: Context, kernel: Kernel, decision: Decision) -> bool:
    """Whether the kernel is idle, so that it may stay as the witness. A suspect kernel, which
    ``max_busy_minutes`` ends, may not."""
    if context.mark(kernel.ref).work.result == "working":
        return False
    is_busy = kernel.state == BUSY and not kernel.waits_alone
    return decision.reason is Reason.IDLE or (waits_for_end_of_notice(decision) and not is_busy)


def _must_ask(context: Context, app: App) -> bool:
    """Whether the app has to be queried before the last kernel that can report its work is
    removed."""
    if app.type != KERNEL_GATEWAY or app.status != IN_SERVICE:
        return False
    window = window_of(context.policy.limit_of(app)[0])
    return not has_recent_answer(context.mark(app.ref), context.now, window)


def _is_rehearsed(context: Context, decision: Decision) -> bool:
    """Whether the removal was only rehearsed: without ``dry_run`` the kernel would be gone."""
    rehearsed = context.ledger.was_rehearsed(decision.ref, decision.idle_since)
    return context.policy.dry_run and rehearsed


def _can_report(context: Context, kernel: Kernel) -> bool:
    """Whether the kernel has answered its last query, and can be asked again.

    A kernel that was never asked does not count: kernels of some languages cannot report it.
    """
    if kernel.refused:
        return False
    has_answered = context.mark(kernel.ref).work.result in ("none", "working")
    return has_answered and not loses_output_if_asked(kernel)

"""Keep one kernel of an app that works, so that it can report when the work ends: the *witness*.

This server cannot see the processes of an app in another container. But a kernel in that app can
report the processor time of its host, which shows whether the app works. Without such a kernel
nobody can find out.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence

from .apps import DEAD, Tenant
from .due import Context, keep_working
from .marks import BUSY, COMING_UP
from .model import App, Kernel, Ref
from .verdict import Decision, Reason


def may_report(kernel: Kernel) -> bool:
    """Whether the kernel runs, so that it may be able to report the work of its app, now or later.

    A dead kernel cannot, and neither can a kernel that has sent no message since it was started.
    """
    return kernel.state not in DEAD | COMING_UP


def loses_output_if_asked(kernel: Kernel) -> bool:
    """Whether a query would make the kernel's gateway drop output.

    A gateway keeps the output of a running cell for a client that has left. It drops that output
    when another client connects (docs/decisions/006). A kernel whose shell is silent is asked all
    the same, because nothing else shows when its cell ends.
    """
    runs_cell = kernel.state == BUSY and not kernel.waits_alone and not kernel.shell_silent
    return runs_cell and kernel.iopub is None and not kernel.connections


def keep_witness(
    context: Context,
    app: App,
    tenants: Sequence[Tenant],
    decisions: MutableMapping[Ref, Decision],
) -> None:
    """Keep one kernel that can report the work of ``app`` while the app works.

    If all kernels that can report it would be removed, one idle kernel stays as the witness. It is
    released when the work of the app has ended.
    """
    work = context.mark(app.ref).work
    if app.own or work.result != "working" or decisions[app.ref].removes:
        return
    # A kernel in ``tenants`` may run in another app: then it cannot report on this app.
    reporters = [
        tenant
        for tenant in tenants
        if isinstance(tenant, Kernel) and tenant.app == app.id and _can_report(context, tenant)
    ]
    if any(not decisions[kernel.ref].removes for kernel in reporters):
        return
    for kernel in sorted(reporters, key=lambda kernel: kernel.id):
        works = context.mark(kernel.ref).work.result == "working"
        if decisions[kernel.ref].reason is Reason.IDLE and not works:
            decisions[kernel.ref] = keep_working(context, kernel.ref, work.detail)
            return


def _can_report(context: Context, kernel: Kernel) -> bool:
    """Whether the kernel has answered its last query, and can be asked again.

    A kernel that was never asked does not count: kernels of some languages cannot report it.
    """
    if kernel.unreadable or kernel.refused or not may_report(kernel):
        return False
    has_answered = context.mark(kernel.ref).work.result in ("none", "working")
    return has_answered and not loses_output_if_asked(kernel)

"""Decide whether to keep or to remove each resource: :func:`decide` turns a snapshot into a plan.

:func:`decide` is the only entrance for a full pass. It applies the rules in this order:

1. Kernels (``decide_kernel``) and terminals (``_decide_terminal``), in this module.
2. Apps (``decide_app`` in apps.py), from the decisions on their kernels and terminals.
3. Decisions that depend on other decisions: apps and their tenants that save nothing
   (worth_stopping.py), the kernel that stays to report on its app (witness.py), and tenants that
   are removed with their app (``follow_app`` in apps.py).

A hook's veto (``apply_veto`` in due.py) can change the decision of steps 1 and 2. The rules of
steps 1 and 2 check in this order: is the extension enabled, could the resource be read, is it
active, and has it been idle for longer than its limit (``decide_by_clock`` in due.py, which also
honours keep-alives and notices)?

This module does not measure idleness (advance.py and next_marks.py do that, before it), does not
define the types of a decision (decision.py), and removes nothing (``cycle/removal.py``).
"""

from __future__ import annotations

from datetime import datetime

from .apps import Tenant, decide_app, follow_app, is_coming_up
from .decision import Action, Decision, Plan, Reason
from .due import (
    Context,
    apply_veto,
    clock_of,
    decide_by_clock,
    keep_alive_refs,
    keep_disabled,
    keep_unread,
    keep_working,
    show_keep_alive,
)
from .formatting import duration
from .ledger import Ledger
from .marks import BUSY, COMING_UP, DEAD, IDLE
from .model import Kernel, Ref, Snapshot, Terminal, apps_of
from .policy import Policy
from .signals import Signal
from .suspect import decide_background_work, decide_suspect, when_silent, with_weak_signs
from .witness import keep_witness
from .worth_stopping import keep_apps, keep_tenants

KNOWN_STATES = COMING_UP | DEAD | {IDLE, BUSY}

#: How a sentence begins, by what the kernel waits for.
WAITING = {"input": "Waiting for an answer to input()", "debugger": "Stopped in the debugger"}


def decide(snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime) -> Plan:
    """Exactly one decision, with one reason, for every resource of ``snapshot``, in its order."""
    context = Context(snapshot, ledger, policy, now)
    if policy.unread is not None:
        # The user's settings could not be read. They may forbid every removal.
        return Plan(tuple(keep_unread(context, r.ref, policy.unread) for r in snapshot.resources))
    decisions: dict[Ref, Decision] = {}
    for kernel in snapshot.kernels:
        decisions[kernel.ref] = apply_veto(context, decide_kernel(context, kernel))
    for terminal in snapshot.terminals:
        decisions[terminal.ref] = apply_veto(context, _decide_terminal(context, terminal))
    by_app = tenants_by_last_app(snapshot, ledger)
    for app in snapshot.apps:
        tenants = by_app.get(app.id, []) + by_app.get(None, [])
        decisions[app.ref] = apply_veto(context, decide_app(context, app, tenants, decisions))
    keep_apps(context, decisions)
    for app in snapshot.apps:
        keep_witness(context, app, by_app.get(app.id, []), decisions)
        of_app = decisions[app.ref]
        for tenant in by_app.get(app.id, []) + by_app.get(None, []):
            if tenant.may_be_in:
                continue  # it may run in another app, so its own decision counts
            if of_app.removes or isinstance(tenant, Terminal):
                decisions[tenant.ref] = follow_app(tenant, decisions[tenant.ref], of_app)
    keep_tenants(context, decisions)
    in_order = [decisions[resource.ref] for resource in snapshot.resources]
    if ledger.holds:
        in_order = [
            show_keep_alive(context, decision, resource)
            for decision, resource in zip(in_order, snapshot.resources)
        ]
    return Plan(tuple(in_order))


def tenants_by_last_app(snapshot: Snapshot, ledger: Ledger) -> dict[str | None, list[Tenant]]:
    """Kernels and terminals by the id of their app. The key None holds kernels that may run in any
    app.

    A kernel or terminal that cannot be read counts for its last known app. Such a kernel without
    one may run in any app. Any other kernel or terminal counts for each app that it may run in.
    """
    by_app: dict[str | None, list[Tenant]] = {}
    tenants: list[Tenant] = [*snapshot.kernels, *snapshot.terminals]
    for resource in tenants:
        apps: tuple[str | None, ...] = apps_of(resource)  # empty: on the server's own host
        if resource.unreadable:
            mark = ledger.marks.get(resource.ref)
            last_app = mark.app if mark is not None else None
            if last_app is not None or isinstance(resource, Kernel):
                apps = (last_app,)
        for app in apps:
            by_app.setdefault(app, []).append(resource)
    return by_app


# -- kernels ---------------------------------------------------------------------------------


def decide_kernel(context: Context, kernel: Kernel) -> Decision:
    ref, policy = kernel.ref, context.policy
    if not policy.enabled:
        return keep_disabled(context, ref)
    failed = context.snapshot.unread.get(Snapshot.KERNELS)
    if failed is not None:
        return keep_unread(context, ref, failed)
    if kernel.unreadable:
        return context.keep(
            ref,
            Reason.UNKNOWN,
            f"This kernel cannot be read: {kernel.unreadable}.",
            case="unreadable",
            error=kernel.unreadable,
        )
    if kernel.state == BUSY and not kernel.waits_alone:
        return _decide_busy(context, kernel)
    mark = context.mark(ref)
    if policy.protect_connected and kernel.connections > 0:
        detail = "A client is connected, and the setting protect_connected keeps it."
        return context.keep(ref, Reason.CONNECTED, detail, "connections")
    if kernel.refused:
        return _decide_refused(context, kernel)
    if is_coming_up(context, kernel):
        detail = f"The kernel is {kernel.state}; that may take {duration(policy.startup_grace)}."
        return context.keep(
            ref, Reason.GRACE, detail, Signal.EXECUTION_STATE, case="starting", state=kernel.state
        )
    if kernel.state not in KNOWN_STATES:
        detail = (
            f"The kernel reports the state '{kernel.state}', which this extension does not know."
        )
        return context.keep(
            ref, Reason.UNKNOWN, detail, Signal.EXECUTION_STATE, case="state", state=kernel.state
        )
    if mark.work.result == "working":
        return _decide_working(context, kernel)
    clock = clock_of(context, kernel)
    if kernel.waiting_for is not None:
        word = f"{WAITING[kernel.waiting_for]} without a connected client for"
        clock = clock._replace(word=word, case=kernel.waiting_for)
    query_work = kernel.state not in DEAD
    covers = keep_alive_refs(ref, *apps_of(kernel))
    return decide_by_clock(context, ref, clock, covers, query_work=query_work)


def _decide_working(context: Context, tenant: Tenant) -> Decision:
    """Background work keeps its kernel or terminal, until it is suspect."""
    working = keep_working(context, tenant.ref, context.mark(tenant.ref).work.detail)
    covers = keep_alive_refs(tenant.ref, *apps_of(tenant))
    return decide_background_work(working, context, clock_of(context, tenant), covers)


def _decide_refused(context: Context, kernel: Kernel) -> Decision:
    """Keep a kernel whose gateway refuses each connection, because nobody can ask it whether a cell
    runs. After ``suspect_after_minutes`` without a sign of work it is suspect, and
    ``max_busy_minutes`` can end it."""
    unknown = context.keep(
        kernel.ref,
        Reason.UNKNOWN,
        f"This kernel cannot be asked whether a cell runs: {kernel.refused}.",
        context.mark(kernel.ref).signal,
        case="refused",
        error=kernel.refused,
    )
    signs = (
        f"It cannot be asked whether a cell runs ({kernel.refused}), and has shown no sign of work"
    )
    quiet_since = context.mark(kernel.ref).quiet_since
    return when_silent(unknown, context, quiet_since, signs, apps_of(kernel))


def _decide_busy(context: Context, kernel: Kernel) -> Decision:
    """A busy kernel is kept, with one exception: a suspect kernel is removed after
    ``max_busy_minutes``, where the administrator has set that."""
    ref, mark = kernel.ref, context.mark(kernel.ref)
    if kernel.waiting_for is not None:
        detail = f"{WAITING[kernel.waiting_for]}; a client is connected."
        return context.keep(
            ref, Reason.BUSY, detail, Signal.EXECUTION_STATE, case=kernel.waiting_for
        )
    running = duration(context.now - (mark.state_since or context.now))
    case, detail = "cell", f"Running a cell, seen busy for {running}."
    if kernel.shell_silent:
        case, detail = (
            "unanswered",
            f"Its shell has not answered for {running}, so it may run a cell.",
        )
    busy = context.keep(ref, Reason.BUSY, detail, Signal.EXECUTION_STATE, case=case)
    return decide_suspect(busy, context, mark.quiet_since, "Busy", apps_of(kernel))


# -- terminals -------------------------------------------------------------------------------


def _decide_terminal(context: Context, terminal: Terminal) -> Decision:
    ref, policy = terminal.ref, context.policy
    if not policy.enabled:
        return keep_disabled(context, ref)
    failed = context.snapshot.unread.get(Snapshot.TERMINALS)
    if failed is not None:
        return keep_unread(context, ref, failed)
    if terminal.unreadable:
        return context.keep(
            ref,
            Reason.UNKNOWN,
            f"This terminal cannot be read: {terminal.unreadable}.",
            case="unreadable",
            error=terminal.unreadable,
        )
    if terminal.running_job:
        running = _decide_running(context, terminal, terminal.running_job)
        # max_busy_minutes must not remove a terminal that keep_terminals keeps even at its prompt.
        if running.due_at is None or not policy.keep_terminals:
            return running
    if policy.keep_terminals:
        detail = "An open terminal is kept by the setting keep_terminals."
        return context.keep(ref, Reason.TERMINAL_OPEN, detail)
    if terminal.in_image:
        return _decide_image_terminal(context, terminal)
    if context.mark(ref).work.result == "working":
        return _decide_working(context, terminal)
    covers = keep_alive_refs(ref, *apps_of(terminal))
    return decide_by_clock(context, ref, clock_of(context, terminal), covers, query_work=True)


def _decide_running(context: Context, terminal: Terminal, command: str) -> Decision:
    """A command in the foreground is work, even without output, until it is suspect.

    A command that shows no sign of work for ``suspect_after_minutes`` probably waits for a person:
    a pager, a Python prompt, a forgotten web server.
    """
    mark = context.mark(terminal.ref)
    detail = f"Running {command}."
    running = context.keep(
        terminal.ref, Reason.RUNNING_JOB, detail, Signal.FOREGROUND_PROCESS, command=command
    )
    silent_since = mark.quiet_since
    if silent_since is not None:
        weak = {
            Signal.OUTPUT: None if terminal.only_shows else mark.weak.get(Signal.OUTPUT),
            # Unknown I/O is no sign here. Otherwise a forgotten ``sudo less`` would seem to work.
            Signal.BACKGROUND_IO: None
            if mark.work.io_unknown
            else mark.weak.get(Signal.BACKGROUND_IO),
        }
        silent_since = with_weak_signs(silent_since, weak, context.policy)
    word = f"Running {command}"
    return decide_suspect(running, context, silent_since, word, apps_of(terminal))


def _decide_image_terminal(context: Context, terminal: Terminal) -> Decision:
    """Keep an image terminal while its app stays: this server cannot observe its processes.

    :func:`~auto_shutdown.core.apps.follow_app` removes the terminal with its app.
    """
    covers = keep_alive_refs(terminal.ref, *apps_of(terminal))
    held = context.ledger.held_until(covers, context.now)
    if held is not None:
        detail = "Kept alive on request, together with the app in which it runs."
        return Decision(terminal.ref, Action.KEEP, Reason.KEPT_ALIVE, detail, None, kept_until=held)
    if terminal.app is None:
        detail = "It is not known in which app it runs, so it is kept."
        return context.keep(terminal.ref, Reason.UNKNOWN, detail, case="no-app")
    detail = "This server cannot see what runs in this terminal, so it stays as long as its app."
    return context.keep(terminal.ref, Reason.IN_USE, detail)

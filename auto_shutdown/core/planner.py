"""Who is idle: :func:`decide`, a pure function from what was seen to one decision per resource.

Each rule asks in this order: is the extension enabled, is enough known, is the resource active by
itself, and last the clock (``by_the_clock`` in due.py, which also honours keep-alives and notices).
The rule for kernels is ``_decide_kernel``, for terminals ``_decide_terminal``, for apps
``decide_app`` in apps.py. Vetoes, and what runs in an app, can then still change a decision.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .apps import DEAD, Tenant, decide_app, following, is_coming_up, is_stuck
from .due import (
    Context,
    by_the_clock,
    clock_of,
    disabled,
    held_by,
    refs,
    unless_vetoed,
    unread,
)
from .ledger import Ledger
from .marks import BUSY, COMING_UP
from .model import App, Kernel, Ref, Snapshot, Terminal
from .policy import Policy
from .signals import Signal
from .suspect import suspect_or
from .verdict import Action, Decision, Plan, Reason
from .words import duration
from .worth_stopping import keep_apps, keep_tenants

#: The state in which the clock decides.
QUIET = frozenset({"idle"})

KNOWN = COMING_UP | DEAD | QUIET | {BUSY}

WAITING = {"input": "Waiting for an answer to input()", "debugger": "Stopped in the debugger"}


def decide(snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime) -> Plan:
    """Exactly one decision, with one reason, for every resource of ``snapshot``, in its order."""
    context = Context(snapshot, ledger, policy, now)
    if policy.unread is not None:
        # What people want is not known, and might be that nothing is removed.
        return Plan(tuple(unread(context, r.ref, policy.unread) for r in snapshot.resources))
    made: dict[Ref, Decision] = {}
    for kernel in snapshot.kernels:
        made[kernel.ref] = unless_vetoed(context, _decide_kernel(context, kernel))
    for terminal in snapshot.terminals:
        made[terminal.ref] = unless_vetoed(context, _decide_terminal(context, terminal))
    inside = _what_runs_where(snapshot, ledger)
    for app in snapshot.apps:
        tenants = inside.get(app.id, []) + inside.get(None, [])
        made[app.ref] = unless_vetoed(context, decide_app(context, app, tenants, made))
    keep_apps(context, made)
    for app in snapshot.apps:
        for tenant in inside.get(app.id, []) + inside.get(None, []):
            made[tenant.ref] = following(tenant, made[tenant.ref], made[app.ref])
    keep_tenants(context, made)
    return Plan(
        tuple(
            held_by(context, made[r.ref], None if isinstance(r, App) else r.app)
            for r in snapshot.resources
        )
    )


def _what_runs_where(snapshot: Snapshot, ledger: Ledger) -> dict[str | None, list[Tenant]]:
    """Kernels and terminals by the id of their app. Under None: the kernels that may be in any.

    A kernel that cannot be read is where it was last seen; never seen, it may be anywhere.
    """
    inside: dict[str | None, list[Tenant]] = {}
    tenants: list[Tenant] = [*snapshot.kernels, *snapshot.terminals]
    for resource in tenants:
        app = resource.app
        if isinstance(resource, Kernel) and resource.unreadable:
            mark = ledger.marks.get(resource.ref)
            app = mark.app if mark is not None else None
        elif app is None:
            continue  # it runs in the server's own host
        inside.setdefault(app, []).append(resource)
    return inside


# -- kernels ---------------------------------------------------------------------------------


def _decide_kernel(context: Context, kernel: Kernel) -> Decision:
    ref, policy = kernel.ref, context.policy
    if not policy.enabled:
        return disabled(context, ref)
    failed = context.snapshot.unread.get(Snapshot.KERNELS)
    if failed is not None:
        return unread(context, ref, failed)
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
    if is_coming_up(context, kernel):
        detail = f"The kernel is {kernel.state}; that may take {duration(policy.startup_grace)}."
        return context.keep(
            ref, Reason.GRACE, detail, Signal.EXECUTION_STATE, case="starting", state=kernel.state
        )
    if kernel.state not in KNOWN:
        detail = f"The kernel reports the state '{kernel.state}', which is not known here."
        return context.keep(
            ref, Reason.UNKNOWN, detail, Signal.EXECUTION_STATE, case="state", state=kernel.state
        )
    if mark.work.found == "working":
        return _at_work(context, ref, mark.work.detail)
    clock = clock_of(context, kernel)
    if kernel.waiting_for is not None:
        word = f"{WAITING[kernel.waiting_for]}, and nobody connected, for"
        clock = replace(clock, word=word, case=kernel.waiting_for)
    # What is stuck cannot answer, and computes nothing.
    ask = not is_stuck(context, kernel)
    return by_the_clock(context, ref, clock, refs(ref, kernel.app), ask=ask)


def _at_work(context: Context, ref: Ref, work: str) -> Decision:
    detail = f"Something works in the background: {work}."
    return context.keep(ref, Reason.BACKGROUND_WORK, detail, Signal.BACKGROUND_WORK, work=work)


def _decide_busy(context: Context, kernel: Kernel) -> Decision:
    """Busy is never idle. One that waits, or is silent and uses no processor, is told so."""
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
    return suspect_or(busy, context, mark.quiet_since, "Busy", kernel.app)


# -- terminals -------------------------------------------------------------------------------


def _decide_terminal(context: Context, terminal: Terminal) -> Decision:
    ref, policy = terminal.ref, context.policy
    if not policy.enabled:
        return disabled(context, ref)
    failed = context.snapshot.unread.get(Snapshot.TERMINALS)
    if failed is not None:
        return unread(context, ref, failed)
    if terminal.unreadable:
        return context.keep(
            ref,
            Reason.UNKNOWN,
            f"This terminal cannot be read: {terminal.unreadable}.",
            case="unreadable",
            error=terminal.unreadable,
        )
    if terminal.running_job:
        return _decide_running(context, terminal, terminal.running_job)
    if policy.keep_terminals:
        detail = "An open terminal is kept by the setting keep_terminals."
        return context.keep(ref, Reason.TERMINAL_OPEN, detail)
    if terminal.in_image:
        return _decide_image_terminal(context, terminal)
    work = context.mark(ref).work
    if work.found == "working":
        return _at_work(context, ref, work.detail)
    covers = refs(ref, terminal.app)
    return by_the_clock(context, ref, clock_of(context, terminal), covers, ask=True)


def _decide_running(context: Context, terminal: Terminal, command: str) -> Decision:
    """A command in the foreground is work, silent or not, until it shows no sign of work for so
    long that it rather waits for a person (a pager, a Python prompt, a forgotten web server)."""
    mark = context.mark(terminal.ref)
    detail = f"Running {command}."
    running = context.keep(
        terminal.ref, Reason.RUNNING_JOB, detail, Signal.FOREGROUND_PROCESS, command=command
    )
    silent_since = mark.quiet_since
    if silent_since is not None and not terminal.only_shows:
        # Some programs redraw for ever, so output counts for only so long.
        printed_at = mark.weak.get(Signal.OUTPUT, silent_since)
        silent_since = max(silent_since, min(printed_at, silent_since + context.policy.output_only))
    word = f"Running {command}"
    return suspect_or(running, context, silent_since, word, terminal.app)


def _decide_image_terminal(context: Context, terminal: Terminal) -> Decision:
    """It runs in another container and tells nothing: it lives and goes with its app
    (``following`` gives the second half)."""
    held = context.ledger.held_until(refs(terminal.ref, terminal.app), context.now)
    if held is not None:
        detail = "Kept alive on request; so is the app that it runs in."
        return Decision(terminal.ref, Action.KEEP, Reason.KEPT_ALIVE, detail, None, kept_until=held)
    if terminal.app is None:
        detail = "It runs in an app that cannot be told from its name; it is left alone."
        return context.keep(terminal.ref, Reason.UNKNOWN, detail, case="no-app")
    detail = "What runs in this terminal cannot be seen from here; it stays while its app does."
    return context.keep(terminal.ref, Reason.IN_USE, detail)

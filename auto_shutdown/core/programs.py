"""Decide whether each program in the server's own app keeps that app, and describe why.

These are the programs that run in no kernel or terminal of this server
(:class:`~auto_shutdown.core.background.Program`).
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from .decision import Reason
from .formatting import duration
from .ledger import Ledger
from .model import Program, Snapshot
from .policy import Policy
from .signals import Signal
from .suspect import IO_UNKNOWN, last_sign_of_work


class ProgramState(NamedTuple):
    """Whether a program keeps the server's own app (``holds``), and why. ``quiet_since``: since
    when it has shown no sign of work."""

    holds: bool
    reason: Reason
    detail: str
    quiet_since: datetime


def describe_all(
    snapshot: Snapshot, ledger: Ledger, policy: Policy, now: datetime
) -> list[tuple[Program, ProgramState]]:
    """The programs of ``snapshot``, each with whether it keeps the server's own app."""
    own = next((ledger.marks.get(app.ref) for app in snapshot.apps if app.own), None)
    active_at = own.active_at if own is not None else now
    return [(each, describe(each, policy, now, active_at)) for each in snapshot.programs]


def describe(
    program: Program, policy: Policy, now: datetime, app_active_at: datetime
) -> ProgramState:
    """The reason for which ``program`` keeps the server's own app, or does not keep it.
    ``app_active_at`` is the time of the latest strong evidence of activity of that app."""
    quiet_since = last_sign_of_work(program, policy, now)
    quiet = now - quiet_since
    if program.kind == "kernel" and program.state == "idle":
        return ProgramState(False, Reason.IDLE, "Its shell answers: it runs no cell.", quiet_since)
    if program.kind == "kernel" and program.state == "running":
        detail = (
            "Its shell is asked before the app is removed, and keeps the app if it runs a cell."
        )
        return ProgramState(True, Reason.UNKNOWN, detail, quiet_since)
    if program.state == "unanswered":
        # Each query of the app records a sign of life of such a kernel, which is weak evidence.
        counts_until = app_active_at + policy.caps[Signal.BACKGROUND_IO]
        left = duration(counts_until - now)
        counts = f"counts as activity of the app for {left} more (suspect_after_minutes)"
        if counts_until <= now:
            counts = "no longer counts as activity of the app (suspect_after_minutes)"
        detail = f"Its shell cannot be asked whether it runs a cell. It {counts}."
        return ProgramState(counts_until > now, Reason.UNKNOWN, detail, quiet_since)
    work = "It runs a cell" if program.kind == "kernel" else "It runs in a terminal"
    if quiet < policy.suspect_window:
        return ProgramState(True, Reason.BACKGROUND_WORK, f"{work}.", quiet_since)
    shown = f"{work}, but has shown no sign of work for {duration(quiet)}"
    if program.io_unknown:
        shown += f". {IO_UNKNOWN}"
    if policy.max_busy is None:
        detail = f"{shown}. It keeps the app; the administrator's max_busy_minutes could end that."
        return ProgramState(True, Reason.SUSPECT_BUSY, detail, quiet_since)
    if quiet < policy.max_busy:
        left = duration(policy.max_busy - quiet)
        detail = f"{shown}. It keeps the app for {left} more (max_busy_minutes)."
        return ProgramState(True, Reason.SUSPECT_BUSY, detail, quiet_since)
    detail = f"{shown}. It no longer keeps the app (max_busy_minutes)."
    return ProgramState(False, Reason.MAX_BUSY, detail, quiet_since)

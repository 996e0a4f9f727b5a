"""Decide whether each program in the server's own app keeps that app, and describe why.

These are the programs that run in no kernel or terminal of this server
(:class:`~auto_shutdown.core.background.Program`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from .decision import Reason
from .ledger import Ledger
from .model import Program, Snapshot
from .policy import Policy
from .signals import Signal
from .suspect import last_sign_of_work
from .translatable import Text, joined, sentence


class ProgramState(NamedTuple):
    """Whether a program keeps the server's own app (``holds``), and why. ``quiet_since``: since
    when it has shown no sign of work."""

    holds: bool
    reason: Reason
    detail: Text
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
    is_kernel = program.kind == "kernel"
    if is_kernel and program.state == "idle":
        idle = sentence("Its shell answers: it runs no cell.")
        return ProgramState(False, Reason.IDLE, idle, quiet_since)
    if is_kernel and program.state == "running":
        asked_later = sentence(
            "Its shell is asked before the app is removed, and keeps the app if it runs a cell."
        )
        return ProgramState(True, Reason.UNKNOWN, asked_later, quiet_since)
    if program.state == "unanswered":
        # Each query of the app records a sign of life of such a kernel, which is weak evidence.
        counts_until = app_active_at + policy.caps[Signal.BACKGROUND_IO]
        detail = _of_unanswered(counts_until - now)
        return ProgramState(counts_until > now, Reason.UNKNOWN, detail, quiet_since)
    if quiet < policy.suspect_window:
        works = sentence("It runs a cell.") if is_kernel else sentence("It runs in a terminal.")
        return ProgramState(True, Reason.BACKGROUND_WORK, works, quiet_since)
    shown = _without_sign_of_work(program, quiet)
    if policy.max_busy is None:
        keeps = sentence("It keeps the app; the administrator's max_busy_minutes could end that.")
        return ProgramState(True, Reason.SUSPECT_BUSY, joined(shown, keeps), quiet_since)
    if quiet < policy.max_busy:
        left = policy.max_busy - quiet
        keeps = sentence("It keeps the app for %1 more (max_busy_minutes).", left)
        return ProgramState(True, Reason.SUSPECT_BUSY, joined(shown, keeps), quiet_since)
    ends = sentence("It no longer keeps the app (max_busy_minutes).")
    return ProgramState(False, Reason.MAX_BUSY, joined(shown, ends), quiet_since)


def _of_unanswered(left: timedelta) -> Text:
    """The sentences about a kernel whose shell does not answer, and which counts as activity for
    the time ``left``."""
    if left > timedelta(0):
        counts = sentence(
            "It counts as activity of the app for %1 more (suspect_after_minutes).", left
        )
    else:
        counts = sentence("It no longer counts as activity of the app (suspect_after_minutes).")
    return joined(sentence("Its shell cannot be asked whether it runs a cell."), counts)


def _without_sign_of_work(program: Program, quiet: timedelta) -> Text:
    """The sentences about a program that has shown no sign of work for the time ``quiet``."""
    if program.kind == "kernel":
        shown = sentence("It runs a cell, but has shown no sign of work for %1.", quiet)
    else:
        shown = sentence("It runs in a terminal, but has shown no sign of work for %1.", quiet)
    if not program.io_unknown:
        return shown
    unknown = sentence(
        "Whether it reads or writes data cannot be seen, because it runs as another user."
    )
    return joined(shown, unknown)

"""Describe the programs in the server's own app that are no kernels or terminals of this server."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from .model import Program
from .policy import Policy
from .suspect import last_sign_of_work
from .verdict import Reason
from .words import duration


class ProgramState(NamedTuple):
    """How a program bears on the server's own app. ``holds``: it keeps the app. ``quiet_since``:
    since when it has shown no sign of work."""

    holds: bool
    reason: Reason
    detail: str
    quiet_since: datetime


def describe(program: Program, policy: Policy, now: datetime) -> ProgramState:
    """The reason for which ``program`` keeps the server's own app, or does not keep it."""
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
        detail = "Its shell cannot be asked whether it runs a cell."
        return ProgramState(True, Reason.UNKNOWN, detail, quiet_since)
    work = "It runs a cell" if program.kind == "kernel" else "It runs in a terminal"
    if quiet < policy.suspect_window:
        return ProgramState(True, Reason.BACKGROUND_WORK, f"{work}.", quiet_since)
    shown = f"{work}, but has shown no sign of work for {duration(quiet)}"
    if policy.max_busy is None:
        detail = f"{shown}. It keeps the app; the administrator's max_busy_minutes could end that."
        return ProgramState(True, Reason.SUSPECT_BUSY, detail, quiet_since)
    if quiet < policy.max_busy:
        left = duration(policy.max_busy - quiet)
        detail = f"{shown}. It keeps the app for {left} more (max_busy_minutes)."
        return ProgramState(True, Reason.SUSPECT_BUSY, detail, quiet_since)
    detail = f"{shown}. It no longer keeps the app (max_busy_minutes)."
    return ProgramState(False, Reason.MAX_BUSY, detail, quiet_since)

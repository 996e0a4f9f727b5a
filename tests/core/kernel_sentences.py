"""The sentence and the signal of each row of the planner's tables of kernels."""

from __future__ import annotations

from typing import Any

from planner_tables import KERNEL_ROWS, REMOVED_KERNEL_ROWS

#: Each names a row of the planner's tables.
KERNEL_SENTENCES: list[tuple[dict[str, Any], str, str | None, str]] = [
    (KERNEL_ROWS, "disabled", None, "The setting enabled is off: nothing is removed."),
    (
        KERNEL_ROWS,
        "its manager cannot be read",
        None,
        "Cannot read the kernels (Broken); nothing that depends on them is removed.",
    ),
    (KERNEL_ROWS, "this kernel cannot be read", None, "This kernel cannot be read: TraitError."),
    (
        KERNEL_ROWS,
        "a state never heard of",
        "execution-state",
        "The kernel reports the state 'dreaming', which this extension does not know.",
    ),
    (
        KERNEL_ROWS,
        "busy, whatever its stamp",
        "execution-state",
        "Running a cell, seen busy for 0 s.",
    ),
    (KERNEL_ROWS, "starting", "execution-state", "The kernel is starting; that may take 15 m."),
    (KERNEL_ROWS, "restarting", "execution-state", "The kernel is restarting; that may take 15 m."),
    (
        KERNEL_ROWS,
        "used an hour ago",
        "last-activity",
        "Idle 1 h of 2 h. Last activity: the time that Jupyter reports.",
    ),
    (
        KERNEL_ROWS,
        "a stamp of tomorrow",
        "last-activity",
        "Idle 0 s of 2 h. Last activity: the time that Jupyter reports.",
    ),
    (
        KERNEL_ROWS,
        "connected and protected",
        "connections",
        "A client is connected, and the setting protect_connected keeps it.",
    ),
    (
        KERNEL_ROWS,
        "its own longer limit",
        "last-activity",
        "Idle 3 h of 8 h. Last activity: the time that Jupyter reports.",
    ),
    (KERNEL_ROWS, "kept alive", "last-activity", "Kept alive on request for 1 h more."),
    (
        KERNEL_ROWS,
        "busy, silent and still, for seven hours",
        "execution-state",
        "Running a cell, seen busy for 7 h.",
    ),
    (
        KERNEL_ROWS,
        "busy, silent and still, for eight",
        "execution-state",
        "Busy, but silent and at under 1% of a core for 8 h. It is kept; the administrator's max_busy_minutes could end it.",  # noqa: E501
    ),
    (
        KERNEL_ROWS,
        "busy and silent, its processor time unknown",
        "execution-state",
        "Running a cell, seen busy for 9 h.",
    ),
    (
        KERNEL_ROWS,
        "busy and still for less than max_busy_minutes",
        "execution-state",
        "Running a cell, seen busy for 2 h.",
    ),
    (
        KERNEL_ROWS,
        "waits in input() with a client",
        "execution-state",
        "Waiting for an answer to input(); a client is connected.",
    ),
    (
        KERNEL_ROWS,
        "stopped in the debugger with a client",
        "execution-state",
        "Stopped in the debugger; a client is connected.",
    ),
    (
        KERNEL_ROWS,
        "a thread at work",
        "background-work",
        "Something works in the background: 99 % of a core.",
    ),
    (
        KERNEL_ROWS,
        "not yet asked for work",
        "last-activity",
        "Idle 3 h of 2 h; it is being asked whether anything works in the background.",
    ),
    (
        KERNEL_ROWS,
        "printing by itself",
        "output",
        "Idle 10 m of 2 h. Last activity: output without a request.",
    ),
    (
        KERNEL_ROWS,
        "a person is present in JupyterLab",
        "presence",
        "Idle 10 m of 2 h. Last activity: a person used the keyboard or mouse.",
    ),
    (
        KERNEL_ROWS,
        "a request ten minutes ago",
        "request",
        "Idle 10 m of 2 h. Last activity: a request to a kernel.",
    ),
    (KERNEL_ROWS, "a hook vetoes", "last-activity", "Kept by backup: the nightly copy runs."),
    (
        KERNEL_ROWS,
        "the server has just started",
        "last-activity",
        "Idle 3 h of 2 h; it is removed after the notice or grace period, in 1 h.",
    ),
    (
        KERNEL_ROWS,
        "removing it failed",
        "last-activity",
        "Idle 3 h of 2 h; removing it failed (ThrottlingException), next try in 1 h.",
    ),
    (
        KERNEL_ROWS,
        "no notice was given yet",
        "last-activity",
        "Idle 3 h of 2 h; it is removed after the notice or grace period, in 5 m.",
    ),
    (
        REMOVED_KERNEL_ROWS,
        "waits in input() without a client",
        "last-activity",
        "Waiting for an answer to input() without a connected client for 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "stopped in the debugger without a client",
        "last-activity",
        "Stopped in the debugger without a connected client for 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "a kernel that cannot be asked",
        "last-activity",
        "Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports. Background work could not be ruled out: it does not answer.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "printing for longer than output counts",
        "output",
        "Idle 2 h 30 m of 2 h (idle_timeout_minutes). Last activity: output without a request.",
    ),
    (
        REMOVED_KERNEL_ROWS,
        "presence for longer than presence counts",
        "presence",
        "Idle 2 h 30 m of 2 h (idle_timeout_minutes). Last activity: a person used the keyboard or mouse.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "an old request, and a new stamp that a reconnect moved",
        "last-activity",
        "Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports.",
    ),
    (
        REMOVED_KERNEL_ROWS,
        "its kernelspec's limit is short",
        "last-activity",
        "Idle 3 h of 1 h (cull_idle_timeout). Last activity: the time that Jupyter reports.",
    ),
    (
        KERNEL_ROWS,
        "its gateway refuses, for seven hours",
        "last-activity",
        "This kernel cannot be asked whether a cell runs: HTTP 404.",
    ),
    (
        KERNEL_ROWS,
        "its gateway refuses, for eight hours",
        "last-activity",
        "It cannot be asked whether a cell runs (HTTP 404), and has shown no sign of work for 8 h. It is kept; the administrator's max_busy_minutes could end it.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "its gateway refuses for as long as max_busy_minutes",
        "last-activity",
        "It cannot be asked whether a cell runs (HTTP 404), and has shown no sign of work, 9 h of 9 h (max_busy_minutes). Last activity: the time that Jupyter reports.",  # noqa: E501
    ),
    (
        REMOVED_KERNEL_ROWS,
        "busy and still for as long as max_busy_minutes",
        "execution-state",
        "Busy, but silent and at under 1% of a core, 3 h of 3 h (max_busy_minutes). Last activity: a cell ran.",  # noqa: E501
    ),
    (
        KERNEL_ROWS,
        "an idle cluster for two hours",
        "background-work",
        "Its processes used 11% of a core, as an idle cluster does, and showed no other sign of work for 2 h. It is kept; the administrator's max_busy_minutes could end it.",  # noqa: E501
    ),
]

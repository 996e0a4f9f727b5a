"""The sentence and the signal of each row of the planner's tables."""

from __future__ import annotations

from typing import Any

from app_tables import APP_ROWS
from planner_tables import KERNEL_ROWS, REMOVED_KERNEL_ROWS
from terminal_tables import REMOVED_TERMINAL_ROWS, TERMINAL_ROWS

#: Each names a row of the planner's tables.
SENTENCES: list[tuple[dict[str, Any], str, str | None, str]] = [
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
        TERMINAL_ROWS,
        "unread",
        None,
        "Cannot read the terminals (Broken); nothing that depends on them is removed.",
    ),
    (TERMINAL_ROWS, "unreadable", None, "This terminal cannot be read: bad."),
    (
        KERNEL_ROWS,
        "an idle cluster for two hours",
        "background-work",
        "Its processes used 11% of a core, as an idle cluster does, and showed no other sign of work for 2 h. It is kept; the administrator's max_busy_minutes could end it.",  # noqa: E501
    ),
    (
        TERMINAL_ROWS,
        "a silent command of another user, for eight",
        "foreground-process",
        "Running python, but silent and at under 1% of a core for 8 h. It is kept; the administrator's max_busy_minutes could end it. Whether it reads or writes data cannot be seen, because it runs as another user.",  # noqa: E501
    ),
    (
        TERMINAL_ROWS,
        "a silent command of another user, before max_busy_minutes",
        "foreground-process",
        "Running python, but silent and at under 1% of a core, 8 h of 9 h. Last activity: a command in a terminal. Whether it reads or writes data cannot be seen, because it runs as another user.",  # noqa: E501
    ),
    (
        REMOVED_TERMINAL_ROWS,
        "a silent job of another user beside an idle prompt",
        "last-activity",
        "Idle 3 h of 2 h (idle_timeout_minutes). Last activity: the time that Jupyter reports. Background work could not be ruled out: a process of another user may have read or written data.",  # noqa: E501
    ),
    (TERMINAL_ROWS, "a job in the foreground", "foreground-process", "Running python."),
    (
        TERMINAL_ROWS,
        "kept by setting",
        None,
        "An open terminal is kept by the setting keep_terminals.",
    ),
    (
        APP_ROWS,
        "its list cannot be read",
        None,
        "Cannot read the apps (Broken); nothing that depends on them is removed.",
    ),
    (
        APP_ROWS,
        "the sessions cannot be read",
        None,
        "Cannot read the sessions (Broken); nothing that depends on them is removed.",
    ),
    (
        APP_ROWS,
        "an unreadable kernel in it",
        None,
        "What may run in it cannot be read or understood.",
    ),
    (
        APP_ROWS,
        "pending",
        None,
        "SageMaker reports it Pending; only an app in service can be idle.",
    ),
    (
        APP_ROWS,
        "deleting",
        None,
        "SageMaker reports it Deleting; only an app in service can be idle.",
    ),
    (
        APP_ROWS,
        "deleted",
        None,
        "SageMaker reports it Deleted; only an app in service can be idle.",
    ),
    (APP_ROWS, "failed", None, "SageMaker reports it Failed; only an app in service can be idle."),
    (
        APP_ROWS,
        "a status never heard of",
        None,
        "SageMaker reports it Napping; only an app in service can be idle.",
    ),
    (APP_ROWS, "a busy kernel", "execution-state", "eval.ipynb is kept (busy)."),
    (APP_ROWS, "a kernel kept alive", "last-activity", "eval.ipynb is kept (kept-alive)."),
    (
        APP_ROWS,
        "a kernel with a longer limit",
        "last-activity",
        "train.ipynb is kept (recent-activity).",
    ),
    (
        APP_ROWS,
        "a kernel that has just arrived",
        "arrival",
        "Idle 0 s of 2 h. Last activity: a kernel or terminal appeared in it.",
    ),
    (APP_ROWS, "a starting kernel", "execution-state", "eval.ipynb is kept (grace)."),
    (
        APP_ROWS,
        "terminals kept",
        None,
        "Terminal arn:aws:sagemaker:us-west-2:236514542706:image/pytorch-1.8__1__ml.g5.xlarge is kept.",  # noqa: E501
    ),
    (
        APP_ROWS,
        "created again",
        "in-service",
        "Idle 0 s of 2 h. Last activity: it came in service.",
    ),
    (
        APP_ROWS,
        "in service for a moment only",
        "last-activity",
        "Idle 3 h of 1 h; it is removed after the notice or grace period, in 1 h.",
    ),
]

"""The sentence and the signal of each row of the planner's tables."""

from __future__ import annotations

from typing import Any

from app_tables import APP_ROWS
from kernel_sentences import KERNEL_SENTENCES
from terminal_tables import REMOVED_TERMINAL_ROWS, TERMINAL_ROWS

#: Each names a row of the planner's tables.
SENTENCES: list[tuple[dict[str, Any], str, str | None, str]] = [
    *KERNEL_SENTENCES,
    (
        TERMINAL_ROWS,
        "unread",
        None,
        "Cannot read the terminals (Broken); nothing that depends on them is removed.",
    ),
    (TERMINAL_ROWS, "unreadable", None, "This terminal cannot be read: bad."),
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

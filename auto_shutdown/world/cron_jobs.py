"""Jobs that a cron daemon of this host started.

Cron gives a job neither a terminal nor the environment of one, so nothing says which kernel or
terminal its author used. A job counts for the server's own app. The daemon never counts, and
neither does what it starts for a moment: tools that stop idle servers run from cron, too, every few
minutes. So a job counts once it has run for a minute, and until then nobody knows what it is
(docs/decisions/006).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from . import proc_files, processes
from .processes import Process, Table

#: The names of cron daemons, and of the processes that they fork for each job (Debian's cron,
#: cronie, busybox, supercronic).
DAEMONS = frozenset({"cron", "crond", "supercronic"})

#: A job counts when it has run for this time (seconds). Tools that check for idle servers end
#: earlier.
LONG_SECONDS = 60.0

#: A process that the daemon started within this time after its own start (seconds) is a service,
#: for example a monitoring agent: ``@reboot`` of crontab(5).
REBOOT_SECONDS = 5.0


@dataclass(frozen=True)
class CronJobs:
    """The processes of cron, as process ids. ``everything`` are the daemons and all their
    descendants, ``jobs`` the descendants that may be work, and ``long`` those of ``jobs`` that
    belong to a job which has run long enough to count."""

    everything: frozenset[int] = frozenset()
    jobs: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()


def find(
    table: Table,
    age_of: Callable[[Process], float | None] = proc_files.age_of,
    is_of_another_user: Callable[[int], bool] = proc_files.is_of_another_user,
) -> CronJobs:
    """The processes of all cron daemons of ``table``. A job of another user is none of ``jobs``:
    the system's own maintenance runs as root. Raises OSError."""
    forked = {process.pid for process in table.values() if process.command in DAEMONS}
    if not forked:
        return CronJobs()
    children = processes.children_of(table)
    leaders = [
        process
        for process in table.values()
        if process.parent in forked
        and process.pid not in forked
        and not process.has_ended
        and not _is_service(table, process, forked)
        and not is_of_another_user(process.pid)
    ]
    long = [leader for leader in leaders if (age_of(leader) or 0.0) >= LONG_SECONDS]

    def descendants(roots: Iterable[int]) -> frozenset[int]:
        return frozenset(process.pid for process in processes.tree(table, roots, children))

    return CronJobs(
        descendants(forked),
        descendants(leader.pid for leader in leaders),
        descendants(leader.pid for leader in long),
    )


def _is_service(table: Table, leader: Process, forked: set[int]) -> bool:
    """Whether the daemon started the job ``leader`` when it started itself."""
    daemon = table[leader.parent]
    while daemon.parent in forked and daemon.parent in table:
        daemon = table[daemon.parent]
    return (leader.started - daemon.started) / proc_files.TICKS < REBOOT_SECONDS

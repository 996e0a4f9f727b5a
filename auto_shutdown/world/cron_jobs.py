"""Jobs that a cron daemon of this host started.

Cron gives a job neither a terminal nor the environment of a terminal, so nothing shows in which
kernel or terminal a user set the job up. So a job counts as work of the server's own app. The
daemon itself never counts. Short jobs do not count either, because tools that stop idle servers
also run from cron, every few minutes. A job counts once it has run for a minute. Before that, it is
unknown whether the job is work (docs/decisions/006).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
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

#: Jobs that have just started delay a removal for this time at most (seconds). A tool that runs for
#: most of each minute would delay it for ever.
LONGEST_DELAY = 300.0


@dataclass(frozen=True)
class CronJobs:
    """The processes of cron, as process ids. ``everything`` are the daemons and all their
    descendants, ``jobs`` the descendants that may be work, and ``long`` those of ``jobs`` that
    belong to a job which has run long enough to count, or whose age is unknown."""

    everything: frozenset[int] = frozenset()
    jobs: frozenset[int] = frozenset()
    long: frozenset[int] = frozenset()

    @property
    def has_short_job(self) -> bool:
        """Whether a job has not run long enough to show whether it is work."""
        return bool(self.jobs - self.long)


class StartDelay:
    """The delay of a removal by jobs that have just started. The delay is limited, because cron may
    start a short job every minute. The limit does not harm a long job, which counts as work after a
    minute. The time of the limit starts anew after a call that found no short job, and after
    ``LONGEST_DELAY`` without a call."""

    def __init__(self) -> None:
        self._since = 0.0
        self._seen_at: float | None = None

    def is_due_to(self, jobs: CronJobs, now: float) -> bool:
        """Whether ``jobs`` delay a removal at the monotonic time ``now`` (seconds)."""
        if not jobs.has_short_job:
            self._seen_at = None
            return False
        if self._seen_at is None or now - self._seen_at >= LONGEST_DELAY:
            self._since = now
        self._seen_at = now
        return now - self._since < LONGEST_DELAY


def find(
    table: Table,
    servers: Collection[int] = (),
    roots: Iterable[int] = (),
    age_of: Callable[[Process], float | None] = proc_files.age_of,
    is_of_another_user: Callable[[int], bool] = proc_files.is_of_another_user,
) -> CronJobs:
    """The processes of all cron daemons of ``table``. ``servers`` are the processes of Jupyter
    servers: a server that cron started (``@reboot``) is no job, and neither are its kernels and
    terminals. ``roots`` are kernels, terminals and other servers: a program named ``cron`` below
    one of them belongs to that resource. A job of another user is none of ``jobs``: the system's
    own maintenance runs as root. Raises OSError."""
    forked = {process.pid for process in table.values() if process.command in DAEMONS}
    if not forked:
        return CronJobs()
    children = processes.children_of(table)
    forked -= {process.pid for process in processes.tree(table, roots, children)}
    above_servers = {pid for server in servers for pid in processes.ancestors(table, server)}
    started = [
        process
        for process in table.values()
        if process.parent in forked
        and process.pid not in forked | above_servers
        and not process.has_ended
    ]
    leaders = [
        process
        for process in started
        if not _is_service(table, process, forked) and not is_of_another_user(process.pid)
    ]
    ages = {leader.pid: age_of(leader) for leader in leaders}
    long = [pid for pid, age in ages.items() if age is None or age >= LONG_SECONDS]

    def descendants(roots: Iterable[int]) -> frozenset[int]:
        return frozenset(process.pid for process in processes.tree(table, roots, children))

    return CronJobs(
        descendants(process.pid for process in started) | forked,
        descendants(ages),
        descendants(long),
    )


def _is_service(table: Table, leader: Process, forked: set[int]) -> bool:
    """Whether the daemon started the job ``leader`` when it started itself."""
    daemon = table[leader.parent]
    while daemon.parent in forked and daemon.parent in table:
        daemon = table[daemon.parent]
    return (leader.started - daemon.started) / proc_files.TICKS < REBOOT_SECONDS

"""Work in the background: what neither a kernel's state nor anything printed shows.

Judged over a window, by processor time: of the process tree of a local kernel or terminal, of a
kernel in another container by asking it, of an app by what its kernels say of their host.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ..core.model import Answer, App, Kernel, Kind, Ref, Snapshot, Terminal
from . import processes
from .kernel_usage import Usage
from .kernels import KernelSource
from .processes import Process, Table
from .terminals import SHELLS, TerminalSource

#: From here on it is work, in cores: an idle Python kernel uses under 0.001, one thread at 5 % of a
#: core 0.047 (measured: docs/decisions/006).
WORK = 0.03

#: The same for a whole host, where agents and drivers have ticks of their own.
HOST_WORK = 0.25

#: The same for all processes of the container that this server runs in, itself left out.
OWN_WORK = 0.10

#: A sample older than this begins no window: an average over a longer time would hide the end.
OLDEST = 15 * 60.0

#: So many kernels are asked at once.
AT_ONCE = 8

Sample = Mapping[Hashable, float]


@dataclass
class Gauge:
    """Processor time of one thing over a sliding window. Times in seconds, monotonic."""

    samples: deque[tuple[float, Sample]] = field(default_factory=deque)

    def add(self, at: float, sample: Sample, window: float) -> float | None:
        """Take up a sample; cores used over the last ``window`` seconds (or somewhat more), None
        while it has not been watched for so long."""
        while self.samples and at - self.samples[0][0] > max(OLDEST, 2 * window):
            self.samples.popleft()
        # A timer may fire a moment early; for that no other window need pass.
        while len(self.samples) > 1 and at - self.samples[1][0] >= window * 0.95:
            self.samples.popleft()
        self.samples.append((at, sample))
        begin, base = self.samples[0]
        if at - begin < window * 0.95:
            return None
        return processes.used_between(base, sample) / (at - begin)


class WorkSource:
    """Asks for work in the background. ``server_url`` is what the server gives its terminals as
    ``JUPYTER_SERVER_URL``: by that a job is known that has left its terminal."""

    def __init__(
        self,
        kernels: KernelSource,
        terminals: TerminalSource,
        server_url: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._kernels = kernels
        self._terminals = terminals
        self._mark = f"JUPYTER_SERVER_URL={server_url}" if server_url else ""
        self._gauges: dict[Ref, Gauge] = {}
        self._spent: dict[Ref, tuple[float, float]] = {}

    async def ask(
        self, questions: Mapping[Ref, timedelta], snapshot: Snapshot
    ) -> tuple[Answer, ...]:
        """One answer for each question, or more; never raises for one that fails."""
        self._forget(snapshot)
        found = {ref: snapshot.find(ref) for ref in questions}
        pids = {
            ref: self._kernels.pid_of(ref.id)
            if ref.kind is Kind.KERNEL
            else self._terminals.pid_of(ref.id)
            for ref, resource in found.items()
            if isinstance(resource, (Kernel, Terminal))
        }
        table: Table = {}
        if any(pids.values()) or any(isinstance(r, App) and r.own for r in found.values()):
            table = await asyncio.to_thread(processes.read_table)
        detached: list[Process] = []
        if any(isinstance(found[ref], Terminal) and pid for ref, pid in pids.items()):
            detached = await asyncio.to_thread(self._detached, table)
        answers: list[Answer] = []
        to_ask: dict[str, list[tuple[Ref, float]]] = {}
        for ref, window in questions.items():
            seconds, resource = window.total_seconds(), found[ref]
            if isinstance(resource, App) and not resource.own:
                # Its kernels know the processor of their host; one of them is enough.
                inside = [k.id for k in snapshot.kernels if k.app == resource.id]
                reachable = next((i for i in inside if self._kernels.channels_of(i)), None)
                if reachable is None:
                    answers.append(_untold(ref, "no kernel in it can be asked"))
                else:
                    to_ask.setdefault(reachable, []).append((ref, seconds))
            elif isinstance(resource, App):
                answers.append(self._judge(ref, _others(table), seconds, OWN_WORK, "processes"))
            elif pids.get(ref) and table:
                members = processes.tree(table, [int(pids[ref] or 0)])
                beside = detached if isinstance(resource, Terminal) else []
                answers.append(self._judge_tree(ref, members, beside, seconds))
            elif isinstance(resource, Kernel) and self._kernels.channels_of(ref.id):
                to_ask.setdefault(ref.id, []).append((ref, seconds))
            elif resource is not None:
                answers.append(_untold(ref, "its processes cannot be seen from here"))
        answers += await self._ask_kernels(to_ask)
        return tuple(answers)

    def _forget(self, snapshot: Snapshot) -> None:
        there = {resource.ref for resource in snapshot.resources}
        for known in (self._gauges, self._spent):
            for ref in [ref for ref in known if ref not in there]:
                del known[ref]

    # -- by the process table ----------------------------------------------------------------

    def _judge_tree(
        self, ref: Ref, members: list[Process], detached: list[Process], window: float
    ) -> Answer:
        job = _silent_job(detached)
        if job is not None:
            return Answer(ref, conclusive=True, working=True, detail=f"{job}, detached, runs")
        return self._judge(ref, members + detached, window, WORK, "its processes")

    def _judge(
        self, ref: Ref, members: list[Process], window: float, enough: float, whose: str
    ) -> Answer:
        sample: Sample = {process.key: process.cpu for process in members}
        cores = self._gauges.setdefault(ref, Gauge()).add(self._now(), sample, window)
        return _answer(ref, cores, enough, whose)

    def _detached(self, table: Table) -> list[Process]:
        """What was started from a terminal of this server and has left it (setsid, tmux, screen):
        whose it was nobody can tell any more, so it counts for every terminal."""
        if not self._mark:
            return []
        server = os.getpid()
        ours = {process.pid for process in processes.tree(table, [server])}
        return [
            process
            for process in table.values()
            if process.pid not in ours and processes.environment_has(process.pid, self._mark)
        ]

    # -- by asking the kernel ----------------------------------------------------------------

    async def _ask_kernels(self, to_ask: Mapping[str, list[tuple[Ref, float]]]) -> list[Answer]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(kernel_id: str, refs: list[tuple[Ref, float]]) -> list[Answer]:
            async with gate:
                usage = await self._kernels.ask_usage(kernel_id)
            return self._read_usage(kernel_id, refs, usage)

        made = await asyncio.gather(*(ask(kernel_id, refs) for kernel_id, refs in to_ask.items()))
        return [answer for answers in made for answer in answers]

    def _read_usage(
        self, kernel_id: str, refs: list[tuple[Ref, float]], usage: Usage
    ) -> list[Answer]:
        own = Ref(Kind.KERNEL, kernel_id)
        if not any(ref == own for ref, _ in refs):
            # It was asked for its app's sake; that has moved its stamps all the same.
            refs = [*refs, (own, 0.0)]
        return [self._judge_usage(ref, window, usage) for ref, window in refs]

    def _judge_usage(self, ref: Ref, window: float, usage: Usage) -> Answer:
        is_kernel = ref.kind is Kind.KERNEL
        cores = usage.kernel_cores if is_kernel else usage.host_cores
        if usage.failure or usage.kernel_cores is None or cores is None:
            answer = _untold(ref, usage.failure or "the kernel does not say")
        else:
            answer = self._sum_up(ref, cores, window)
        if not is_kernel:
            return answer
        return replace(answer, stamps=usage.stamps, others_heard=usage.others_heard)

    def _sum_up(self, ref: Ref, cores: float, window: float) -> Answer:
        """What a kernel gives is an average since it was last asked: summed up, it is a clock."""
        now = self._now()
        asked_at, spent = self._spent.get(ref, (now, 0.0))
        spent += cores * (now - asked_at)
        self._spent[ref] = (now, spent)
        if not window:
            return Answer(ref, conclusive=False)
        over = self._gauges.setdefault(ref, Gauge()).add(now, {"cpu": spent}, window)
        if ref.kind is Kind.KERNEL:
            return _answer(ref, over, WORK, "the kernel")
        return _answer(ref, over, HOST_WORK, "its host")


def _answer(ref: Ref, cores: float | None, enough: float, whose: str) -> Answer:
    if cores is None:
        return Answer(ref, conclusive=False)
    detail = f"{whose} used {cores:.0%} of a core"
    return Answer(ref, conclusive=True, working=cores >= enough, cores=cores, detail=detail)


def _untold(ref: Ref, why: str) -> Answer:
    return Answer(ref, conclusive=True, told=False, detail=why)


def _others(table: Table) -> list[Process]:
    """Everything in this container but the server itself, which polls and serves."""
    return [process for process in table.values() if process.pid != os.getpid()]


def _silent_job(detached: list[Process]) -> str | None:
    """The command in the foreground of a detached shell (a pane of tmux or screen)."""
    by_group = {process.group: process for process in detached if process.pid == process.group}
    for process in detached:
        if process.command in SHELLS and process.foreground not in (-1, 0, process.group):
            job = by_group.get(process.foreground)
            return job.command if job is not None else "a command"
    return None

"""Work in the background: work that neither the kernel's state nor its output shows.

For local kernels, terminals and the server's own app, this module looks at the processes on this
host (survey.py, evidence.py). It asks a kernel in another container for its processor time, and for
that of its host, which shows work in the kernel's app. It asks other Jupyter servers what they run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from ..core.model import Answer, App, Kernel, Kind, Ref, Snapshot, Terminal
from ..core.signals import Signal
from ..core.verdict import Fault
from . import foreign_kernels, other_servers
from .evidence import (
    CONTAINER_CORES,
    DEAREST_ANSWER,
    HOST_CORES,
    WORK_CORES,
    Gauge,
    Reading,
    Sample,
    Use,
    sample_of,
)
from .file_thread import FileThread
from .foreign_kernels import ForeignKernel
from .kernel_usage import Usage
from .kernels import KernelSource
from .other_servers import Tenant, UnansweredError
from .processes import Process, UnreadableError, read_process
from .shell_probe import ANSWER_SECONDS, ShellAnswer
from .survey import Survey, Surveyor
from .terminals import TerminalSource

#: The number of kernels behind gateways that are asked at once.
AT_ONCE = 8

#: Reading all processes, or asking the kernels of other programs, fails after this time (seconds).
THREAD_SECONDS = 30.0

T = TypeVar("T")

#: The time after which other Jupyter servers on this host are looked for again (seconds).
SERVERS_SECONDS = 10.0


@dataclass(frozen=True)
class Others:
    """Kernels of other programs, with the answers of their shells, and the kernels and terminals
    that other servers report. ``failure``: another server did not answer."""

    kernels: Mapping[ForeignKernel, ShellAnswer] = field(default_factory=dict)
    tenants: Sequence[Tenant] = ()
    failure: str = ""


class WorkSource:
    """Looks for work in the background. ``server_url`` is the ``JUPYTER_SERVER_URL`` of this
    server's terminals, ``runtime_directory`` the directory of its runtime file."""

    def __init__(
        self,
        kernels: KernelSource,
        terminals: TerminalSource,
        server_url: str = "",
        now: Callable[[], float] = time.monotonic,
        runtime_directory: Path | None = None,
    ) -> None:
        self._now = now
        self._kernels = kernels
        self._terminals = terminals
        self._surveyor = Surveyor(server_url, runtime_directory, now)
        self._gauges: dict[tuple[Ref, str], Gauge] = {}
        self._spent: dict[Ref, tuple[float, float]] = {}
        self._problem: UnreadableError | None = None
        self._unanswered = ""
        self._servers_at: float | None = None
        self._thread = FileThread("processes", THREAD_SECONDS)
        self._beside_others = False
        self._our_questions = other_servers.OurQuestions()

    async def ask(
        self, questions: Mapping[Ref, timedelta], snapshot: Snapshot
    ) -> tuple[Answer, ...]:
        """At least one answer for each question. A question that fails has an answer, too."""
        self._forget(snapshot)
        resources = {ref: snapshot.find(ref) for ref in questions}
        roots = self._roots(snapshot)
        local = {
            ref: resource
            for ref, resource in resources.items()
            if ref in roots or (isinstance(resource, App) and (resource.own or resource.shared))
        }
        answers: list[Answer] = []
        if local:
            apps = [resource for resource in local.values() if isinstance(resource, App)]
            try:
                survey = await self._in_thread(self._look, roots, snapshot, apps)
                others = await self._ask_others(survey, snapshot) if apps else Others()
                windows = {ref: questions[ref].total_seconds() for ref in local}
                answers += await self._judge_local(windows, local, survey, roots, others)
                self._problem = None
            except UnreadableError as error:
                self._problem = error
                answers += [_unread(ref, str(error)) for ref in local]
        return await self._with_hosts(answers, questions, resources, snapshot)

    async def answered(self, kernels: Iterable[Kernel], questions: Awaitable[T]) -> T:
        """Await ``questions`` to these kernels. What the answers cost the kernels is no sign of
        work: an R kernel reads 3 KB of files to say who it is."""
        roots = {k.ref: pid for k in kernels if (pid := self._kernels.pid_of(k.id))}
        gauges = {
            ref: self._gauges[ref, "members"] for ref in roots if (ref, "members") in self._gauges
        }
        before = await self._sample([roots[ref] for ref in gauges])
        result = await questions
        used = _used(before, await self._sample([roots[ref] for ref in gauges]))
        for gauge in gauges.values():
            gauge.leave_out(used)
        return result

    async def _sample(self, pids: Sequence[int]) -> Sample:
        """The counters of these processes; empty where they cannot be read."""

        def read() -> Sample:
            return sample_of(p for p in map(read_process, pids) if p is not None)

        try:
            return await self._in_thread(read) if pids else {}
        except UnreadableError:
            return {}

    def faults(self, now: datetime) -> list[Fault]:
        """What the last look could not read. Nothing that depends on it is removed."""
        faults = []
        if self._problem is not None:
            message = f"{self._problem}: whether anything works in the background is not known."
            code, remedy = self._problem.code, self._problem.remedy
            faults.append(Fault("processes", code, _sentence(message), remedy, now))
        if self._unanswered:
            message = f"{self._unanswered}: whether its kernels are at work is not known."
            remedy = "Stop that server, or start it with a token, so that this one may ask it."
            faults.append(Fault("other-servers", "Unanswered", _sentence(message), remedy, now))
        return faults

    async def beside_other_servers(self) -> bool:
        """Whether another Jupyter server runs here, so that this one does not see all kernels. Also
        True if this cannot be determined."""
        now = self._now()
        if self._servers_at is None or now - self._servers_at >= SERVERS_SECONDS:
            self._servers_at = now
            try:
                found = await self._in_thread(self._surveyor.servers_now)
                self._beside_others = bool(found)
            except UnreadableError as error:
                self._problem = error
                self._beside_others = True
            if not self._beside_others:
                self._unanswered = ""
        return self._beside_others

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run ``function`` in the worker thread. Raises UnreadableError when it takes too long."""
        try:
            return await self._thread.run(function, *arguments)
        except OSError as error:
            why = error.strerror or type(error).__name__
            message = f"The processes of this host cannot be read: {why}"
            remedy = "The next pass tries again."
            raise UnreadableError(type(error).__name__, message, remedy) from error

    def _forget(self, snapshot: Snapshot) -> None:
        there = {resource.ref for resource in snapshot.resources}
        for key in [key for key in self._gauges if key[0] not in there]:
            del self._gauges[key]
        for ref in [ref for ref in self._spent if ref not in there]:
            del self._spent[ref]

    def _roots(self, snapshot: Snapshot) -> dict[Ref, int]:
        """The processes of the kernels and terminals that run on this host."""
        pids: dict[Ref, int | None] = {k.ref: self._kernels.pid_of(k.id) for k in snapshot.kernels}
        pids.update((t.ref, self._terminals.pid_of(t.id)) for t in snapshot.terminals)
        return {ref: pid for ref, pid in pids.items() if pid}

    # -- by the processes on this host -------------------------------------------------------

    def _look(self, roots: Mapping[Ref, int], snapshot: Snapshot, apps: Sequence[App]) -> Survey:
        return self._surveyor.look(roots, snapshot, beyond=any(app.own for app in apps))

    async def _judge_local(
        self,
        windows: Mapping[Ref, float],
        resources: Mapping[Ref, object],
        survey: Survey,
        roots: Mapping[Ref, int],
        others: Others,
    ) -> list[Answer]:
        def work() -> list[Answer]:
            return [
                self._judge_one(ref, resources[ref], window, survey, roots, others)
                for ref, window in windows.items()
            ]

        return await self._in_thread(work)

    def _judge_one(
        self,
        ref: Ref,
        resource: object,
        window: float,
        survey: Survey,
        roots: Mapping[Ref, int],
        others: Others,
    ) -> Answer:
        try:
            if isinstance(resource, App):
                if not resource.own:
                    return _of_tenants(
                        ref, [t for t in others.tenants if t.app == resource.name], others
                    )
                return self._judge_own_app(ref, window, survey, others)
            if isinstance(resource, Terminal) and resource.running_job:
                return self._judge_running(resource, window, survey)
            return self._judge_members(ref, survey.of(ref), roots[ref], window, survey)
        except (OSError, UnreadableError) as error:
            return _unread(ref, f"its processes cannot be read ({error})")

    def _judge_members(
        self, ref: Ref, members: Sequence[Process], root: int, window: float, survey: Survey
    ) -> Answer:
        """Judge a kernel or terminal by the processes that it started."""
        use = self._use(ref, "members", survey.sample(members), window)
        program = survey.program_of(members, root if ref.kind is Kind.KERNEL else None)
        if program is not None:
            return _works(ref, f"{program.command}, detached, runs")
        answer = _answer(ref, use, WORK_CORES, "its processes")
        return self._with_signs_of_life(answer, use, members, root, survey)

    def _judge_running(self, terminal: Terminal, window: float, survey: Survey) -> Answer:
        """Judge a terminal with a command in its foreground. The command counts as work in any
        case; the answer says whether it shows signs of work or waits for a person."""
        ref = terminal.ref
        members = survey.attribution.of(survey.table, ref)
        use = self._use(ref, "members", survey.sample(members), window)
        if not terminal.only_shows:
            answer = _answer(ref, use, WORK_CORES, "its processes")
            return self._with_signs_of_life(answer, use, members, None, survey)
        answer = _answer(ref, use, WORK_CORES, "its processes", only_cores=True)
        # Redrawing uses processor time, but is no sign of work.
        return answer if answer.working else replace(answer, cores=answer.cores and 0.0)

    def _judge_own_app(self, ref: Ref, window: float, survey: Survey, others: Others) -> Answer:
        """Judge the app in which this server runs: jobs that belong to no kernel or terminal, the
        kernels and terminals of other servers, and all other processes in this container."""
        jobs = survey.adrift
        # When its kernel or terminal is gone, a job counts for the app. So it is watched before.
        judged = {process.key for process in jobs}
        use = self._use(ref, "jobs", survey.sample(survey.jobs), window, judged)
        rest = [p for p in survey.table.values() if p.pid != self._surveyor.server]
        whole = self._use(ref, "rest", {p.key: Reading(p.cpu) for p in rest}, window)
        reported = _of_tenants(ref, [t for t in others.tenants if t.app is None], others)
        if reported.working or reported.unread:
            return reported
        for kernel, shell in others.kernels.items():
            if not shell.free and not shell.failure:
                return _works(ref, f"{kernel} runs a cell")
        owned = survey.attribution.owners
        program = next((p for p in survey.programs if p.pid not in owned), None)
        if program is not None:
            return _works(ref, f"{program.command} runs in a terminal that is not this server's")
        answer = _answer(ref, use, WORK_CORES, "jobs")
        if not answer.working:
            answer = _answer(ref, whole, CONTAINER_CORES, "processes", only_cores=True)
        answer = self._with_signs_of_life(answer, use, jobs, None, survey)
        if any(shell.failure for shell in others.kernels.values()):
            answer = _alive(answer)
        return replace(answer, activity={**reported.activity, **answer.activity})

    def _use(
        self,
        ref: Ref,
        what: str,
        sample: Sample,
        window: float,
        judged: Collection[Hashable] | None = None,
    ) -> Use | None:
        gauge = self._gauges.setdefault((ref, what), Gauge())
        return gauge.add(self._now(), sample, window, judged)

    def _with_signs_of_life(
        self,
        answer: Answer,
        use: Use | None,
        members: Sequence[Process],
        root: int | None,
        survey: Survey,
    ) -> Answer:
        if answer.working:
            return answer
        alive = use is not None and use.is_sign_of_life
        if alive or survey.connected(members, root) is not None:
            return _alive(answer)
        return answer

    async def _ask_others(self, survey: Survey, snapshot: Snapshot) -> Others:
        """Ask other servers first; the shells of kernels that they report need not be asked."""
        own = {resource.ref.id for resource in snapshot.resources}
        tenants: list[Tenant] = []
        failure = ""
        for server in survey.servers:
            try:
                tenants += [t for t in await other_servers.tenants_of(server) if t.id not in own]
            except UnansweredError as error:
                failure = str(error)
        self._unanswered = failure
        tenants = [self._our_questions.without(tenant) for tenant in tenants]
        judged = {t.id for t in tenants if t.is_judged}
        kernels = [kernel for kernel in survey.kernels if kernel.kernel_id not in judged]
        pids = [kernel.process.pid for kernel in kernels]
        begun, before = datetime.now(timezone.utc), await self._sample(pids)
        answers = await self._in_thread(foreign_kernels.ask, kernels, ANSWER_SECONDS)
        used = _used(before, await self._sample(pids))
        for (_, what), gauge in self._gauges.items():
            if what == "jobs":
                gauge.leave_out(used)
        asked = {kernel.kernel_id for kernel in kernels}
        await self._our_questions.asked(
            [t for t in tenants if t.asking_moves_stamp and t.id in asked], begun
        )
        return Others(answers, tenants, failure)

    # -- by asking the kernel ----------------------------------------------------------------

    async def _with_hosts(
        self,
        answers: Sequence[Answer],
        questions: Mapping[Ref, timedelta],
        resources: Mapping[Ref, object],
        snapshot: Snapshot,
    ) -> tuple[Answer, ...]:
        """Add the answers for resources in other containers. An app with an image terminal is idle
        only if both other servers and its own host report so."""
        with_terminals = {t.app for t in snapshot.terminals if t.in_image}
        by_ref = {answer.ref: answer for answer in answers}
        open_questions = {
            ref: window
            for ref, window in questions.items()
            if ref not in by_ref
            or (ref.id in with_terminals and not (by_ref[ref].working or by_ref[ref].unread))
        }
        merged = list(answers)
        for answer in await self._ask_elsewhere(open_questions, resources, snapshot):
            first = by_ref.get(answer.ref)
            if first is not None:
                merged.remove(first)
                answer = replace(answer, activity=first.activity)
            merged.append(answer)
        return tuple(merged)

    async def _ask_elsewhere(
        self,
        questions: Mapping[Ref, timedelta],
        resources: Mapping[Ref, object],
        snapshot: Snapshot,
    ) -> list[Answer]:
        answers: list[Answer] = []
        to_ask: dict[str, list[tuple[Ref, float]]] = {}
        for ref, window in questions.items():
            seconds, resource = window.total_seconds(), resources[ref]
            if isinstance(resource, App):
                # Each kernel reports the processor time of its host, so one kernel is enough.
                inside = [k.id for k in snapshot.kernels if k.app == resource.id]
                reachable = next((i for i in inside if self._kernels.channels_of(i)), None)
                if reachable is None:
                    answers.append(_untold(ref, "no kernel in it can be asked"))
                else:
                    to_ask.setdefault(reachable, []).append((ref, seconds))
            elif isinstance(resource, Kernel) and self._kernels.channels_of(ref.id):
                to_ask.setdefault(ref.id, []).append((ref, seconds))
            elif resource is not None:
                answers.append(_untold(ref, "its processes cannot be seen from here"))
        return answers + await self._ask_kernels(to_ask)

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
            # The question was about its app, but it moved the kernel's time stamps, too.
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
        return replace(answer, stamps=usage.stamps, other_client_seen=usage.other_client_seen)

    def _sum_up(self, ref: Ref, cores: float, window: float) -> Answer:
        """Turn the averages since the last question, which a kernel reports, into a running
        total."""
        now = self._now()
        asked_at, spent = self._spent.get(ref, (now, 0.0))
        spent += cores * (now - asked_at)
        self._spent[ref] = (now, spent)
        if not window:
            return Answer(ref, conclusive=False)
        over = self._use(ref, "asked", {"cpu": Reading(spent)}, window)
        if ref.kind is Kind.KERNEL:
            return _answer(ref, over, WORK_CORES, "the kernel")
        return _answer(ref, over, HOST_CORES, "its host")


def _used(before: Sample, after: Sample) -> Sample:
    """What the processes used for an answer, and no more than an answer can cost."""
    return {
        key: after[key].since(before[key]).at_most(DEAREST_ANSWER)
        for key in after.keys() & before.keys()
    }


def _answer(
    ref: Ref, use: Use | None, enough: float, whose: str, only_cores: bool = False
) -> Answer:
    if use is None:
        return Answer(ref, conclusive=False)
    working = use.cores >= enough or (not only_cores and use.is_work(enough))
    detail = f"{whose} {use}"
    return Answer(ref, conclusive=True, working=working, cores=use.cores, detail=detail)


def _works(ref: Ref, detail: str) -> Answer:
    return Answer(ref, conclusive=True, working=True, detail=detail)


def _alive(answer: Answer) -> Answer:
    """Add a sign of life at this moment to the answer: weak evidence of activity."""
    now = datetime.now(timezone.utc)
    return replace(answer, activity={**answer.activity, Signal.BACKGROUND_IO: now})


def _of_tenants(ref: Ref, tenants: Iterable[Tenant], others: Others) -> Answer:
    """Judge an app by the kernels and terminals in it that other servers report."""
    if others.failure:
        return _unread(ref, others.failure)
    activity: dict[str, datetime] = {}
    for tenant in tenants:
        if tenant.active_at is None:
            return _works(ref, f"{tenant} is at work")
        latest = activity.get(Signal.OTHER_SERVER, tenant.active_at)
        activity[Signal.OTHER_SERVER] = max(latest, tenant.active_at)
    detail = "nothing of another server works in it"
    return Answer(ref, conclusive=True, detail=detail, activity=activity)


def _unread(ref: Ref, why: str) -> Answer:
    return Answer(ref, conclusive=True, unread=True, detail=why)


def _untold(ref: Ref, why: str) -> Answer:
    return Answer(ref, conclusive=True, answered=False, detail=why)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]

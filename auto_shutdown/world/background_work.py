"""Work in the background: work that neither the kernel's state nor its output shows.

For local kernels, terminals and the server's own app, this module looks at the processes on this
host (local_work.py). It asks a kernel in another container for its processor time (remote_work.py),
and it asks other Jupyter servers what they run (other_servers.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

from ..core.apps import needs_host_query, tenants_by_app
from ..core.faults import Fault
from ..core.model import Answer, App, Kernel, Kind, Program, Ref, Snapshot, Terminal
from ..core.translatable import sentence
from . import foreign_kernels, other_servers
from .file_thread import FileThread
from .kernels import KernelSource
from .local_work import LocalWork, Others, Question
from .other_servers import Tenant, UnansweredError
from .outside_programs import ProgramWatch
from .proc_files import read_process
from .process_counters import DEAREST_ANSWER, Sample, sample_of
from .process_survey import Survey, Surveyor
from .process_table import UnreadableError
from .questions_to_servers import QuestionsToServers
from .remote_work import RemoteWork
from .shell_probe import ANSWER_SECONDS
from .terminals import TerminalSource
from .work_answers import unread

#: Reading all processes, or asking the kernels of other programs, fails after this time (seconds).
THREAD_SECONDS = 30.0

#: The time after which other Jupyter servers and programs are looked for again (seconds).
LOOK_SECONDS = 10.0

#: The same while there are such programs: a key in a pane must be seen before a removal.
LOOK_AGAIN_SECONDS = 1.0

_log = logging.getLogger(__name__)

T = TypeVar("T")


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
        self._watch = ProgramWatch(now)
        self._local = LocalWork(now, self._surveyor.server, self._watch)
        self._remote = RemoteWork(kernels, now)
        self._problem: UnreadableError | None = None
        #: The last unexpected error in the log. The next look may fail in the same way.
        self._logged_error = ""
        self._unanswered = ""
        #: Held while other servers are asked.
        self._asking_others = asyncio.Lock()
        #: The kernels of other servers that may run a cell, although Jupyter reports them as idle.
        self._unknown_kernels: tuple[Tenant, ...] = ()
        self._looked_at: float | None = None
        #: The look in progress.
        self._looking: asyncio.Future[None] | None = None
        self._thread = FileThread("processes", THREAD_SECONDS)
        self._beside_others = False
        self._our_questions = QuestionsToServers()

    # -- in each pass ------------------------------------------------------------------------

    async def look_around(
        self, kernels: Sequence[Kernel], terminals: Sequence[Terminal], own_app: bool
    ) -> None:
        """Look for other Jupyter servers and, where this server judges its own app (``own_app``),
        for programs beside it. Does nothing shortly after the last look. Never raises.

        A pass and the last look before a removal may call this at the same time. Then the later
        caller waits for the look of the other one: until it ends, the programs are those of the
        look before."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look_if_due(kernels, terminals, own_app))
            self._looking.add_done_callback(self._look_ended)
        await asyncio.wait({self._looking})

    def _look_ended(self, _look: asyncio.Future[None]) -> None:
        self._looking = None

    async def _look_if_due(
        self, kernels: Sequence[Kernel], terminals: Sequence[Terminal], own_app: bool
    ) -> None:
        now = self._now()
        interval = LOOK_AGAIN_SECONDS if len(self._watch) else LOOK_SECONDS
        if self._looked_at is not None and now - self._looked_at < interval:
            return
        self._looked_at = now
        watch = self._watch if own_app else None
        roots, resources = self._roots(kernels, terminals), [*kernels, *terminals]
        try:
            servers = await self._in_thread(self._surveyor.look_around, roots, resources, watch)
            self._beside_others = bool(servers)
            self._problem = None
        except UnreadableError as error:
            self._problem = error
            self._beside_others = True
            self._watch.note_unreadable()
        if not self._beside_others:
            self._unanswered, self._unknown_kernels = "", ()

    @property
    def is_beside_other_servers(self) -> bool:
        """Whether another Jupyter server runs here, so that this one does not see all kernels. Also
        True if this cannot be determined."""
        return self._beside_others

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs beside this server at the last look."""
        return self._watch.programs

    def faults(self, now: datetime) -> list[Fault]:
        """What the last look could not read. Nothing that depends on it is removed."""
        faults = []
        if self._problem is not None:
            message = sentence("It is unknown whether background work runs: %1.", self._problem)
            code, remedy = self._problem.code, self._problem.remedy
            faults.append(Fault("processes", code, message, remedy, now))
        if self._unanswered:
            message = sentence(
                "It is unknown whether the kernels of another server run a cell: %1.",
                self._unanswered,
            )
            remedy = sentence(
                "Stop that server, or start it with a token, so that this server can ask it."
            )
            faults.append(Fault("other-servers", "Unanswered", message, remedy, now))
        if servers := _servers_of(t for t in self._unknown_kernels if t.has_old_report):
            message = sentence(
                "It is unknown whether the kernels of %1 run a cell, because its passes fail "
                "or are late.",
                servers,
            )
            remedy = sentence("Restart that server, or shut its kernels down there.")
            faults.append(Fault("other-servers", "OldReport", message, remedy, now))
        if servers := _servers_of(t for t in self._unknown_kernels if not t.has_old_report):
            message = sentence(
                "It is unknown whether some kernels of %1 run a cell: that server lacks this "
                "extension, and this server cannot ask them.",
                servers,
            )
            remedy = sentence(
                "Install this extension in that server, too, or shut those kernels down there."
            )
            faults.append(Fault("other-servers", "NoExtension", message, remedy, now))
        return faults

    # -- before a removal --------------------------------------------------------------------

    async def ask(
        self, questions: Mapping[Ref, timedelta], snapshot: Snapshot
    ) -> tuple[Answer, ...]:
        """At least one answer for each question. A question that fails has an answer, too."""
        there = {resource.ref for resource in snapshot.resources}
        self._local.forget_except(there)
        self._remote.forget_except(there)
        resources = {ref: snapshot.find(ref) for ref in questions}
        roots = self._roots(snapshot.kernels, snapshot.terminals)
        local = [
            Question(
                ref,
                resource,
                questions[ref].total_seconds(),
                roots.get(ref),
                self._kernels.usage_answers(ref.id) if ref.kind is Kind.KERNEL else 0,
            )
            for ref, resource in resources.items()
            if ref in roots or (isinstance(resource, App) and (resource.own or resource.shared))
        ]
        answers: list[Answer] = []
        if local:
            try:
                answers = await self._ask_here(local, roots, snapshot)
                self._problem = None
            except UnreadableError as error:
                self._problem = error
                answers = [unread(question.ref, str(error)) for question in local]
        return await self._with_hosts(answers, questions, resources, snapshot)

    async def _ask_here(
        self, questions: Sequence[Question], roots: Mapping[Ref, int], snapshot: Snapshot
    ) -> list[Answer]:
        apps = [q.resource for q in questions if isinstance(q.resource, App)]
        own_app = any(app.own for app in apps)
        survey = await self._in_thread(self._surveyor.look, roots, snapshot, own_app)
        others = Others()
        if apps:
            # The removals of two apps may ask at once. A question moves the stamps of kernels of
            # other servers, so the second must not read them before the first has noted that.
            async with self._asking_others:
                others = await self._ask_others(survey, snapshot)

        def judge() -> list[Answer]:
            return [self._local.judge(question, survey, others) for question in questions]

        return await self._in_thread(judge)

    async def answered(self, kernels: Iterable[Kernel], questions: Awaitable[T]) -> T:
        """Await ``questions`` to these kernels. What the answers cost the kernels is no sign of
        work: an R kernel reads 3 KB of files to say who it is."""
        roots = {k.ref: pid for k in kernels if (pid := self._kernels.pid_of(k.id))}
        found = {ref: self._local.gauge_of(ref) for ref in roots}
        gauges = {ref: gauge for ref, gauge in found.items() if gauge is not None}
        before = await self._sample([roots[ref] for ref in gauges])
        result = await questions
        used = _used(before, await self._sample([roots[ref] for ref in gauges]))
        for gauge in gauges.values():
            gauge.leave_out(used)
        return result

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
        # A kernel that is at work keeps the app whatever it answers. If one of its subshells runs
        # the cell, Jupyter's state of the kernel becomes idle when it has answered.
        judged = {t.id for t in tenants if t.is_judged or t.active_at is None}
        kernels = [kernel for kernel in survey.kernels if kernel.kernel_id not in judged]
        pids = [kernel.process.pid for kernel in kernels]
        begun, before = datetime.now(timezone.utc), await self._sample(pids)
        answers = await self._in_thread(foreign_kernels.ask, kernels, ANSWER_SECONDS)
        self._local.leave_out_of_jobs(_used(before, await self._sample(pids)))
        self._watch.answered(answers)
        others = Others(answers, tenants, failure)
        asked = others.asked
        # Every server counts the request for the list of subshells as activity.
        listed = {k.kernel_id for k, shell in answers.items() if shell.subshells is not None}
        moved = {t.id for t in tenants if t.asking_moves_stamp} & asked | listed
        await self._our_questions.asked([t for t in tenants if t.id in moved], begun)
        self._unknown_kernels = tuple(tenant for tenant in tenants if tenant.may_run_cell(asked))
        return others

    async def _with_hosts(
        self,
        answers: Sequence[Answer],
        questions: Mapping[Ref, timedelta],
        resources: Mapping[Ref, object],
        snapshot: Snapshot,
    ) -> tuple[Answer, ...]:
        """Add the answers for resources in other containers. Such an app is idle only if both
        other servers and its own host report so."""
        inside = tenants_by_app(snapshot)
        with_host = {
            app.id
            for app in snapshot.apps
            if not app.own and needs_host_query(app, inside.get(app.id, ()))
        }
        by_ref = {answer.ref: answer for answer in answers}
        open_questions = {
            ref: window
            for ref, window in questions.items()
            if ref not in by_ref
            or (ref.id in with_host and not (by_ref[ref].working or by_ref[ref].unread))
        }
        merged = list(answers)
        for answer in await self._remote.ask(open_questions, resources, snapshot):
            first = by_ref.get(answer.ref)
            if first is not None:
                merged.remove(first)
                answer = replace(answer, activity=first.activity)
            merged.append(answer)
        return tuple(merged)

    # -- the processes -----------------------------------------------------------------------

    async def _sample(self, pids: Sequence[int]) -> Sample:
        """The counters of these processes; empty where they cannot be read."""

        def read() -> Sample:
            return sample_of(p for p in map(read_process, pids) if p is not None)

        try:
            return await self._in_thread(read) if pids else {}
        except UnreadableError:
            return {}

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run ``function`` in the worker thread. Raises UnreadableError when it takes too long or
        fails: any program can write what it reads, and whatever it cannot read is unknown."""
        try:
            return await self._thread.run(function, *arguments)
        except UnreadableError:
            raise
        except Exception as error:
            name = type(error).__name__
            if isinstance(error, OSError):
                why = error.strerror or name
            else:
                why = f"{name}: {error}"
                if why != self._logged_error:
                    _log.exception("Auto-shutdown cannot read the processes of this host.")
                self._logged_error = why
            message = sentence("The processes of this host cannot be read: %1", why)
            remedy = sentence("The next pass tries again.")
            raise UnreadableError(name, message, remedy) from error

    def _roots(self, kernels: Iterable[Kernel], terminals: Iterable[Terminal]) -> dict[Ref, int]:
        """The processes of the kernels and terminals that run on this host."""
        pids: dict[Ref, int | None] = {k.ref: self._kernels.pid_of(k.id) for k in kernels}
        pids.update((t.ref, self._terminals.pid_of(t.id)) for t in terminals)
        return {ref: pid for ref, pid in pids.items() if pid}


def _used(before: Sample, after: Sample) -> Sample:
    """What the processes used for an answer, and no more than an answer can cost."""
    return {
        key: after[key].since(before[key]).at_most(DEAREST_ANSWER)
        for key in after.keys() & before.keys()
    }


def _servers_of(tenants: Iterable[Tenant]) -> str:
    """The names of the servers of these kernels (empty: there is no kernel)."""
    return ", ".join(sorted({str(tenant.server) for tenant in tenants}))

"""Judge kernels, terminals and the server's own app by the processes on this host."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.model import Answer, App, Kind, Ref, Terminal
from ..core.translatable import Text, sentence
from .cron_jobs import StartDelay
from .evidence import CONTAINER_CORES, WORK_CORES, Gauge, Use
from .foreign_kernels import ForeignKernel
from .other_servers import Tenant
from .outside_programs import KERNEL, TERMINAL, ProgramWatch
from .process_counters import Sample, processor_sample, with_answers
from .process_survey import Survey
from .process_table import UnreadableError
from .processes import Process
from .shell_probe import ShellAnswer
from .work_answers import judge_tenants, judge_use, unread, with_sign_of_life, works

#: The sets of processes that are sampled. MEMBERS: the processes of a kernel or terminal. JOBS of
#: the server's own app: the jobs of all kernels and terminals. JOBS of a terminal with a viewer in
#: its foreground: the processes beside the viewer. CRON: the jobs of cron. REST: all processes.
MEMBERS, JOBS, CRON, REST = "members", "jobs", "cron", "rest"


#: The name of the processes of a kernel or terminal, at the start of a detail.
ITS_PROCESSES = sentence("its processes")


@dataclass(frozen=True)
class Others:
    """The kernels of other programs, with the answers of their shells, and the kernels and
    terminals (``tenants``) that other servers report. ``failure`` says which other server did not
    answer (empty: all have answered)."""

    kernels: Mapping[ForeignKernel, ShellAnswer] = field(default_factory=dict)
    tenants: Sequence[Tenant] = ()
    failure: str = ""

    @property
    def asked(self) -> set[str]:
        """The ids of the kernels on this host whose shells this server has asked. A kernel whose
        connection file cannot be read, for example that of another user, has not been asked."""
        return {kernel.kernel_id for kernel, shell in self.kernels.items() if not shell.failure}


@dataclass(frozen=True)
class Question:
    """The question whether ``resource`` does background work, measured over ``window`` seconds.
    ``root`` is the process id of a kernel, or of a terminal's shell. ``usage_answers`` is the
    number of times that clients have asked the kernel for its use of the host."""

    ref: Ref
    resource: object
    window: float
    root: int | None
    usage_answers: int = 0


class LocalWork:
    """Judges by surveys of the processes, and keeps the samples between two surveys. ``server`` is
    the process id of this server, ``watch`` watches the programs that are not this server's.
    Blocks: call it in a worker thread."""

    def __init__(self, now: Callable[[], float], server: int, watch: ProgramWatch) -> None:
        self._now = now
        self._server = server
        self._watch = watch
        self._gauges: dict[tuple[Ref, str], Gauge] = {}
        self._delay = StartDelay()

    def forget_except(self, refs: Collection[Ref]) -> None:
        """Drop what is known of resources that no longer exist."""
        self._gauges = {key: gauge for key, gauge in self._gauges.items() if key[0] in refs}

    def gauge_of(self, ref: Ref) -> Gauge | None:
        """The samples of a kernel or terminal."""
        return self._gauges.get((ref, MEMBERS))

    def leave_out_of_jobs(self, used: Sample) -> None:
        """Leave out what the kernels of other programs used to answer this extension (``used``), so
        that it does not count as the work of a job."""
        for (_, of), gauge in self._gauges.items():
            if of == JOBS:
                gauge.leave_out(used)

    def judge(self, question: Question, survey: Survey, others: Others) -> Answer:
        """The answer to ``question``. It is unread if the evidence cannot be read."""
        ref, resource = question.ref, question.resource
        try:
            if isinstance(resource, App):
                if resource.own:
                    return self._judge_own_app(ref, question.window, survey, others)
                here = {kernel.kernel_id for kernel in survey.kernels}
                inside = [t for t in others.tenants if t.may_run_in(resource.name, here)]
                return judge_tenants(ref, inside, others.failure)
            if isinstance(resource, Terminal) and resource.running_job:
                return self._judge_running(resource, question.window, survey)
            return self._judge_members(question, survey)
        except (OSError, UnreadableError) as error:
            return unread(ref, f"its processes cannot be read ({error})")

    def _judge_members(self, question: Question, survey: Survey) -> Answer:
        """Judge a kernel or terminal by the processes that it started."""
        ref, root, members = question.ref, question.root, survey.of(question.ref)
        programs = survey.programs_of(members, root if ref.kind is Kind.KERNEL else None)
        if programs:
            of_programs = _members_of_all(survey, programs)
            members = [process for process in members if process not in of_programs]
        judged = {process.key for process in members}
        sample = survey.sample(survey.of(ref))
        kernel = survey.table.get(root or 0)
        if question.usage_answers and kernel is not None:
            sample = with_answers(sample, kernel, question.usage_answers, len(survey.table))
        use = self._add(ref, MEMBERS, sample, question.window, judged)
        answer = judge_use(ref, use, WORK_CORES, ITS_PROCESSES)
        answer = _with_low_use(answer, use, members, root, survey)
        answer = _with_signs_of_life(answer, use, members, root, survey)
        if programs:
            detail = sentence("%1, detached, runs", programs[0].command)
            return self._kept_by_programs(ref, programs, detail, answer)
        return answer

    def _judge_running(self, terminal: Terminal, window: float, survey: Survey) -> Answer:
        """Judge a terminal with a command in its foreground. The command counts as work in any
        case; the answer says whether it shows signs of work or waits for a person."""
        ref = terminal.ref
        members = survey.attribution.of(survey.table, ref)
        sample = survey.sample(members)
        use = self._add(ref, MEMBERS, sample, window)
        answer = judge_use(ref, use, WORK_CORES, ITS_PROCESSES, terminal.only_shows)
        if terminal.only_shows and not answer.working:
            # The redraws of a pager or of ``watch`` are no work. So only the use of the processes
            # beside it counts, for example of a job of ``nohup``.
            members = survey.members.without_viewers(members)
            judged = {process.key for process in members}
            use = self._add(ref, JOBS, sample, window, judged)
            answer = judge_use(ref, use, WORK_CORES, ITS_PROCESSES)
        if use is not None and use.may_be_idle_cluster:
            answer = _with_low_use(answer, use, members, None, survey)
        return _with_signs_of_life(answer, use, members, None, survey)

    def _judge_own_app(self, ref: Ref, window: float, survey: Survey, others: Others) -> Answer:
        """Judge the app in which this server runs: jobs that belong to no kernel or terminal, the
        kernels and terminals of other servers, and all other processes in this container."""
        busy = {kernel: s for kernel, s in others.kernels.items() if not (s.free or s.failure)}
        outside = [p for p in survey.programs if p.pid not in survey.attribution.owners]
        programs = [*(kernel.process for kernel in busy), *outside]
        of_programs = _members_of_all(survey, outside) | {
            process for kernel in busy for process in survey.members.of(kernel.process, KERNEL)
        }
        answer = self._judge_jobs(ref, window, survey, of_programs)
        here = [tenant for tenant in others.tenants if tenant.app is None]
        reported = judge_tenants(ref, here, others.failure, others.asked)
        if reported.working or reported.unread:
            return reported
        if programs:
            details = [kernel.runs_a_cell for kernel in busy]
            details += [
                sentence("%1 runs in a terminal that is not this server's", process.command)
                for process in outside
            ]
            answer = self._kept_by_programs(ref, programs, details[0], answer)
        if any(shell.failure for shell in others.kernels.values()):
            answer = with_sign_of_life(answer)
        return replace(answer, activity={**reported.activity, **answer.activity})

    def _judge_jobs(
        self, ref: Ref, window: float, survey: Survey, of_programs: Collection[Process]
    ) -> Answer:
        """Judge the server's own app by all processes except ``of_programs``, the processes of the
        programs that the caller judges."""
        jobs = [process for process in survey.ownerless if process not in of_programs]
        cron = [survey.table[pid] for pid in survey.cron.long]
        cron = [process for process in cron if process not in of_programs]
        # A job counts for the app once its kernel or terminal is gone, and a job of cron once it
        # has run for long enough. Both are sampled before, so that their earlier use is known then.
        use = self._add(ref, JOBS, survey.sample(survey.jobs), window, _keys(jobs))
        sample = survey.sample([survey.table[pid] for pid in survey.cron.jobs])
        use_of_cron = self._add(ref, CRON, sample, window, _keys(cron))
        if use_of_cron is not None:
            # A job of cron that starts a tool again and again may be an agent, so its children are
            # no work.
            use_of_cron = replace(use_of_cron, children=False)
        answer = judge_use(ref, use, WORK_CORES, sentence("jobs"))
        answer = _with_low_use(answer, use, jobs, None, survey)
        by_cron = judge_use(ref, use_of_cron, WORK_CORES, sentence("jobs of cron"))
        by_cron = _with_low_use(by_cron, use_of_cron, cron, None, survey)
        # Jobs with a low use of the processor must not hide the work of the other processes.
        counted = _keys(survey.jobs) if answer.low_use else set()
        counted |= _keys(cron) if by_cron.low_use else set()
        table = survey.table.values()
        # Programs keep the app in any case, and ProgramWatch judges what they use.
        rest = {p.key for p in table if p.pid != self._server} - counted - _keys(of_programs)
        whole = self._add(ref, REST, processor_sample(table), window, rest)
        other = judge_use(ref, whole, CONTAINER_CORES, sentence("processes"), only_cores=True)
        answer = _most_certain(answer, by_cron, other)
        answer = _with_signs_of_life(answer, use, jobs, None, survey)
        answer = _with_signs_of_life(answer, use_of_cron, cron, None, survey)
        delayed = self._delay.is_due_to(survey.cron, self._now())
        if delayed and not answer.working:
            answer = replace(
                unread(ref, "a job of cron has just started"), activity=answer.activity
            )
        return answer

    def _kept_by_programs(
        self, ref: Ref, programs: Sequence[Process], detail: Text, without: Answer
    ) -> Answer:
        """The answer for a resource that ``programs`` keep. ``without`` is the answer for its other
        processes. If these do not work, or only use the processor a little, the answer names the
        programs, because each program may only wait for a person."""
        if without.unread:
            return without
        answer = replace(
            works(ref, detail), activity=without.activity, io_unknown=without.io_unknown
        )
        if (without.working and not without.low_use) or not without.conclusive:
            return answer
        ids, worked_at = self._watch.ids_of(programs)
        low_use = without.low_use and bool(ids)
        return replace(answer, programs=ids, worked_at=worked_at, low_use=low_use)

    def _add(
        self,
        ref: Ref,
        of: str,
        sample: Sample,
        window: float,
        judged: Collection[Hashable] | None = None,
    ) -> Use | None:
        gauge = self._gauges.setdefault((ref, of), Gauge())
        return gauge.add(self._now(), sample, window, judged)


def _keys(members: Iterable[Process]) -> set[Hashable]:
    return {process.key for process in members}


def _most_certain(*answers: Answer) -> Answer:
    """The first answer with work that is more than a low use of the processor. If there is none,
    the first answer with work, or else the first answer."""
    return max(answers, key=lambda answer: (answer.working and not answer.low_use, answer.working))


def _members_of_all(survey: Survey, programs: Sequence[Process]) -> set[Process]:
    """The processes of programs in a terminal."""
    return {process for program in programs for process in survey.members.of(program, TERMINAL)}


def _with_low_use(
    answer: Answer,
    use: Use | None,
    members: Sequence[Process],
    root: int | None,
    survey: Survey,
) -> Answer:
    """The answer, marked if all of the work may be an idle cluster of workers. A connection to
    another host shows that it is not."""
    if answer.working and use is not None and use.is_low:
        return replace(answer, low_use=not survey.is_connected(members, root))
    return answer


def _with_signs_of_life(
    answer: Answer,
    use: Use | None,
    members: Sequence[Process],
    root: int | None,
    survey: Survey,
) -> Answer:
    """The answer with a sign of life, if there is one, and whether the reads and writes are unknown
    because another user runs one of the processes."""
    if answer.working:
        return answer
    if use is not None and use.is_hidden:
        answer = replace(answer, io_unknown=True)
    alive = use is not None and use.is_sign_of_life
    if alive or survey.is_connected(members, root):
        return with_sign_of_life(answer)
    return answer

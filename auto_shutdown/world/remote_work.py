"""Background work of kernels in other containers, and of the apps in which they run.

This server cannot see their processes. So this module asks a kernel (``usage_request``) for the
processor time of its process, and for that of its host, which shows whether its app works.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from ..core.apps import may_report
from ..core.model import Answer, App, Kernel, Kind, Ref, Snapshot
from ..core.translatable import Text, sentence
from ..core.witness import loses_output_if_asked
from .evidence import LOW_HOST_CORES, WORK_CORES, Gauge, host_cores_of_work
from .kernel_usage import Usage
from .kernels import KernelSource
from .process_counters import Reading
from .work_answers import judge_use, not_answered

#: The number of kernels that are asked at once.
AT_ONCE = 8


@dataclass
class Meter:
    """The processor time that one kernel has reported, in core-seconds since its first answer:
    its own (``kernel_total``) and that of its host (``host_total``).

    Each answer of a kernel is an average since its previous answer. So each kernel has its own
    totals, and the first answer of a process adds nothing: it is zero, even if the host works.
    ``answered_at`` is the monotonic time of the last answer in seconds.
    """

    process_id: int | None
    answered_at: float
    kernel_total: float = 0.0
    host_total: float = 0.0

    def add(self, usage: Usage, now: float) -> None:
        elapsed = now - self.answered_at
        self.kernel_total += (usage.kernel_cores or 0.0) * elapsed
        self.host_total += (usage.host_cores or 0.0) * elapsed
        self.answered_at = now


class RemoteWork:
    """Asks kernels for their processor time, and keeps the totals. ``now`` is monotonic seconds."""

    def __init__(self, kernels: KernelSource, now: Callable[[], float]) -> None:
        self._kernels = kernels
        self._now = now
        self._meters: dict[str, Meter] = {}
        #: By the resource, and by the id of the kernel that was asked about it.
        self._gauges: dict[tuple[Ref, str], Gauge] = {}
        #: By app: the id of the kernel that reported its work last.
        self._reporters: dict[Ref, str] = {}
        #: The apps whose last conclusive answer was that something works in them.
        self._working_apps: set[Ref] = set()
        #: The instance type of each kernel, where it is known.
        self._instance_types: dict[str, str | None] = {}

    def forget_except(self, refs: Collection[Ref]) -> None:
        """Drop what is known of resources that no longer exist."""
        self._meters = {i: meter for i, meter in self._meters.items() if _ref(i) in refs}
        self._gauges = {
            (ref, kernel_id): gauge
            for (ref, kernel_id), gauge in self._gauges.items()
            if ref in refs and _ref(kernel_id) in refs
        }
        self._reporters = {app: i for app, i in self._reporters.items() if app in refs}
        self._working_apps &= set(refs)

    async def ask(
        self,
        questions: Mapping[Ref, timedelta],
        resources: Mapping[Ref, object],
        snapshot: Snapshot,
    ) -> list[Answer]:
        """At least one answer for each question."""
        by_app = {app.id: app.instance_type for app in snapshot.apps}
        self._instance_types = {
            k.id: k.instance_type or by_app.get(k.app or "") for k in snapshot.kernels
        }
        answers: list[Answer] = []
        windows = {ref: window.total_seconds() for ref, window in questions.items()}
        apps: dict[Ref, list[str]] = {}
        asked: set[str] = set()
        for ref, resource in ((ref, resources[ref]) for ref in questions):
            if isinstance(resource, App):
                inside = [k for k in snapshot.kernels if k.app == resource.id and self._reach(k)]
                if not inside:
                    answers.append(not_answered(ref, "no kernel in it can be asked"))
                    continue
                in_order = self._in_order(ref, inside, questions)
                if not in_order:
                    # Its kernels run cells, and are asked later. The earlier answer still holds.
                    answers.append(Answer(ref, conclusive=False))
                    continue
                apps[ref] = in_order
                asked.add(in_order[0])
            elif isinstance(resource, Kernel) and self._kernels.channels_of(ref.id):
                asked.add(ref.id)
            elif resource is not None:
                answers.append(not_answered(ref, "its processes cannot be seen from here"))
        usages = await self._ask_kernels(asked)
        # Each kernel of an app sees the same host. If one does not answer, another one may.
        unanswered = (ids for ids in apps.values() if not _readable(ids, usages))
        others = {kernel_id for ids in unanswered for kernel_id in ids} - usages.keys()
        usages.update(await self._ask_kernels(others))
        answers += [self._judge_kernel(i, windows.get(_ref(i)), usages[i]) for i in usages]
        answers += [self._judge_app(app, windows[app], ids, usages) for app, ids in apps.items()]
        return answers

    def _reach(self, kernel: Kernel) -> bool:
        """Whether the kernel may report the work of its app, and there is a way to ask it."""
        return may_report(kernel) and self._kernels.channels_of(kernel.id) is not None

    def _in_order(
        self, app: Ref, inside: Iterable[Kernel], questions: Collection[Ref]
    ) -> list[str]:
        """The ids of the kernels to ask about ``app``, the best one first.

        That is the kernel that reported last, because its previous answer is known. Next is a
        kernel that is asked anyway. A kernel whose gateway refuses connections is last.
        """
        last = self._reporters.get(app)
        kernels = (kernel for kernel in inside if not loses_output_if_asked(kernel))
        in_order = sorted(
            kernels, key=lambda k: (bool(k.refused), k.id != last, k.ref not in questions)
        )
        return [kernel.id for kernel in in_order]

    async def _ask_kernels(self, kernel_ids: Collection[str]) -> dict[str, Usage]:
        """The answers of these kernels. Adds them to the totals."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(kernel_id: str) -> Usage:
            async with gate:
                usage = await self._kernels.ask_usage(kernel_id)
            return _with_host_cores(usage, self._instance_types.get(kernel_id))

        in_order = sorted(kernel_ids)
        usages = dict(zip(in_order, await asyncio.gather(*map(ask, in_order))))
        for kernel_id, usage in usages.items():
            if usage.is_readable:
                self._add(kernel_id, usage)
        return usages

    def _add(self, kernel_id: str, usage: Usage) -> None:
        meter = self._meters.get(kernel_id)
        if meter is None or meter.process_id != usage.process_id:
            # The kernel is new or was restarted, so that its earlier totals have no continuation.
            self._meters[kernel_id] = Meter(usage.process_id, self._now())
            self._gauges = {key: g for key, g in self._gauges.items() if key[1] != kernel_id}
        else:
            meter.add(usage, self._now())

    def _judge_kernel(self, kernel_id: str, window: float | None, usage: Usage) -> Answer:
        """Judge a kernel. ``window`` None: the question was only about its app. Then the answer
        has only the time stamps, which the question moved."""
        ref = _ref(kernel_id)
        if window is None:
            answer = Answer(ref, conclusive=False)
        elif not usage.is_readable:
            answer = not_answered(ref, _why(usage))
        else:
            total = self._meters[kernel_id].kernel_total
            answer = self._measure(
                ref, kernel_id, total, window, WORK_CORES, sentence("the kernel")
            )
        return replace(answer, stamps=usage.stamps, other_client_seen=usage.other_client_seen)

    def _judge_app(
        self, app: Ref, window: float, kernel_ids: Iterable[str], usages: Mapping[str, Usage]
    ) -> Answer:
        """Judge an app by the answers of its kernels."""
        kernel_ids = [kernel_id for kernel_id in kernel_ids if kernel_id in usages]
        readable = _readable(kernel_ids, usages)
        if not readable:
            answer = not_answered(app, _why(usages[kernel_ids[0]]))
            # A question that fails is no evidence that the app's work has ended.
            return replace(answer, unread=app in self._working_apps)
        by_kernel = {
            kernel_id: self._measure_host(app, kernel_id, window, usages[kernel_id])
            for kernel_id in readable
        }
        reporter, answer = max(by_kernel.items(), key=lambda item: _certainty(item[1]))
        self._reporters[app] = reporter
        if answer.working:
            self._working_apps.add(app)
        elif answer.conclusive:
            self._working_apps.discard(app)
        return answer

    def _measure_host(self, app: Ref, kernel_id: str, window: float, usage: Usage) -> Answer:
        """Judge ``app`` by what its host used, as the kernel has reported it. A low use may be that
        of an agent, or of another app on the same instance."""
        total, enough = self._meters[kernel_id].host_total, host_cores_of_work(usage.cpu_count)
        answer = self._measure(app, kernel_id, total, window, enough, sentence("its host"))
        if answer.working and answer.cores is not None and answer.cores < LOW_HOST_CORES:
            detail = sentence(
                "its host used %1 of a core, perhaps for an agent or another app",
                f"{answer.cores:.0%}",
            )
            return replace(answer, low_use=True, detail=detail)
        return answer

    def _measure(
        self, ref: Ref, kernel_id: str, total: float, window: float, enough: float, whose: Text
    ) -> Answer:
        """Judge ``ref`` by the ``total`` that the kernel ``kernel_id`` has reported of it."""
        if not window:
            return Answer(ref, conclusive=False)
        gauge = self._gauges.setdefault((ref, kernel_id), Gauge())
        use = gauge.add(self._now(), {"cpu": Reading(total)}, window)
        return judge_use(ref, use, enough, whose)


def _with_host_cores(usage: Usage, instance_type: str | None) -> Usage:
    """``usage``, with the cores that its host used also if the kernel does not report the number of
    processors. Without that number, a job on one core of a large host would look like an idle
    host."""
    count = processors_of(instance_type)
    if usage.host_cores is not None or usage.host_part is None or count is None:
        return usage
    return replace(usage, host_cores=usage.host_part * count, cpu_count=count)


def processors_of(instance_type: str | None) -> float | None:
    """The number of processors of an instance type. An ``xlarge`` has 4, an ``Nxlarge`` N times as
    many (at most an eighth more), a smaller one 2. None for another type."""
    size = (instance_type or "").rpartition(".")[2]
    large = re.fullmatch(r"(\d*)xlarge", size)
    if large is not None:
        return 4.0 * int(large.group(1) or 1)
    return 2.0 if size in ("small", "medium", "large") else None


def _ref(kernel_id: str) -> Ref:
    return Ref(Kind.KERNEL, kernel_id)


def _certainty(answer: Answer) -> tuple[bool, bool, bool]:
    """A key for ``max``: which of several answers about one app shows the most."""
    return answer.working and not answer.low_use, answer.working, answer.conclusive


def _readable(kernel_ids: Iterable[str], usages: Mapping[str, Usage]) -> list[str]:
    """Those of the kernels that have reported their processor time and that of their host."""
    return [i for i in kernel_ids if i in usages and usages[i].reports_host]


def _why(usage: Usage) -> str:
    return usage.failure or "the kernel does not say"

"""Work of kernels in other containers, and of the apps that they run in.

Their processes cannot be seen from here. So this module asks a kernel for its own processor time
and for that of its host, which shows work in the kernel's app (``usage_request``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta

from ..core.model import Answer, App, Kernel, Kind, Ref, Snapshot
from .evidence import HOST_CORES, WORK_CORES, Gauge, Reading
from .judgements import judge_use, not_answered
from .kernel_usage import Usage
from .kernels import KernelSource

#: The number of kernels that are asked at once.
AT_ONCE = 8


class RemoteWork:
    """Asks kernels for their processor time, and keeps the totals. ``now`` is monotonic seconds."""

    def __init__(self, kernels: KernelSource, now: Callable[[], float]) -> None:
        self._kernels = kernels
        self._now = now
        self._gauges: dict[Ref, Gauge] = {}
        self._spent: dict[Ref, tuple[float, float]] = {}
        #: The apps whose last readable answer was that something works in them.
        self._working_apps: set[Ref] = set()

    def forget_except(self, refs: Collection[Ref]) -> None:
        """Drop what is known of resources that no longer exist."""
        self._gauges = {ref: gauge for ref, gauge in self._gauges.items() if ref in refs}
        self._spent = {ref: spent for ref, spent in self._spent.items() if ref in refs}
        self._working_apps &= set(refs)

    async def ask(
        self,
        questions: Mapping[Ref, timedelta],
        resources: Mapping[Ref, object],
        snapshot: Snapshot,
    ) -> list[Answer]:
        """At least one answer for each question."""
        answers: list[Answer] = []
        to_ask: dict[str, list[tuple[Ref, float]]] = {}
        for ref, window in questions.items():
            seconds, resource = window.total_seconds(), resources[ref]
            if isinstance(resource, App):
                # Each kernel reports the processor time of its host, so one kernel is enough.
                inside = [k.id for k in snapshot.kernels if k.app == resource.id]
                reachable = next((i for i in inside if self._kernels.channels_of(i)), None)
                if reachable is None:
                    answers.append(not_answered(ref, "no kernel in it can be asked"))
                else:
                    to_ask.setdefault(reachable, []).append((ref, seconds))
            elif isinstance(resource, Kernel) and self._kernels.channels_of(ref.id):
                to_ask.setdefault(ref.id, []).append((ref, seconds))
            elif resource is not None:
                answers.append(not_answered(ref, "its processes cannot be seen from here"))
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
            answer = not_answered(ref, usage.failure or "the kernel does not say")
            if ref in self._working_apps:
                # A question that fails is no evidence that the app's work has ended.
                answer = replace(answer, unread=True)
        else:
            answer = self._add(ref, cores, window)
        if not is_kernel:
            if answer.working:
                self._working_apps.add(ref)
            elif not answer.unread:
                self._working_apps.discard(ref)
            return answer
        return replace(answer, stamps=usage.stamps, other_client_seen=usage.other_client_seen)

    def _add(self, ref: Ref, cores: float, window: float) -> Answer:
        """Judge ``ref`` after a kernel reported the average ``cores`` since the last question. A
        running total is made of the averages."""
        now = self._now()
        asked_at, spent = self._spent.get(ref, (now, 0.0))
        spent += cores * (now - asked_at)
        self._spent[ref] = (now, spent)
        if not window:
            return Answer(ref, conclusive=False)
        use = self._gauges.setdefault(ref, Gauge()).add(now, {"cpu": Reading(spent)}, window)
        if ref.kind is Kind.KERNEL:
            return judge_use(ref, use, WORK_CORES, "the kernel")
        return judge_use(ref, use, HOST_CORES, "its host")

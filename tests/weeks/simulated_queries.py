"""What a simulated server answers when the product queries it for background work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from simulated_observation import SimulatedObservation
from truth import Thing

from auto_shutdown.core.model import (
    Answer,
    Ref,
)
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.evidence import HOST_CORES, WORK_CORES
from auto_shutdown.world.process_counters import Reading
from auto_shutdown.world.shell_probe import ShellAnswer
from auto_shutdown.world.work_answers import with_shell


class SimulatedQueries(SimulatedObservation):
    """Answers the product's queries, and counts the processor time of each thing."""

    def asking(self, refs: Collection[Ref]) -> AbstractContextManager[None]:
        return nullcontext()

    async def ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        self.counts["questions"] += len(questions)
        answers = [self._answer(ref, window.total_seconds()) for ref, window in questions.items()]
        return tuple(map(self._with_shell, answers))

    def _with_shell(self, answer: Answer) -> Answer:
        """``answer`` with that of the kernel's shell, as the product's ``World`` does it."""
        thing = self.things.get(answer.ref.id)
        if thing is None or thing.kind != "kernel":
            return answer
        kernel = self._kernel(thing)
        if thing.app is not None:
            self.jupyter.answers_a_question(thing)
        shell = ShellAnswer(self.jupyter.shell_answers(thing))
        is_starting = thing.state == "starting"
        if not shell.free and not is_starting:
            self.excuse(thing, self.rules.limit(thing))
        return with_shell(answer, kernel, shell, is_starting)

    def _excuse_witness(self, app: Thing) -> None:
        """While an app in another container works, the product keeps the last idle kernel that can
        report this (docs/decisions/006). That costs nothing, because the app is billed anyway."""
        if app.kind != "app" or app.own:
            return
        due = [
            t
            for t in self.oracle.tenants(app)
            if t.kind == "kernel"
            and self.shown[t.id].answers
            and (t.state, t.cell) == ("idle", None)
            and self.oracle.ready(t) <= self.t
            and not self.oracle.excuse(t, self.t)
        ]
        if len(due) == 1:
            self.excuse(due[0])

    def spend(self, thing: Thing) -> None:
        """Update the processor time of ``thing``."""
        shown = self.shown[thing.id]
        shown.spent += self._cores(thing) * (self.t - shown.spent_at)
        shown.spent_at = self.t

    def _cores(self, thing: Thing) -> float:
        """The cores that ``thing`` uses now; for an app, the sum of its tenants."""
        if thing.kind == "app":
            return sum(self._cores(t) for t in self.oracle.tenants(thing))
        cores = 1.0 * len(thing.work)
        return cores + thing.cell.cores if thing.cell is not None else cores

    def _answer(self, ref: Ref, window: float) -> Answer:
        thing = self.things.get(ref.id)
        if thing is None:
            return Answer(ref, conclusive=True, answered=False, detail="it is not there")
        workers = [thing]
        if thing.kind == "app":
            workers = self.oracle.tenants(thing)
            answers = thing.own or any(self.shown[t.id].answers for t in workers)
        else:
            answers = self.shown[thing.id].answers
            if thing.kind == "terminal":
                workers = [t for t in self.of_kind("terminal") if not t.in_image]
        if not answers:
            return Answer(ref, conclusive=True, answered=False, detail="it does not answer")
        total = 0.0
        for worker in workers:
            self.spend(worker)
            total += self.shown[worker.id].spent
        sample = {w.id: Reading(self.shown[w.id].spent) for w in workers}
        used = self.shown[ref.id].gauge.add(self.t, sample, window)
        if used is None:
            return Answer(ref, conclusive=False)
        cores = used.cores
        working = cores >= (HOST_CORES if thing.kind == "app" else WORK_CORES)
        if working or self.shown[ref.id].working:
            # The idle clock begins when an answer shows that the work has ended. A detached job
            # counts for all terminals, because nobody knows which one started it.
            self.excuse(thing, self.rules.limit(thing))
            app = self.oracle.app_of(thing)
            if app is not None:
                self.excuse(app, self.rules.limit(app))  # the end of the work counts for it, too
            self._excuse_witness(thing)
        self.shown[ref.id].working = working
        if working:
            thing.mark_used(self.t)
            if not (thing.is_visibly_busy() or self.jupyter.is_end_unseen(thing)):
                # Otherwise the answer may be about the cell or command that runs.
                thing.reported |= set(thing.work)
        stamps = {}
        shown = self.shown[ref.id]
        if thing.kind == "kernel" and thing.app is not None and not shown.iopub_observed:
            # A query moves the time stamp of a kernel behind a gateway.
            shown.last_activity = self.clock.now + shown.clock_skew
            stamps = {Signal.LAST_ACTIVITY: shown.last_activity}
        return Answer(ref, True, working, cores=cores, detail="CPU", stamps=stamps)

"""The simulated world of a controller: what exists, what the product observes, what removals do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from simulated_queries import SimulatedQueries
from simulated_things import BrokenWorldError, Removal
from truth import NEVER, Thing

from auto_shutdown.core.model import (
    Kernel,
    Ref,
    Resource,
    Snapshot,
    Terminal,
)
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.final_check import FinalCheck, always, kept
from auto_shutdown.world.session_facts import Session

#: The part of the shells that answer slowly before a shutdown, the part of the removals whose end
#: is slow, and the most seconds that these take.
SLOW_ANSWERS, SLOW_ANSWER_SECONDS = 0.2, 5.0
SLOW_REMOVALS, SLOW_REMOVAL_SECONDS = 0.2, 90.0


class Studio(SimulatedQueries):
    """Takes the place of the product's class ``World``, and judges each removal."""

    async def session_of(self, resource: Resource) -> tuple[Resource, Session]:
        return resource, Session()

    async def is_gone(self, _resource: Resource) -> bool:
        """Always true. (``World.is_gone`` reads a late list again until it is right.)"""
        return True

    async def look_again(self, ref: Ref) -> Snapshot:
        kernels = self.of_kind("kernel")
        if kernels and self.rng.random() < self.last_minute:
            self.counts["used at the last moment"] += 1
            # The use comes 1 ms after the query. Otherwise both would have the same time stamp.
            self.clock.advance(timedelta(milliseconds=1))
            self.advance_to(self.t + 0.001)
            self.use(self.rng.choice(kernels), Signal.REQUEST)
        return (await self.observe(list_apps=False)).bearing_on(ref)

    def updated(self, snapshot: Snapshot, observed_at: float) -> Snapshot:
        """``snapshot`` with what the messages of the kernels have shown since then."""
        if not self.jupyter.follows:
            return snapshot
        return replace(snapshot, kernels=tuple(map(self.jupyter.updated, snapshot.kernels)))

    async def remove(
        self, resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        if not still_removable():
            return kept()
        thing = self.things.get(resource.ref.id)
        if thing is None or (thing.kind == "app" and thing.status != "InService"):
            self.counts["already gone"] += 1
            return Outcome(Result.GONE, "It was already gone.")
        if only_unmoved and isinstance(resource, Kernel) and resource.state == "idle":
            if await self.luck.delay(SLOW_ANSWERS, SLOW_ANSWER_SECONDS):
                self.counts["slow answers of shells"] += 1
            if not self.jupyter.shell_answers(thing):
                return Outcome(Result.STALE, "Its shell did not answer.")
        if only_unmoved and self._has_moved(resource):
            self.counts["used during the removal"] += 1
            return Outcome(Result.STALE, "It was used at the last moment.")
        if not still_removable():
            return kept()
        if thing.gone is not None:
            self.counts["already gone"] += 1
            return Outcome(Result.GONE, "It was already gone.")
        outcome = self._end(resource, thing)
        if await self.luck.delay(SLOW_REMOVALS, SLOW_REMOVAL_SECONDS):
            self.counts["slow removals"] += 1
        return outcome

    def _has_moved(self, resource: Resource) -> bool:
        """Whether a kernel or terminal was used since it was observed as ``resource``."""
        thing = self.things.get(resource.ref.id)
        if thing is None or not self.jupyter.follows:
            return False
        if isinstance(resource, Kernel):
            now = self._kernel(thing)
            moved = now.iopub is None and now.last_activity != resource.last_activity
            return moved or (now.request_at, now.state) != (resource.request_at, resource.state)
        if isinstance(resource, Terminal) and not resource.in_image:
            terminal = self._terminal(thing)
            moved = terminal.input_at is None and terminal.last_activity != resource.last_activity
            return moved or (terminal.input_at, terminal.running_job) != (
                resource.input_at,
                resource.running_job,
            )
        return False

    def _end(self, resource: Resource, thing: Thing) -> Outcome:
        """End ``thing``, or fail. Raises BrokenWorldError."""
        if resource.ref.id in self._removed:
            self.counts["removed twice"] += 1
        if not self.requested:
            self._judge(thing)
        mode = self.mode["delete" if thing.kind == "app" else "shutdown"]
        if mode in ("temporary", "permanent"):
            thing.failed = self.t
            self.counts[f"{mode} failures"] += 1
            return Outcome(Result(mode), "It failed.", "SomeError", "Wait.")
        if mode == "raise":
            thing.failed = self.t
            self.counts["calls that raised"] += 1
            raise BrokenWorldError("The call broke off.")
        if mode == "lag" and thing.kind == "kernel":
            self._lagging[thing.id] = self._kernel(thing)
        self._take_away(thing)
        if mode == "lost":
            self.counts["done, but reported as failed"] += 1
            return Outcome(Result.TEMPORARY, "No answer in time.", "Timeout", "Wait.")
        thing.kept_until = NEVER
        return Outcome(Result.REMOVED, "It was removed.")

    def _take_away(self, thing: Thing) -> None:
        self._removed.add(thing.id)
        if thing.kind == "app" and not thing.own:
            for tenant in self.oracle.tenants(thing):
                self.end(tenant)
            thing.status = "Deleting"
            thing.gone = self.t
            self.app_list.app_was_deleted(thing.id)
        else:
            self.end(thing)

    def _judge(self, thing: Thing) -> None:
        late = 0.0 if thing.in_image else max(0.0, self.t - self.oracle.ready(thing))
        against = self.oracle.objections(thing, self.t)
        self.removals.append(Removal(thing.kind, thing.id, self.t, late, against))

    def watch(self) -> None:
        """Excuse each thing that something other than its idle clock keeps now."""
        for thing in self.alive():
            ends = thing.status not in ("", "InService")
            if ends or self.oracle.excuse(thing, self.t) or self.jupyter.is_wait_unseen(thing):
                self.excuse(thing)

    def overdue(self) -> list[tuple[Thing, float]]:
        """The things that nothing keeps but that are still there, each with seconds since then."""
        removable = [t for t in self.alive() if t.kind != "app" or self._covered(t)]
        late = [(t, self.t - self.oracle.ready(t)) for t in removable if not t.in_image]
        return [(thing, seconds) for thing, seconds in late if seconds > 0]

    def _covered(self, thing: Thing) -> bool:
        return thing.own or thing.id.startswith("KernelGateway/")

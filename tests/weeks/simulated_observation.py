"""What the product observes in a simulated server: snapshots of its kernels, terminals and apps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from simulated_things import IMAGE, BrokenWorldError, SimulatedThings
from truth import Thing

from auto_shutdown.core.faults import Fault
from auto_shutdown.core.marks import Mark
from auto_shutdown.core.model import (
    App,
    IOPubActivity,
    Kernel,
    Ref,
    Snapshot,
    Terminal,
    Unread,
)
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.sagemaker import SourceError

#: The part of the calls of ListApps that are slow, and the most seconds that one takes.
SLOW_LISTS = 0.1
SLOW_LIST_SECONDS = 40.0


class SimulatedObservation(SimulatedThings):
    """Answers the observations of a controller (the product's class ``World``)."""

    # -- what the product reads, beside its snapshots -------------------------------------------

    def recall(self, marks: Mapping[Ref, Mark]) -> None:
        """Does nothing: these kernels are listed as starting only while they start, and their
        models name their apps."""

    def faults(self, now: datetime) -> list[Fault]:
        return []

    async def report_at_work(self, at: datetime) -> None:
        """Does nothing: no host shuts this server down."""

    # -- what the controller calls -----------------------------------------------------------

    async def observe(self, list_apps: bool, last_look: bool = False) -> Snapshot:
        if self.host.broken:
            raise BrokenWorldError("The world cannot be observed.")
        self._print_what_prints()
        self._note_observation(self.alive())
        self.observed_at = self.t
        unread = {s: Unread(s, "Broken", "It is broken.", "Wait.") for s in self.host.unread}
        if list_apps:
            await self.app_list.refresh()
        apps, listed_at = self.app_list.apps, self.app_list.listed_at
        if not self.has_apps:
            apps = tuple(self._app(t) for t in self.of_kind("app"))
        elif self.app_list.unread is not None:
            unread["apps"] = self.app_list.unread
        lagging, self._lagging = self._lagging, {}
        # A source that cannot be read shows its last values.
        if "kernels" not in unread:
            self._kernels = [self._kernel(t) for t in self.of_kind("kernel")]
            late = [k for key, k in lagging.items() if key not in self.things]
            self._kernels += late
            for kernel in late:
                self.signal(kernel.id)  # its manager forgets it after this observation
        if "terminals" not in unread:
            self._terminals = tuple(self._terminal(t) for t in self.of_kind("terminal"))
        kernels, terminals = list(self._kernels), self._terminals
        self.rng.shuffle(kernels)
        self.counts["looks"] += 1
        apps = self._with_heartbeats(apps)
        return Snapshot(tuple(kernels), terminals, apps, unread, apps_listed_at=listed_at)

    async def list_apps(self) -> tuple[App, ...]:
        self.counts["listings"] += 1
        if "apps" in self.host.unread:
            raise SourceError(Unread("apps", "Broken", "It is broken.", "Wait."))
        listed = tuple(map(self._app, self._all("app")))
        if await self.luck.delay(SLOW_LISTS, SLOW_LIST_SECONDS):
            self.counts["slow lists"] += 1
        self._note_list(listed)
        return listed

    async def observe_kernels(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        if self.host.broken:
            raise BrokenWorldError("The kernels cannot be observed.")
        things = [self.things.get(kernel_id) for kernel_id in kernel_ids]
        if "kernels" in self.host.unread:
            return None
        kernels = [t for t in things if t is not None and t.kind == "kernel" and not t.unreadable]
        if len(kernels) < len(things):
            return None
        self.counts["partial looks"] += 1
        self._print_what_prints()
        self._note_observation(kernels)
        return tuple(map(self._kernel, kernels))

    def _note_observation(self, things: Iterable[Thing]) -> None:
        """The product observes ``things`` now, so their activity counts for their apps."""
        for thing in things:
            if thing.unreadable or f"{thing.kind}s" in self.host.unread:
                self.unread_since.setdefault(thing.id, self.t)
                continue
            if thing.id in self.marks_lost:
                self.marks_lost.discard(thing.id)
                self.excuse(thing, self.rules.limit(thing))
            unread_since = self.unread_since.pop(thing.id, self.t)
            is_new = thing.id not in self.ever_observed and unread_since < self.t
            if is_new or self.rules.active_until(thing) > unread_since:
                # It was created or used while nobody could read it. The product does not trust its
                # old time stamp.
                self.excuse(thing, self.rules.limit(thing))
            self.ever_observed.add(thing.id)
            self._reach_the_app(thing)
            is_busy = thing.is_visibly_busy()
            waits_alone = thing.cell is not None and not is_busy
            is_alone_now = waits_alone and thing.id not in self.observed_alone
            if is_busy:
                self.observed_busy.add(thing.id)
            elif thing.id in self.observed_busy or is_alone_now:
                # Its work ended, or its last client left, since the last observation. Its idle
                # clock begins now.
                self.observed_busy.discard(thing.id)
                self.excuse(thing, self.rules.limit(thing))
            (self.observed_alone.add if waits_alone else self.observed_alone.discard)(thing.id)

    def _all(self, kind: str) -> list[Thing]:
        return [t for t in self.things.values() if t.kind == kind]

    def _note_list(self, listed: tuple[App, ...]) -> None:
        known = {app.id for app in self._listed if app.status == "InService"}
        for app in listed:
            thing = self.things.get(app.id)
            if app.status == "InService" and app.id not in known and thing is not None:
                # Its idle clock begins when it is first listed, at most 15 minutes late
                # (docs/decisions/003).
                self.excuse(thing, self.rules.limit(thing))
        self._listed = listed

    def _print_what_prints(self) -> None:
        for thing in self.alive():
            cell = thing.cell
            if cell is not None and cell.prints:
                last = self.t - (self.t - cell.began) % 30.0
                shown = self.shown[thing.id]
                shown.output_at = self.clock.now - timedelta(seconds=self.t - last)
                shown.last_activity = shown.output_at + shown.clock_skew
            if "a printing thread" in thing.work:
                began = thing.work["a printing thread"]
                self.prints(thing, self.t - (self.t - began) % 45.0)

    def _heartbeat(self, app_id: str | None) -> datetime | None:
        found = [self.heartbeats[key] for key in {None, app_id} if key in self.heartbeats]
        return max(found, default=None)

    def _with_heartbeats(self, apps: tuple[App, ...]) -> tuple[App, ...]:
        def with_heartbeat(app: App) -> App:
            at = self._heartbeat(app.id)
            return app if at is None else replace(app, stamps={Signal.HEARTBEAT: at})

        return tuple(map(with_heartbeat, apps))

    def _kernel(self, thing: Thing) -> Kernel:
        shown = self.shown[thing.id]
        if thing.unreadable:
            return Kernel(thing.id, unreadable="TraitError when reading its model")
        kernel = Kernel(
            thing.id,
            thing.name,
            self.jupyter.state(thing),
            shown.last_activity,
            thing.connections,
            thing.app,
            thing.instance_type,
            heartbeat_at=self._heartbeat(thing.app),
        )
        activity = IOPubActivity(shown.request_at, shown.output_at)
        return replace(
            self.jupyter.observed(thing, kernel),
            iopub=activity if shown.iopub_observed else None,
            own_limit=None if thing.own_limit is None else timedelta(seconds=thing.own_limit),
            request_sent_at=None,
        )

    def _terminal(self, thing: Thing) -> Terminal:
        shown = self.shown[thing.id]
        if thing.in_image:
            return Terminal(
                thing.id,
                environment=IMAGE,
                app=thing.app,
                instance_type=thing.instance_type,
                heartbeat_at=self._heartbeat(thing.app),
            )
        return Terminal(
            thing.id,
            shown.last_activity,
            shown.input_at if shown.shows_keys else None,
            shown.output_at if shown.shows_keys else None,
            thing.job,
            heartbeat_at=self._heartbeat(thing.app),
            app=thing.app,
        )

    def _app(self, thing: Thing) -> App:
        kind, _, name = thing.id.partition("/")
        created_at = self.shown[thing.id].created_at
        return App(kind, name, thing.status, thing.instance_type, IMAGE, created_at, own=thing.own)

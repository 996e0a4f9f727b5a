"""One life of a server: weeks of people, programs, accidents and clocks, in seconds.

The whole controller runs in it as it is, with its store and audit log on disk. Events happen at
their time, passes when the controller wants them; an oracle judges every removal and what stays.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from people import People
from studio import BrokenWorldError, Removal, Shown, Studio
from truth import DAY, HOUR, MINUTE, Rules, Thing
from value_world import Bench, HandClock

from auto_shutdown.config.settings import FIELDS, Limits
from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.cycle.controller import COALESCE_SECONDS
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.cycle.veto import VetoHooks

#: What may come on top of limit and notice before it counts as overstayed: a pass, the questions
#: of the last minutes; for apps also the age of their list (docs/decisions/003).
ALLOWANCE = {"kernel": 5 * MINUTE, "terminal": 5 * MINUTE, "app": 25 * MINUTE}


@dataclass
class Report:
    """What came of one life."""

    seed: int
    platform: str
    days: float = 0.0
    passes: int = 0
    removals: list[Removal] = field(default_factory=list)
    overstayed: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        """Each removal that something was against, in words."""
        found = [r for r in self.removals if r.against]
        return [f"day {r.at / DAY:.2f}: {r.kind} {r.id}: {r.against}" for r in found]


class Life:
    """Everything of it follows from ``seed``."""

    def __init__(self, seed: int, path: Path) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.path = path
        self.limits = replace(
            Limits(),
            poll_interval_seconds=rng.choice((30, 60, 60, 120, 300)),
            grace_minutes=rng.choice((0, 5, 10, 10, 20)),
            output_only_minutes=rng.choice((60, 480)),
            presence_max_minutes=rng.choice((0, 60, 720)),
            suspect_after_minutes=rng.choice((120, 480)),
            max_busy_minutes=rng.choice((None, None, 240, 600)),
        )
        settings = {name: f.default for name, f in FIELDS.items()}
        rules = Rules(
            settings,
            self.limits.min_idle_timeout_minutes,
            self.limits.max_idle_timeout_minutes,
            self.limits.grace_minutes,
            self.limits.startup_grace_minutes,
            {
                "output": self.limits.output_only_minutes,
                "presence": self.limits.presence_max_minutes,
            },
            self.limits.max_busy_minutes,
        )
        self.clock = HandClock()
        self.platform = rng.choice(("studio-classic",) * 4 + ("local", "studio-space"))
        self.studio = Studio(self.clock, rules, rng, self.platform)
        self.bench = Bench(path, self.limits, self.studio, self.clock)  # type: ignore[arg-type]
        self.skew = timedelta(seconds=rng.choice((0, 0, 0.2)))
        self.tells_keys = rng.random() < 0.8
        self.studio.last_minute = 0.15
        self.studio.jupyter.after = self.after
        self.serving = False
        self.boot = "boot-0"
        self.forgot = False  # whether the next start knows nothing of before
        self.report = Report(seed, self.platform)
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self._number = itertools.count()
        self._wake = False
        #: Whether this server gives signals. One without finds everything at its polls.
        self.signals = random.Random(f"signals {seed}").random() < 0.6
        self._signalled_at = float("inf")
        self.studio.signal = self.changed
        self.people = People(self)

    @property
    def controller(self) -> Any:
        return self.bench.controller

    # -- time --------------------------------------------------------------------------------

    def after(self, seconds: float, happen: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (self.studio.t + seconds, next(self._number), happen))

    def woken(self) -> None:
        """Somebody changed something: the controller looks at once."""
        self._wake = True

    def changed(self, thing_id: str) -> None:
        """The server signals a change of a kernel or terminal; a pass looks a moment later."""
        if not self.signals or not self.serving:
            return
        thing = self.studio.things.get(thing_id)
        if thing is not None and thing.kind == "kernel":
            self.controller.kernel_changed(thing_id)
        else:
            self.controller.wake()
        self._signalled_at = min(self._signalled_at, self.studio.t + COALESCE_SECONDS)

    def count_unsignalled(self) -> None:
        if self.signals:
            found = self.controller.unsignalled_changes
            self.studio.counts["changes that no signal told"] += found

    async def live(self, seconds: float) -> Report:
        with patch("auto_shutdown.state.saved_ledger.boot_identity", lambda: self.boot):
            await self.start()
            self.people.begin()
            self.accidents()
            while self.studio.t < seconds:
                await self.step()
        self.count_unsignalled()
        self.report.days = self.studio.t / DAY
        self.report.removals = self.studio.removals
        self.report.counts = dict(self.studio.counts)
        return self.report

    async def step(self) -> None:
        """To the next event or the next pass, whichever comes first."""
        studio = self.studio
        at_pass = float("inf")
        if self.serving:
            due = (self.controller._clock.next_at or 0.0) - self.clock.monotonic
            at_pass = studio.t if self._wake else studio.t + max(due, 0.001)
            at_pass = max(studio.t, min(at_pass, self._signalled_at))
        at_event = self._events[0][0]
        then = min(at_pass, at_event)
        self.clock.advance(timedelta(seconds=then - studio.t))
        studio.flow(then)
        if at_event <= at_pass:
            happened = heapq.heappop(self._events)[2]()
            if inspect.isawaitable(happened):
                await happened
        else:
            await self.look()
        studio.watch()

    async def look(self) -> None:
        kernels = self.controller._changes.take()
        if self._wake or self.controller._clock.seconds_left() <= 0:
            kernels = None
        self._wake, self._signalled_at = False, float("inf")
        try:
            await self.controller.run_pass(kernels=kernels)
        except BrokenWorldError:
            self.studio.counts["passes that failed"] += 1
        self.report.passes += 1
        warn = self.studio.rules.settings["warn_minutes"] * MINUTE
        for thing, late in self.studio.overdue():
            most = warn + ALLOWANCE[thing.kind] + 2 * self.limits.poll_interval_seconds
            if late > most:
                worst = max(late, self.report.overstayed.get(thing.id, 0.0))
                self.report.overstayed[thing.id] = worst
        if self.platform == "studio-space" and not self.studio.of_kind("app"):
            await self.kill(HOUR * self.rng.uniform(0.1, 12), new_boot=True)

    # -- the server --------------------------------------------------------------------------

    async def start(self) -> None:
        self.bench.controller = self.bench.make()
        self.studio.begin_anew(self.forgot)
        self.studio.jupyter.source._requests.on_change = self.changed
        self.controller._changes._now = lambda: self.clock.monotonic
        self.controller._objections.hooks = VetoHooks(self.bench.log, {"hook": self.hook})
        await self.controller.load()
        self.serving = True
        self.disturbed()
        self._wake = True
        for thing in self.studio.alive():
            self.studio.excuse(thing)
        self.forgot = False
        if self.platform == "studio-space" and not self.studio.of_kind("app"):
            own = Thing("app", "JupyterLab/default", self.studio.t, status="InService", own=True)
            self.studio.add(own, Shown())
            own.in_service = self.studio.t

    async def hook(self, _decision: Any) -> str | None:
        if not self.studio.host.objecting:
            return None
        if self.rng.random() < 0.2:
            raise RuntimeError("The hook is broken.")
        return "a backup runs"

    def disturbed(self) -> None:
        """From here on a grace runs."""
        self.studio.host.disturbed = self.studio.t

    def came_up(self, kernel: Thing) -> None:
        if kernel.state == "starting" and kernel.gone is None:
            kernel.state = "idle"
            self.changed(kernel.id)

    async def stop(self, down: float, new_boot: bool = False) -> None:
        """A clean stop; the server is back after ``down``."""
        self.studio.counts["clean restarts"] += 1
        self.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
        await self.controller.stop()
        self.forgot = new_boot
        self._go_down(down, new_boot)

    async def kill(self, down: float, new_boot: bool = False) -> None:
        """The process ends in mid-air."""
        self.studio.counts["kills"] += 1
        self.forgot = True
        self._go_down(down, new_boot)

    def _go_down(self, down: float, new_boot: bool) -> None:
        self.count_unsignalled()
        self.serving = False
        if new_boot:
            self.boot = f"boot-{next(self._number)}"
        for thing in self.studio.alive():
            thing.told.clear()
            remote = (thing.app or "").startswith("KernelGateway/")
            if thing.kind == "terminal" or (thing.kind == "kernel" and not remote):
                self.studio.end(thing)
            elif thing.kind == "kernel" and self.rng.random() < 0.9:
                thing.connections = 0
        self.after(down, self.start)

    def knows(self, thing: Thing) -> bool:
        return self.controller.situation.snapshot.find(Ref(Kind(thing.kind), thing.id)) is not None

    async def request(self, ref: Ref) -> None:
        try:
            await self.controller.requests.remove(ref)
        except (RefusedError, BrokenWorldError):
            self.studio.counts["requests refused"] += 1

    # -- accidents ---------------------------------------------------------------------------

    def accidents(self) -> None:
        """Each kind comes about so many times a week."""
        weekly: list[tuple[float, Callable[[], Any]]] = [
            (1.5, lambda: self.stop(self.rng.uniform(0.1, 60) * MINUTE)),
            (0.7, lambda: self.stop(self.rng.uniform(0.1, 60) * MINUTE, new_boot=True)),
            (1.5, lambda: self.kill(self.rng.uniform(0.1, 60) * MINUTE)),
            (2, self.pause),
            (4, self.step_the_clock),
            (6, self.unread),
            (6, self.calls_fail),
            (2, self.object),
            (1, self.world_breaks),
        ]
        hard = self.rng.choice((0.5, 1, 1, 4))
        for often, happen in weekly:
            self._schedule(often * hard, happen)
        self._app_states()

    def _schedule(self, often: float, happen: Callable[[], Any]) -> None:
        async def again() -> None:
            if self.serving or happen == self.step_the_clock:
                made = happen()
                if inspect.isawaitable(made):
                    await made
            self._schedule(often, happen)

        self.after(self.rng.expovariate(often / (7 * DAY)), again)

    async def pause(self) -> None:
        """SIGSTOP: the world goes on, the server does not."""
        seconds = self.rng.choice((self.rng.uniform(60, 900), self.rng.uniform(1, 12) * HOUR))
        self.studio.counts["pauses"] += 1
        self.serving = False
        self.after(seconds, lambda: self.resume(seconds))

    def resume(self, seconds: float) -> None:
        self.serving = True
        self._wake = True
        self.controller.wake()  # the signals of the meantime have waited
        if seconds > 4 * self.limits.poll_interval_seconds:
            self.disturbed()
        for thing in self.studio.alive():
            self.studio.excuse(thing, self.limits.grace_minutes * MINUTE)

    def step_the_clock(self) -> None:
        """NTP, a person, or a laptop's lid; either way, and by little or much."""
        hours = self.rng.choice((0.01, 0.5, 1, 3, 24)) * self.rng.uniform(0.5, 1)
        step = timedelta(hours=hours * self.rng.choice((-1, 1)))
        self.clock.step(step)
        self.studio.counts["steps of the clock"] += 1
        if self.serving:
            self.disturbed()

    def unread(self) -> None:
        source = self.rng.choice(("kernels", "sessions", "terminals", "apps"))
        self.studio.host.unread.add(source)

        def read() -> None:
            self.studio.host.unread.discard(source)

        self.after(self.rng.uniform(1, 180) * MINUTE, read)

    def calls_fail(self) -> None:
        which = self.rng.choice(("delete", "shutdown"))
        modes = ("temporary", "permanent", "raise", "lost", "lag")
        self.studio.mode[which] = self.rng.choice(modes)

        def work_again() -> None:
            self.studio.mode[which] = "ok"

        self.after(self.rng.uniform(0.2, 20) * HOUR, work_again)

    def world_breaks(self) -> None:
        self.studio.host.broken = True

        def whole() -> None:
            self.studio.host.broken = False

        self.after(self.rng.uniform(0.1, 120) * MINUTE, whole)

    def object(self) -> None:
        self.studio.host.objecting = True

        def agree() -> None:
            self.studio.host.objecting = False

        self.after(self.rng.uniform(0.1, 8) * HOUR, agree)

    def _app_states(self) -> None:
        """What is being deleted is deleted after minutes; SageMaker lists it for a day."""
        for thing in list(self.studio.things.values()):
            if thing.kind == "app" and not thing.own and thing.gone is not None:
                since = self.studio.t - thing.gone
                if thing.status == "Deleting" and since > self.rng.uniform(60, 1200):
                    thing.status = "Deleted"
                if since > DAY:
                    del self.studio.things[thing.id]
        self.after(60, self._app_states)

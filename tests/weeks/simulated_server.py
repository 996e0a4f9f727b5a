"""One simulated server: the whole controller of the product, with its store and audit log on disk.

Events happen at their simulated time, and passes when the controller wants them.
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

from people import People
from simulated_loop import Luck
from simulated_things import BrokenWorldError, Removal, Shown
from studio import Studio
from truth import DAY, HOUR, MINUTE, Rules, Thing
from value_world import Bench, HandClock

from auto_shutdown.config.settings import FIELDS, Limits
from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.cycle.controller import COALESCE_SECONDS
from auto_shutdown.cycle.refused import RefusedError
from auto_shutdown.cycle.veto import VetoHooks

#: How many seconds a thing may stay after idle timeout, notice and two poll intervals before it
#: counts as overstayed: the time of a pass and of the last queries; for apps also the age of their
#: list (docs/decisions/003).
ALLOWANCE = {"kernel": 5 * MINUTE, "terminal": 5 * MINUTE, "app": 25 * MINUTE}


#: A wait for an instant takes this time more (seconds): the loop fires a timer up to a nanosecond
#: early, and then the instant would never come.
TICK = 1e-6


@dataclass
class Report:
    """The results of one simulated server."""

    seed: int
    platform: str
    days: float = 0.0
    passes: int = 0
    removals: list[Removal] = field(default_factory=list)
    overstayed: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        """Each wrong removal, in words."""
        found = [r for r in self.removals if r.objections]
        return [f"day {r.at / DAY:.2f}: {r.kind} {r.id}: {r.objections}" for r in found]


class SimulatedServer:
    """Runs a controller in simulated time. ``seed`` determines everything."""

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
        self.studio = Studio(self.clock, rules, rng, self.platform, Luck(seed))
        self.bench = Bench(path, self.limits, self.studio, self.clock)  # type: ignore[arg-type]
        self.clock_skew = timedelta(seconds=rng.choice((0, 0, 0.2)))
        self.shows_keys = rng.random() < 0.8
        self.studio.last_minute = 0.15
        self.studio.jupyter.after = self.after
        self.serving = False
        self.boot = "boot-0"
        self.lost_memory = False  # whether the next server knows no marks
        self.report = Report(seed, self.platform)
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self._number = itertools.count()
        self._wake = False
        #: Whether this server sends change signals. Without them the product relies on its polls.
        self.signals = random.Random(f"signals {seed}").random() < 0.6
        self._signalled_at = float("inf")
        self.studio.signal = self.changed
        self.people = People(self)

    @property
    def controller(self) -> Any:
        return self.bench.controller

    # -- time --------------------------------------------------------------------------------

    def let_pass(self, span: timedelta) -> None:
        """Advance the simulated time by ``span``."""
        self.clock.advance(span)
        self.studio.advance_to(self.studio.t + span.total_seconds())

    def after(self, seconds: float, happen: Callable[[], Any]) -> None:
        heapq.heappush(self._events, (self.studio.t + seconds, next(self._number), happen))

    def wake(self) -> None:
        """A request of a user starts a pass at once."""
        self._wake = True

    def changed(self, thing_id: str) -> None:
        """The server sends a change signal. A pass follows a moment later."""
        if not self.signals or not self.serving:
            return
        thing = self.studio.things.get(thing_id)
        if thing is not None and thing.kind == "kernel":
            self.controller.kernel_changed(thing_id)
        else:
            self.controller.wake()

    def count_unsignalled(self) -> None:
        if self.signals:
            found = self.controller.unsignalled_changes
            self.studio.counts["unsignalled changes"] += found

    async def step(self) -> None:
        """Let the next event happen, run the next pass, or wait for one of them. What goes on
        beside the passes goes on meanwhile."""
        at_event = self._events[0][0]
        if at_event <= self.studio.t:
            happened = heapq.heappop(self._events)[2]()
            if inspect.isawaitable(happened):
                await happened
        elif not self.serving:
            await asyncio.sleep(at_event - self.studio.t + TICK)
        elif await self._is_pass_due(at_event):
            await self.look()
        self.studio.watch()

    async def _is_pass_due(self, at_event: float) -> bool:
        """Whether a pass is due now. If not, wait until the event or the pass is due, or until a
        change signal, as the product's loop does."""
        changes, now = self.controller._changes, self.studio.t
        at_pass = min(now + self.controller._clock.seconds_left(), self._signalled_at)
        if self._wake or at_pass <= now:
            return True
        left = min(at_pass, at_event) - now + TICK
        if self._signalled_at < float("inf"):
            await asyncio.sleep(left)
        elif await changes.wait(left):
            self._signalled_at = self.studio.t + COALESCE_SECONDS
        return False

    def is_at_work(self) -> bool:
        """Whether something of the server goes on between two passes."""
        stop = self.controller._objections.emergency_stop
        calls = (self.controller._tasks._tasks, self.studio.app_list.call, stop._reading)
        return any(calls)

    def end_tasks(self) -> None:
        """End everything that goes on in the process of the server, as its end does."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

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
        self.studio.server_restarts(self.lost_memory)
        self.bench.controller = self.bench.make()
        self.studio.jupyter.source._requests.on_change = self.changed
        self.controller._changes._now = lambda: self.clock.monotonic
        self.controller._objections.hooks = VetoHooks(self.bench.log, {"hook": self.hook})
        await self.controller.load()
        self.serving = True
        self.begin_grace()
        self._wake = True
        for thing in self.studio.alive():
            self.studio.excuse(thing)
        self.lost_memory = False
        if self.platform == "studio-space" and not self.studio.of_kind("app"):
            own = Thing("app", "JupyterLab/default", self.studio.t, status="InService", own=True)
            self.studio.add(own, Shown())
            own.in_service = self.studio.t

    async def hook(self, _decision: Any) -> str | None:
        if not self.studio.host.vetoing:
            return None
        if self.rng.random() < 0.2:
            raise RuntimeError("The hook is broken.")
        return "a backup runs"

    def begin_grace(self) -> None:
        """The grace period of the server begins."""
        self.studio.host.grace_began_at = self.studio.t

    def came_up(self, kernel: Thing) -> None:
        if kernel.state == "starting" and kernel.gone is None:
            kernel.state = "idle"
            self.changed(kernel.id)

    async def stop(self, down: float, new_boot: bool = False) -> None:
        """Stop the server cleanly. It starts again after ``down`` seconds."""
        self.studio.counts["clean restarts"] += 1
        self.controller._loop = asyncio.ensure_future(asyncio.sleep(99))
        await self.controller.stop()
        self.lost_memory = new_boot
        self._go_down(down, new_boot)

    async def kill(self, down: float, new_boot: bool = False) -> None:
        """Kill the server. It starts again after ``down`` seconds."""
        self.studio.counts["kills"] += 1
        self.lost_memory = True
        self._go_down(down, new_boot)

    def _go_down(self, down: float, new_boot: bool) -> None:
        self.count_unsignalled()
        self.serving = False
        self.end_tasks()
        if new_boot:
            self.boot = f"boot-{next(self._number)}"
        for thing in self.studio.alive():
            thing.reported.clear()
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

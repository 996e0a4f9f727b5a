"""Weeks of one simulated server, with users, and accidents such as crashes and clock steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from simulated_loop import SimulatedLoop
from simulated_server import Report, SimulatedServer
from truth import DAY, HOUR, MINUTE

#: The part of the calls of the file system that are slow, and the most seconds that one takes.
SLOW_FILES = 0.01
SLOW_FILE_SECONDS = 12.0


class Simulation(SimulatedServer):
    """A seed determines everything that happens."""

    def run(self, seconds: float) -> Report:
        loop = SimulatedLoop(lambda: self.clock.monotonic, self.let_pass)
        with (
            patch("auto_shutdown.state.saved_ledger.boot_identity", self._boot),
            patch("os.fsync", lambda _file: None),  # no host crashes here
            self.studio.luck.instead_of_threads(SLOW_FILES, SLOW_FILE_SECONDS),
        ):
            return loop.run(self._live(seconds))

    async def _live(self, seconds: float) -> Report:
        await self.start()
        self.people.begin()
        self.accidents()
        while self.studio.t < seconds:
            await self.step()
        self.count_unsignalled()
        self.end_tasks()
        self.report.days = self.studio.t / DAY
        self.report.removals = self.studio.removals
        self.report.counts = dict(self.studio.counts)
        return self.report

    def _boot(self) -> str:
        return self.boot

    # -- accidents ---------------------------------------------------------------------------

    def accidents(self) -> None:
        """Schedule each kind of accident, with its average number a week."""
        weekly: list[tuple[float, Callable[[], Any]]] = [
            (1.5, lambda: self.stop(self.rng.uniform(0.1, 60) * MINUTE)),
            (0.7, lambda: self.stop(self.rng.uniform(0.1, 60) * MINUTE, new_boot=True)),
            (1.5, lambda: self.kill(self.rng.uniform(0.1, 60) * MINUTE)),
            (2, self.pause),
            (4, self.step_the_clock),
            (6, self.unread),
            (6, self.calls_fail),
            (2, self.veto),
            (1, self.world_breaks),
        ]
        hard = self.rng.choice((0.5, 1, 1, 4))
        for often, happen in weekly:
            self._schedule(often * hard, happen)
        self._app_states()

    def _schedule(self, often: float, happen: Callable[[], Any]) -> None:
        async def again() -> None:
            if self.serving or happen == self.step_the_clock:
                result = happen()
                if inspect.isawaitable(result):
                    await result
            self._schedule(often, happen)

        self.after(self.rng.expovariate(often / (7 * DAY)), again)

    async def pause(self) -> None:
        """The server process is stopped (SIGSTOP) while its kernels and users continue. It is not
        stopped in the middle of a removal, because the tasks of this simulation would go on."""
        if self.is_at_work():
            self.after(MINUTE, self.pause)
            return
        seconds = self.rng.choice((self.rng.uniform(60, 900), self.rng.uniform(1, 12) * HOUR))
        self.studio.counts["pauses"] += 1
        self.serving = False
        self.after(seconds, lambda: self.resume(seconds))

    def resume(self, seconds: float) -> None:
        self.serving = True
        self._wake = True
        self.controller.wake()  # the change signals of the pause have waited
        if seconds > 4 * self.limits.poll_interval_seconds:
            self.begin_grace()
        for thing in self.studio.alive():
            self.studio.excuse(thing, self.limits.grace_minutes * MINUTE)

    def step_the_clock(self) -> None:
        """Set the wall clock forward or back, by little or much."""
        hours = self.rng.choice((0.01, 0.5, 1, 3, 24)) * self.rng.uniform(0.5, 1)
        step = timedelta(hours=hours * self.rng.choice((-1, 1)))
        self.clock.step(step)
        self.studio.counts["steps of the clock"] += 1
        if self.serving:
            self.begin_grace()

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

    def veto(self) -> None:
        self.studio.host.vetoing = True

        def agree() -> None:
            self.studio.host.vetoing = False

        self.after(self.rng.uniform(0.1, 8) * HOUR, agree)

    def _app_states(self) -> None:
        """Deleting takes minutes. Then SageMaker lists the deleted app for a day."""
        for thing in list(self.studio.things.values()):
            if thing.kind == "app" and not thing.own and thing.gone is not None:
                since = self.studio.t - thing.gone
                if thing.status == "Deleting" and since > self.rng.uniform(60, 1200):
                    thing.status = "Deleted"
                if since > DAY:
                    del self.studio.things[thing.id]
        self.after(60, self._app_states)

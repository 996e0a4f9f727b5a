"""The kernels, terminals and apps of a simulated server, and what happens to them.

A *thing* is a kernel, terminal or app of the simulation (``Resource`` is the class of the product).
The truth about a thing is in ``Thing``. ``Shown`` holds what the product can read of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from jupyter import Jupyter
from simulated_loop import Luck
from truth import Host, Oracle, Rules, Thing
from value_world import HandClock

from auto_shutdown.core.model import (
    App,
    Kernel,
    Terminal,
)
from auto_shutdown.core.signals import Signal
from auto_shutdown.world.app_list import AppList, Apps
from auto_shutdown.world.evidence import Gauge
from auto_shutdown.world.own_description import Description
from auto_shutdown.world.platform import Platform

IMAGE = "arn:aws:sagemaker:us-west-2:1:image/datascience"


class BrokenWorldError(RuntimeError):
    """An error that the simulation raises on purpose, as a fault of the world."""


@dataclass
class Shown:
    """What the product can read of one thing. Time stamps are by the wall clock of their host.

    - ``iopub_observed``: the product receives the kernel's IOPub messages.
    - ``answers``: the thing answers queries for background work.
    - ``clock_skew``: the error of its host's clock.
    - ``shows_keys``: the terminal's device distinguishes keys from output.
    - ``spent``: the processor seconds that it had used at ``spent_at``.
    """

    last_activity: datetime | None = None
    request_at: datetime | None = None
    output_at: datetime | None = None
    input_at: datetime | None = None
    iopub_observed: bool = False
    answers: bool = True
    clock_skew: timedelta = timedelta(0)
    shows_keys: bool = True
    created_at: datetime | None = None
    working: bool = False
    spent: float = 0.0
    spent_at: float = 0.0
    gauge: Gauge = field(default_factory=Gauge)


@dataclass
class Removal:
    """A removal by the product. ``late``: seconds after it was due. ``objections``: why it was
    wrong; empty for a right one."""

    kind: str
    id: str
    at: float
    late: float
    objections: list[str]


class SimulatedThings:
    """The things of one simulated server. ``t`` is the true time in seconds."""

    def __init__(
        self, clock: HandClock, rules: Rules, rng: random.Random, platform: str, luck: Luck
    ) -> None:
        self.clock, self.rules, self.rng, self.luck = clock, rules, rng, luck
        self.t = 0.0
        self.things: dict[str, Thing] = {}
        self.shown: dict[str, Shown] = {}
        self.host = Host()
        self.oracle = Oracle(rules, self.host, self.things)
        self.platform = Platform(platform, "d-1", "ada", region_name="us-west-2")
        self.has_apps = platform == "studio-classic"
        self.description = Description()
        self.heartbeats: dict[str | None, datetime] = {}
        self.mode: dict[str, str] = {"delete": "ok", "shutdown": "ok"}
        self.requested = False
        self.last_minute = 0.0
        self.removals: list[Removal] = []
        self.counts: Counter[str] = Counter()
        self._listed: tuple[App, ...] = ()
        self.app_list = self._new_app_list()
        self._kernels: list[Kernel] = []
        self._terminals: tuple[Terminal, ...] = ()
        self._lagging: dict[str, Kernel] = {}
        self._removed: set[str] = set()
        self.observed_at = 0.0
        self.observed_busy: set[str] = set()
        #: The kernels that the last observation saw waiting in ``input()`` without a client.
        self.observed_alone: set[str] = set()
        self.unread_since: dict[str, float] = {}
        self.ever_observed: set[str] = set()
        self.marks_lost: set[str] = set()
        self.jupyter = Jupyter(rng, self.counts)
        #: Called with the id of a kernel or terminal when the server sends a change signal for it.
        self.signal: Callable[[str], None] = lambda _thing_id: None

    def _new_app_list(self) -> AppList:
        """The list of apps that a new server makes by its own calls of ListApps."""
        return AppList(self.platform, cast(Apps, self), lambda: self.clock.read().monotonic)

    # -- what happens ------------------------------------------------------------------------

    def add(self, thing: Thing, shown: Shown) -> Thing:
        """Add a new thing. Its arrival counts as activity of its app."""
        self.things[thing.id], self.shown[thing.id] = thing, shown
        self._removed.discard(thing.id)
        shown.last_activity = self.clock.now + shown.clock_skew
        shown.spent_at = self.t
        self.use(thing, Signal.ARRIVAL)
        self.signal(thing.id)
        return thing

    def use(self, thing: Thing, signal: str) -> None:
        """Somebody uses ``thing``. This is strong evidence of activity."""
        shown = self.shown[thing.id]
        thing.mark_used(self.t)
        thing.sign_at = self.t
        at = self.clock.now
        if signal != Signal.HEARTBEAT:
            shown.last_activity = at + shown.clock_skew
        if signal == Signal.REQUEST:
            shown.request_at = at
        if signal == Signal.INPUT:
            shown.input_at = at

    def prints(self, thing: Thing, at: float | None = None) -> None:
        """``thing`` prints without a request."""
        at = self.t if at is None else at
        thing.sign_at = at
        shown = self.shown[thing.id]
        wall = self.clock.now - timedelta(seconds=self.t - at)
        if thing.cell is None or thing.cell.waits:
            is_kernel = thing.kind == "kernel"
            is_distinguished = shown.iopub_observed if is_kernel else shown.shows_keys
            # If the product cannot distinguish keys from output, output counts like a key.
            thing.add_weak(Signal.OUTPUT, at) if is_distinguished else thing.mark_used(at)
        shown.output_at = wall
        shown.last_activity = wall + shown.clock_skew

    def _reach_the_app(self, thing: Thing) -> None:
        """Count the observed activity of ``thing`` for its app, also if the thing is gone."""
        app = self.oracle.app_of(thing)
        if app is not None:
            app.mark_used(thing.strong)
            for signal, at in thing.weak.items():
                app.add_weak(signal, at)

    def advance_to(self, to: float) -> None:
        """Time passes until ``to``. Nothing begins or ends meanwhile; running work continues."""
        self.t = to
        for thing in self.alive():
            if thing.is_visibly_busy() and not self.oracle._stuck_busy(thing, to):
                thing.mark_used(to)
            if thing.cell is not None or thing.work:
                self.spend(thing)

    def work_ends(self, thing: Thing, what: str) -> None:
        """Background work ends. It counts until now only if an answer has reported it."""
        thing.work.pop(what, None)
        if what in thing.reported:
            thing.reported.discard(what)
            thing.mark_used(self.t)
        else:
            self.counts["work between two measurements"] += 1

    def excuse(self, thing: Thing, seconds: float = 0.0) -> None:
        """Something other than its idle clock keeps ``thing`` until now, or ``seconds`` longer."""
        thing.excused = max(thing.excused, self.t + seconds)

    def alive(self) -> list[Thing]:
        return [t for t in self.things.values() if t.gone is None]

    def of_kind(self, kind: str) -> list[Thing]:
        return [t for t in self.alive() if t.kind == kind]

    def end(self, thing: Thing) -> None:
        """``thing`` ends. If it is an app, everything in it ends, too."""
        for tenant in self.oracle.tenants(thing) if thing.kind == "app" else []:
            self.end(tenant)
        app = self.oracle.app_of(thing)
        if app is not None:
            # The tenant kept its app until now. If a cell ran, it counts until its end.
            # So does a cell whose end the product could not see.
            # So does background work that an answer has reported.
            may_run_cell = thing.cell is not None or self.jupyter.is_end_unseen(thing)
            counts = may_run_cell or self.shown[thing.id].working
            self.excuse(app, self.rules.limit(app) if counts else 0.0)
        if thing.work.keys() & thing.reported:
            thing.mark_used(self.t)
            self._reach_the_app(thing)
        if thing.id in self.observed_busy:
            self._reach_the_app(thing)
        elif thing.strong > self.observed_at:
            self.counts["used and closed between two passes"] += 1
        thing.gone = self.t
        if thing.kind != "app" or thing.own:
            del self.things[thing.id]
        self.signal(thing.id)

    def server_restarts(self, lost_memory: bool) -> None:
        """A new server starts. ``lost_memory``: it knows no mark of the earlier server."""
        self.marks_lost = {thing.id for thing in self.alive()} if lost_memory else set()
        self._listed, self._kernels, self._terminals, self._lagging = (), [], (), {}
        self.app_list = self._new_app_list()
        self.observed_busy, self.observed_alone = set(), set()
        self.jupyter.server_starts()
        self.jupyter.source.may_run_cells(thing.id for thing in self.of_kind("kernel"))

"""Simulated users open notebooks, run cells and start jobs in kernels."""

from __future__ import annotations

from datetime import timedelta

from simulated_things import Shown
from truth import HOUR, MINUTE, Cell, Thing
from user_base import UserBase, readable

from auto_shutdown.core.signals import Signal

TYPES = ("ml.t3.medium", "ml.m5.large", "ml.g5.xlarge")


class NotebookUsers(UserBase):
    """Actions on apps and kernels."""

    def open_notebook(self) -> None:
        if len(self.studio.of_kind("kernel")) >= 8:
            return
        if not self.studio.has_apps or self.rng.random() < 0.2:
            self.start_kernel(self.choose("app", own=True))
            return
        instance_type = self.rng.choice(TYPES)
        name = f"KernelGateway/{instance_type.replace('.', '-')}-{self.rng.randint(1, 2)}"
        app = self.studio.things.get(name)
        if app is None or app.status in ("Deleted", "Failed"):
            self.create_app(name, instance_type)
        elif app.status == "InService":
            self.start_kernel(app)

    def create_app(self, name: str, instance_type: str) -> None:
        """Create an app. If its name was used before, AWS may keep the old CreationTime."""
        old = self.studio.shown.get(name)
        created_at = self.simulation.clock.now
        if old is not None and old.created_at is not None and self.rng.random() < 0.5:
            created_at = old.created_at
        app = Thing("app", name, self.studio.t, instance_type=instance_type, status="Pending")
        before = self.studio.things.get(name)
        if before is not None:
            app.kept_until = before.kept_until  # a keep-alive belongs to the name
        self.studio.add(app, Shown(created_at=created_at))
        self.simulation.after(self.rng.uniform(60, 240), lambda: self.in_service(app))

    def in_service(self, app: Thing) -> None:
        if self.rng.random() < 0.05:
            app.status = "Failed"
            app.gone = self.studio.t
            return
        app.status = "InService"
        app.in_service = self.studio.t
        app.mark_used(self.studio.t)
        if self.simulation.serving:
            self.start_kernel(app)

    def start_kernel(self, app: Thing | None) -> None:
        local = app is None or app.own
        self._number += 1
        kernel = Thing(
            "kernel",
            f"k{self._number}",
            self.studio.t,
            app.id if app is not None else None,
            app.instance_type if app is not None else None,
            name=self.rng.choice(("python3", "julia")),
            state="starting",
            connections=self.rng.choice((0, 1, 1)),
            own_limit=self.rng.choice((None, None, None, 5 * MINUTE, 3 * HOUR)),
        )
        shown = Shown(
            iopub_observed=local and self.rng.random() < 0.9,
            answers=self.rng.random() < 0.85,
            clock_skew=timedelta(0) if local else self.simulation.clock_skew,
        )
        self.studio.add(kernel, shown)
        if self.rng.random() < 0.04:
            return  # it never comes up
        self.simulation.after(self.rng.uniform(1, 40), lambda: self.simulation.came_up(kernel))

    def close_notebook(self) -> None:
        kernel = self.choose("kernel")
        if kernel is not None:
            self.studio.end(kernel)

    def restart_kernel(self) -> None:
        kernel = self.choose("kernel")
        if kernel is not None:
            kernel.cell, kernel.work, kernel.reported, kernel.state = None, {}, set(), "idle"
            self.studio.jupyter.ends(kernel)
            self.studio.use(kernel, Signal.REQUEST)
            self.studio.signal(kernel.id)

    def kernel_breaks(self) -> None:
        """A kernel dies, or cannot be read for a while."""
        kernel = self.choose("kernel")
        if kernel is None:
            return
        if self.rng.random() < 0.3:
            kernel.cell, kernel.work, kernel.state = None, {}, "dead"
            self.studio.jupyter.ends(kernel)
            self.studio.signal(kernel.id)
        else:
            kernel.unreadable = True
            self.simulation.after(self.rng.uniform(1, 90) * MINUTE, lambda: readable(kernel))

    def run_cell(self) -> None:
        self.start_cell(self.rng.lognormvariate(2, 2))

    def long_job(self) -> None:
        self.start_cell(self.rng.uniform(0.5, 30) * HOUR)

    def start_cell(self, seconds: float, waits: str | None = None) -> None:
        kernel = self.choose("kernel", state="idle", cell=None)
        if kernel is None:
            return
        prints = waits is None and self.rng.random() < 0.4
        cores = 0.0 if waits else self.rng.choice((0.0, 1.0, 1.0))
        now = self.studio.t
        self.studio.use(kernel, Signal.REQUEST)
        observed = self.studio.shown[kernel.id].iopub_observed
        if observed or kernel.app is not None or waits:
            kernel.connections = max(kernel.connections, 1)
        kernel.cell = cell = Cell(now, now + seconds, prints, cores, waits)
        # Not behind a gateway: a new server would miss the subshell (docs/reliability.md).
        cell.in_subshell = observed and not waits and self.rng.random() < 0.1
        self.studio.jupyter.cell_begins(kernel, cell, on_iopub=observed)
        self.simulation.after(seconds, lambda: self.end_cell(kernel, cell))

    def end_cell(self, kernel: Thing, cell: Cell) -> None:
        if kernel.cell is not cell or kernel.gone is not None:
            return
        if cell.waits and not kernel.connections:
            # Nobody is there to answer input(). Try again later.
            self.simulation.after(20 * HOUR, lambda: self.end_cell(kernel, cell))
            if not self.present:
                return
            kernel.connections = 1
        self.studio.use(kernel, Signal.REQUEST)
        kernel.cell = None
        self.studio.jupyter.cell_ends(kernel, cell)

    def ask_a_person(self) -> None:
        self.start_cell(self.rng.uniform(1, 200) * MINUTE, waits="input")

    def thread(self) -> None:
        """A thread works in the background of an idle kernel."""
        kernel = self.choose("kernel", state="idle", cell=None)
        what = self.rng.choice(("a thread", "a printing thread"))
        if kernel is None or kernel.work or not self.studio.shown[kernel.id].answers:
            return
        self._work(kernel, what, self.rng.uniform(0.1, 14) * HOUR)

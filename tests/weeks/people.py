"""What people and programs do in a life: sessions of work, jobs, wishes, and leaving."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from studio import IMAGE, Shown, Studio
from truth import HOUR, MINUTE, NEVER, Cell, Thing

from auto_shutdown.core.model import EVERYTHING, Kind, Ref
from auto_shutdown.core.signals import Signal

if TYPE_CHECKING:
    from life import Life

TYPES = ("ml.t3.medium", "ml.m5.large", "ml.g5.xlarge")


class People:
    """The users of one server, at the keyboard for some hours of most days."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.studio: Studio = life.studio
        self.rng: random.Random = life.rng
        self.present = False
        self._number = 0
        self._leaves = 0.0

    def begin(self) -> None:
        self.life.after(self.rng.uniform(0, 3 * HOUR), self.come)

    # -- coming and going --------------------------------------------------------------------

    def come(self) -> None:
        self.present = True
        self._leaves = self.studio.t + self.rng.uniform(0.3, 6) * HOUR
        self.life.after(1.0, self.act)

    def leave(self) -> None:
        self.present = False
        if self.rng.random() < 0.7:  # the others leave the browser open overnight
            for kernel in self.studio.of_kind("kernel"):
                kernel.connections = 0
        away = self.rng.choice([self.rng.uniform(0.5, 4) * HOUR, self.rng.uniform(8, 60) * HOUR])
        self.life.after(away, self.come)

    async def act(self) -> None:
        if self.studio.t > self._leaves:
            self.leave()
            return
        if self.life.serving:
            deeds: list[tuple[float, Callable[[], Any]]] = [
                (4, self.run_cell),
                (1.2, self.open_notebook),
                (0.5, self.long_job),
                (0.5, self.thread),
                (0.3, self.ask_a_person),
                (0.7, self.open_terminal),
                (2, self.type),
                (0.6, self.run_command),
                (0.3, self.detach_job),
                (0.5, self.close_notebook),
                (0.3, self.close_terminal),
                (0.2, self.restart_kernel),
                (0.15, self.kernel_breaks),
                (0.3, self.be_present),
                (0.15, self.beat),
                (0.3, self.keep),
                (0.15, self.release),
                (0.25, self.change_settings),
                (0.08, self.remove_on_request),
                (0.08, self.delete_app_elsewhere),
                (0.3, self.look_at_the_panel),
            ]
            deed = self.rng.choices([d for _, d in deeds], [w for w, _ in deeds])[0]
            made = deed()
            if made is not None:
                await made
        self.life.after(self.rng.expovariate(1 / (7 * MINUTE)) + 1, self.act)

    def one(self, kind: str, **wanted: Any) -> Thing | None:
        found = [
            t
            for t in self.studio.of_kind(kind)
            if all(getattr(t, name) == value for name, value in wanted.items())
        ]
        return self.rng.choice(found) if found else None

    # -- apps and kernels --------------------------------------------------------------------

    def open_notebook(self) -> None:
        if len(self.studio.of_kind("kernel")) >= 8:
            return
        if not self.studio.has_apps or self.rng.random() < 0.2:
            self.start_kernel(self.one("app", own=True))
            return
        instance_type = self.rng.choice(TYPES)
        name = f"KernelGateway/{instance_type.replace('.', '-')}-{self.rng.randint(1, 2)}"
        app = self.studio.things.get(name)
        if app is None or app.status in ("Deleted", "Failed"):
            self.create_app(name, instance_type)
        elif app.status == "InService":
            self.start_kernel(app)

    def create_app(self, name: str, instance_type: str) -> None:
        """Perhaps again under the same name; then its CreationTime may be the old one."""
        old = self.studio.shown.get(name)
        created_at = self.life.clock.now
        if old is not None and old.created_at is not None and self.rng.random() < 0.5:
            created_at = old.created_at
        app = Thing("app", name, self.studio.t, instance_type=instance_type, status="Pending")
        before = self.studio.things.get(name)
        if before is not None:
            app.held_until = before.held_until  # a wish is for the name
        self.studio.add(app, Shown(created_at=created_at))
        self.life.after(self.rng.uniform(60, 240), lambda: self.in_service(app))

    def in_service(self, app: Thing) -> None:
        if self.rng.random() < 0.05:
            app.status = "Failed"
            app.gone = self.studio.t
            return
        app.status = "InService"
        app.in_service = self.studio.t
        app.used(self.studio.t)
        if self.life.serving:
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
            heard=local and self.rng.random() < 0.9,
            answers=self.rng.random() < 0.85,
            skew=timedelta(0) if local else self.life.skew,
        )
        self.studio.add(kernel, shown)
        if self.rng.random() < 0.04:
            return  # it never comes up
        self.life.after(self.rng.uniform(1, 40), lambda: self.life.came_up(kernel))

    def close_notebook(self) -> None:
        kernel = self.one("kernel")
        if kernel is not None:
            self.studio.end(kernel)

    def restart_kernel(self) -> None:
        kernel = self.one("kernel")
        if kernel is not None:
            kernel.cell, kernel.work, kernel.told, kernel.state = None, {}, set(), "idle"
            self.studio.jupyter.ends(kernel)
            self.studio.use(kernel, Signal.REQUEST)

    def kernel_breaks(self) -> None:
        """It dies, or cannot be read for a while."""
        kernel = self.one("kernel")
        if kernel is None:
            return
        if self.rng.random() < 0.3:
            kernel.cell, kernel.work, kernel.state = None, {}, "dead"
            self.studio.jupyter.ends(kernel)
        else:
            kernel.unreadable = True
            self.life.after(self.rng.uniform(1, 90) * MINUTE, lambda: _readable(kernel))

    # -- work --------------------------------------------------------------------------------

    def run_cell(self) -> None:
        self.start_cell(self.rng.lognormvariate(2, 2))

    def long_job(self) -> None:
        self.start_cell(self.rng.uniform(0.5, 30) * HOUR)

    def start_cell(self, seconds: float, waits: str | None = None) -> None:
        kernel = self.one("kernel", state="idle", cell=None)
        if kernel is None:
            return
        kernel.told.clear()
        prints = waits is None and self.rng.random() < 0.4
        cores = 0.0 if waits else self.rng.choice((0.0, 1.0, 1.0))
        now = self.studio.t
        self.studio.use(kernel, Signal.REQUEST)
        heard = self.studio.shown[kernel.id].heard
        if heard or kernel.app is not None or waits:
            kernel.connections = max(kernel.connections, 1)
        kernel.cell = cell = Cell(now, now + seconds, prints, cores, waits)
        # Of a subshell behind a gateway a new server would know nothing: docs/reliability.md.
        cell.in_subshell = heard and not waits and self.rng.random() < 0.1
        self.studio.jupyter.cell_begins(kernel, cell, on_iopub=heard)
        self.life.after(seconds, lambda: self.end_cell(kernel, cell))

    def end_cell(self, kernel: Thing, cell: Cell) -> None:
        if kernel.cell is not cell or kernel.gone is not None:
            return
        if cell.waits and not kernel.connections:
            # Nobody is there to answer; somebody may be, later.
            self.life.after(20 * HOUR, lambda: self.end_cell(kernel, cell))
            if not self.present:
                return
            kernel.connections = 1
        self.studio.use(kernel, Signal.REQUEST)
        kernel.cell = None
        kernel.told.clear()
        self.studio.jupyter.cell_ends(kernel, cell)

    def ask_a_person(self) -> None:
        self.start_cell(self.rng.uniform(1, 200) * MINUTE, waits="input")

    def thread(self) -> None:
        """Something goes on in the background of an idle kernel."""
        kernel = self.one("kernel", state="idle", cell=None)
        what = self.rng.choice(("a thread", "a printing thread"))
        if kernel is None or kernel.work or not self.studio.shown[kernel.id].answers:
            return
        self._work(kernel, what, self.rng.uniform(0.1, 14) * HOUR)

    def _work(self, thing: Thing, what: str, seconds: float) -> None:
        self.studio.spend(thing)
        thing.work[what] = self.studio.t
        self.life.after(seconds, lambda: self.end_work(thing, what))

    def end_work(self, thing: Thing, what: str) -> None:
        if what in thing.work and thing.gone is None:
            self.studio.work_ends(thing, what)

    # -- terminals ---------------------------------------------------------------------------

    def open_terminal(self) -> None:
        if len(self.studio.of_kind("terminal")) >= 4:
            return
        self._number += 1
        app = self.one("app", own=True)
        home = self.one("app", status="InService", own=False)
        if home is not None and self.rng.random() < 0.4:
            if any(t.in_image for t in self.studio.oracle.tenants(home)):
                return
            name = f"{IMAGE}__{self._number}__{home.instance_type}"
            terminal = Thing("terminal", name, self.studio.t, home.id, home.instance_type)
            terminal.in_image = True
        else:
            terminal = Thing(
                "terminal", str(self._number), self.studio.t, app.id if app is not None else None
            )
        self.studio.add(terminal, Shown(tells_keys=self.life.tells_keys))
        if not terminal.in_image:
            self.studio.use(terminal, Signal.INPUT)

    def type(self) -> None:
        terminal = self.one("terminal", in_image=False)
        if terminal is not None:
            self.studio.use(terminal, Signal.INPUT)
            self.studio.prints(terminal)

    def run_command(self) -> None:
        terminal = self.one("terminal", job=None)
        if terminal is None:
            return
        seconds = self.rng.lognormvariate(5, 2.5)
        if terminal.in_image:
            answers = any(
                self.studio.shown[t.id].answers
                for t in self.studio.oracle.tenants(self.studio.things[str(terminal.app)])
                if t.kind == "kernel"
            )
            if answers and not terminal.work:
                self._work(terminal, "a command", seconds)
            return
        self.studio.use(terminal, Signal.INPUT)
        terminal.job = "python"
        self.life.after(seconds, lambda: self.end_command(terminal))

    def end_command(self, terminal: Thing) -> None:
        if terminal.gone is None and terminal.job:
            terminal.used(self.studio.t)
            terminal.job = None
            self.studio.prints(terminal)

    def detach_job(self) -> None:
        terminal = self.one("terminal", in_image=False, job=None)
        if terminal is not None and not terminal.work:
            self.studio.use(terminal, Signal.INPUT)
            self._work(terminal, "a detached job", self.rng.uniform(0.1, 10) * HOUR)

    def close_terminal(self) -> None:
        terminal = self.one("terminal")
        if terminal is not None:
            self.studio.end(terminal)

    # -- wishes ------------------------------------------------------------------------------

    def _any(self) -> Thing | None:
        known = [t for t in self.studio.alive() if t.status in ("", "InService")]
        known = [t for t in known if self.life.knows(t)]
        return self.rng.choice(known) if known else None

    async def be_present(self) -> None:
        thing = self._any()
        if thing is not None:
            await self.life.controller.requests.note_activity(_ref(thing))
            for each in (thing, *self.studio.oracle.tenants(thing)):
                each.hinted(Signal.PRESENCE, self.studio.t)

    def beat(self) -> None:
        """Somebody touches a heartbeat file: of everything, or of one app."""
        app = self.one("app", status="InService")
        key = app.id if app is not None and self.rng.random() < 0.6 else None
        self.studio.beats[key] = self.life.clock.now
        for thing in self.studio.alive():
            if thing.unreadable:
                continue  # nothing is known of it, not even where it is
            if key is None or thing.id == key or thing.app == key:
                self.studio.use(thing, Signal.HEARTBEAT)

    async def keep(self) -> None:
        minutes = self.rng.uniform(5, 600)
        thing = self._any() if self.rng.random() < 0.85 else None
        until = self.studio.t + minutes * MINUTE
        ref = _ref(thing) if thing is not None else EVERYTHING
        await self.life.controller.requests.keep_alive(ref, minutes)
        if thing is not None:
            thing.held_until = until
        else:
            self.studio.host.everything_held_until = until
        self.life.woken()

    async def release(self) -> None:
        thing = self._any()
        if thing is not None:
            await self.life.controller.requests.keep_alive(_ref(thing), None)
            thing.held_until = NEVER
            self.life.woken()

    async def change_settings(self) -> None:
        rng, settings = self.rng, self.studio.rules.settings
        rule = {"instance_type": "ml.g5.*", "idle_timeout_minutes": rng.randint(10, 90)}
        other = {"kernel_name": "jul*", "idle_timeout_minutes": rng.randint(10, 400)}
        patch: dict[str, Any] = rng.choice(
            [
                {"idle_timeout_minutes": rng.randint(10, 240)},
                {"kernel_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"app_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"terminal_idle_timeout_minutes": rng.choice((None, rng.randint(10, 240)))},
                {"warn_minutes": rng.choice((0, 2, 5, 15))},
                {"rules": rng.choice(([], [rule], [rule, other], [other]))},
                {"protect_connected": rng.random() < 0.3},
                {"keep_terminals": rng.random() < 0.3},
                {"enabled": rng.random() < 0.6},
                {"dry_run": rng.random() < 0.2},
            ]
        )
        await self.life.controller.requests.patch_settings(patch)
        settings.update(patch)
        if not settings["enabled"] or settings["dry_run"]:
            self.life.after(rng.uniform(0.5, 10) * HOUR, self.all_on_again)
        for thing in self.studio.alive():
            self.studio.excuse(thing)
        self.life.woken()

    async def all_on_again(self) -> None:
        if not self.life.serving:
            self.life.after(HOUR, self.all_on_again)
            return
        patch = {"enabled": True, "dry_run": False}
        await self.life.controller.requests.patch_settings(patch)
        self.studio.rules.settings.update(patch)
        self.life.woken()

    async def remove_on_request(self) -> None:
        thing = self._any()
        if thing is None or (thing.kind == "app" and self.studio.host.unread):
            return
        self.studio.requested = True
        try:
            await self.life.request(_ref(thing))
        finally:
            self.studio.requested = False
        self.life.woken()

    def delete_app_elsewhere(self) -> None:
        app = self.one("app", status="InService", own=False)
        if app is not None:
            for tenant in self.studio.oracle.tenants(app):
                self.studio.end(tenant)
            app.status, app.gone = "Deleting", self.studio.t

    def look_at_the_panel(self) -> None:
        self.life.controller.panel_asked()


def _readable(kernel: Thing) -> None:
    kernel.unreadable = False


def _ref(thing: Thing) -> Ref:
    return Ref(Kind(thing.kind), thing.id)

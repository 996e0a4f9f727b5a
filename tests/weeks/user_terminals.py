"""Simulated users open terminals, type and run commands."""

from __future__ import annotations

from simulated_things import IMAGE, Shown
from truth import HOUR, Thing
from user_base import UserBase

from auto_shutdown.core.signals import Signal


class TerminalUsers(UserBase):
    """Actions on terminals."""

    def open_terminal(self) -> None:
        if len(self.studio.of_kind("terminal")) >= 4:
            return
        self._number += 1
        app = self.choose("app", own=True)
        home = self.choose("app", status="InService", own=False)
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
        self.studio.add(terminal, Shown(shows_keys=self.simulation.shows_keys))
        if not terminal.in_image:
            self.studio.use(terminal, Signal.INPUT)

    def type(self) -> None:
        terminal = self.choose("terminal", in_image=False)
        if terminal is not None:
            self.studio.use(terminal, Signal.INPUT)
            self.studio.prints(terminal)

    def run_command(self) -> None:
        terminal = self.choose("terminal", job=None)
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
        self.simulation.after(seconds, lambda: self.end_command(terminal))

    def end_command(self, terminal: Thing) -> None:
        if terminal.gone is None and terminal.job:
            terminal.mark_used(self.studio.t)
            terminal.job = None
            self.studio.prints(terminal)

    def detach_job(self) -> None:
        terminal = self.choose("terminal", in_image=False, job=None)
        if terminal is not None and not terminal.work:
            self.studio.use(terminal, Signal.INPUT)
            self._work(terminal, "a detached job", self.rng.uniform(0.1, 10) * HOUR)

    def close_terminal(self) -> None:
        terminal = self.choose("terminal")
        if terminal is not None:
            self.studio.end(terminal)

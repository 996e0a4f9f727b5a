"""The simulated users of one server: when they come and go, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from truth import HOUR, MINUTE
from user_notebooks import NotebookUsers
from user_requests import RequestUsers
from user_terminals import TerminalUsers


class People(NotebookUsers, TerminalUsers, RequestUsers):
    """Users who are at the keyboard for some hours of most days."""

    def begin(self) -> None:
        self.simulation.after(self.rng.uniform(0, 3 * HOUR), self.come)

    # -- coming and going --------------------------------------------------------------------

    def come(self) -> None:
        self.present = True
        self._leaves = self.studio.t + self.rng.uniform(0.3, 6) * HOUR
        self.simulation.after(1.0, self.act)

    def leave(self) -> None:
        self.present = False
        if self.rng.random() < 0.7:  # the others leave the browser open overnight
            for kernel in self.studio.of_kind("kernel"):
                kernel.connections = 0
        away = self.rng.choice([self.rng.uniform(0.5, 4) * HOUR, self.rng.uniform(8, 60) * HOUR])
        self.simulation.after(away, self.come)

    async def act(self) -> None:
        if self.studio.t > self._leaves:
            self.leave()
            return
        if self.simulation.serving:
            actions: list[tuple[float, Callable[[], Any]]] = [
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
                (0.15, self.touch_heartbeat_file),
                (0.3, self.keep),
                (0.15, self.release),
                (0.25, self.change_settings),
                (0.08, self.remove_on_request),
                (0.08, self.delete_app_elsewhere),
                (0.3, self.look_at_the_panel),
            ]
            action = self.rng.choices([d for _, d in actions], [w for w, _ in actions])[0]
            result = action()
            if result is not None:
                await result
        self.simulation.after(self.rng.expovariate(1 / (7 * MINUTE)) + 1, self.act)

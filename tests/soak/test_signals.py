"""Whether signals report every change of a server's kernels and terminals.

A full pass counts each change that no signal reported (``health.unsignalled_changes``). At the
default poll interval of a minute a day has 1440 full passes, and few of them see a change. Here a
space of the local Studio runs a full pass several times a second, while clients change its kernels
all the time. So ten minutes see as much as a long day.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from auto_shutdown.local_studio.server import HttpError, JupyterServerApp, KernelClient
from auto_shutdown.local_studio.studio import LocalStudio

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

#: How long clients change the server.
SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))

#: Short, so that a change rarely falls into the same interval as another change of its kernel.
POLL_SECONDS = 0.3

#: Nothing is removed: the resources stay, and what changes them are the clients alone.
LIMITS = {"idle_timeout_minutes": 600, "poll_interval_seconds": POLL_SECONDS}

MOST_KERNELS = 5


class Clients:
    """What people and their browsers do on one server. ``done`` counts the changes by kind."""

    def __init__(self, server: JupyterServerApp, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._pages: dict[str, KernelClient] = {}
        self._terminals: list[str] = []
        self._notebooks = 0
        self.done: Counter[str] = Counter()

    def change_something(self) -> None:
        """One change, drawn at random. Most are cells: a signal about anything else makes the next
        full pass count nothing."""
        kinds = {
            self.run_cell: 50,
            self.begin_cell: 20,
            self.interrupt: 15,
            self.restart: 4,
            self.crash: 1,
            self.start_kernel: 4,
            self.shut_down: 3,
            self.change_terminals: 3,
        }
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        if not self._pages:
            kind = self.start_kernel
        kind()
        self.done[kind.__name__] += 1

    def _any_kernel(self) -> str:
        return self._random.choice(sorted(self._pages))

    def _execute(self, kernel_id: str, code: str) -> str:
        page = self._pages[kernel_id]
        return page.ask("execute_request", code=code, silent=False, store_history=True)

    def run_cell(self) -> None:
        """Run a short cell to its end. The kernel may run an earlier cell first."""
        kernel_id = self._any_kernel()
        asked = self._execute(kernel_id, "print(1)")
        self._pages[kernel_id].hear_state("idle", asked)

    def begin_cell(self) -> None:
        """Begin a silent cell. It ends by itself, at any time later."""
        seconds = self._random.uniform(0.1, 2.0)
        self._execute(self._any_kernel(), f"import time; time.sleep({seconds})")

    def interrupt(self) -> None:
        self._server.request("POST", f"api/kernels/{self._any_kernel()}/interrupt", {})

    def restart(self) -> None:
        self._reconnect(
            lambda kernel_id: self._server.request("POST", f"api/kernels/{kernel_id}/restart", {})
        )

    def crash(self) -> None:
        """End the process of a kernel. The server starts it again by itself."""

        def end_and_wait(kernel_id: str) -> None:
            self._execute(kernel_id, "import os; os._exit(1)")
            seen = set()

            def came_back() -> bool:
                state = self._server.request("GET", f"api/kernels/{kernel_id}")["execution_state"]
                seen.add(state)
                return len(seen) > 1 and state in ("idle", "starting")

            with contextlib.suppress(TimeoutError):  # it may come back between two requests
                self._server.wait_for("the kernel is started again", came_back, 15.0)

        self._reconnect(end_and_wait)

    def _reconnect(self, interruption: object) -> None:
        kernel_id = self._any_kernel()
        assert callable(interruption)
        interruption(kernel_id)
        with self._pages.pop(kernel_id):
            pass
        self._connect(kernel_id)

    def _connect(self, kernel_id: str) -> None:
        page = self._pages[kernel_id] = self._server.client(kernel_id)
        page.hear_state("idle", page.ask("kernel_info_request"))

    def start_kernel(self) -> None:
        if len(self._pages) >= MOST_KERNELS:
            self.shut_down()
        self._notebooks += 1
        session = {
            "path": f"{self._notebooks}.ipynb",
            "name": "",
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        self._connect(self._server.request("POST", "api/sessions", session)["kernel"]["id"])

    def shut_down(self) -> None:
        kernel_id = self._any_kernel()
        with self._pages.pop(kernel_id):
            self._server.request("DELETE", f"api/kernels/{kernel_id}")

    def change_terminals(self) -> None:
        if len(self._terminals) < 3:
            self._terminals.append(self._server.open_terminal())
        else:
            self._server.request("DELETE", f"api/terminals/{self._terminals.pop(0)}")

    def close(self) -> None:
        for page in self._pages.values():
            with page:
                pass


def test_signals_report_every_change(tmp_path: Path) -> None:
    with LocalStudio(tmp_path) as studio:
        server = studio.add_space("soak").start({"AutoShutdown": LIMITS})
        clients = Clients(server, seed=13)
        passes: set[str] = set()
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                clients.change_something()
                health = server.status()["health"]
                passes.add(health["last_pass"])
                assert health["unsignalled_changes"] == 0, (clients.done, len(passes))
        except HttpError as error:
            raise AssertionError(f"{error}: {server.log[-2000:]}") from error
        finally:
            clients.close()
            print(f"{len(passes)} full passes seen, changes: {dict(clients.done)}")
        assert health["faults"] == []
        assert {"run_cell", "begin_cell", "interrupt", "start_kernel"} <= clients.done.keys()

"""The dialog that brings back a stopped notebook, and the server's record of the stop."""

from __future__ import annotations

from typing import Any

from auto_shutdown.local_studio.server import JupyterServerApp

MESSAGE = ".jp-AS-message"
DIALOG = ".jp-Dialog"

#: Of a space that is stopped soon.
LIMITS = {
    "poll_interval_seconds": 1,
    "min_idle_timeout_minutes": 0.1,
    "grace_minutes": 0.05,
    "idle_timeout_minutes": 0.15,
    "warn_minutes": 0.05,
}

#: Sleeps only where there is a file of this name.
SLOW = "import os, time; time.sleep(60 if os.path.exists('slow') else 0)"

#: Leaves a file when it runs.
LATE = "open('late', 'w').close()"


def kernels(server: JupyterServerApp) -> list[str]:
    return [kernel["id"] for kernel in server.request("GET", "api/kernels")]


def entries(server: JupyterServerApp) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.request("GET", "auto-shutdown/stopped")["stopped"]
    return found


def marks(page: Any) -> list[str]:
    """The marks of the cells in the dialog, in their order."""
    page.locator(f"{DIALOG} [data-mark]").first.wait_for()
    found: list[str] = page.locator(f"{DIALOG} [data-mark]").evaluate_all(
        "items => items.map(item => item.dataset.mark)"
    )
    return found


def states(server: JupyterServerApp) -> list[str]:
    return [kernel["execution_state"] for kernel in server.request("GET", "api/kernels")]


def choose(page: Any, *numbers: int) -> None:
    """Run only the cells at these places of the dialog."""
    page.locator(DIALOG).get_by_role("button", name="None").click()
    for number in numbers:
        tick(page, number)
    accept(page)


def tick(page: Any, number: int, ticked: bool = True) -> None:
    page.locator(f"{DIALOG} [data-mark] input").nth(number).set_checked(ticked)


def accept(page: Any) -> None:
    page.locator(f"{DIALOG} button.jp-mod-accept").click()

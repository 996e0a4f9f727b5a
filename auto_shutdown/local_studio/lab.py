"""``make lab``: the Studio of the demo, open in JupyterLab until Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path

from rich.console import Console

from .scene import LEFT, set_the_scene
from .screen import Screen
from .studio import LocalStudio

#: Limits that let a visitor see a notice and a removal, in minutes.
IDLE_MINUTES, WARN_MINUTES, CELL_MINUTES = 4, 2, 20
CONFIG = {
    "min_idle_timeout_minutes": 1,
    "idle_timeout_minutes": IDLE_MINUTES,
    "warn_minutes": WARN_MINUTES,
    "grace_minutes": 0.5,
    "poll_interval_seconds": 5,
}


def run(root: Path, console: Console | None = None) -> int:
    """Run the lab with its files below ``root`` until KeyboardInterrupt, then stop it. Returns
    0."""
    screen = Screen(console or Console())
    screen.step("Starting the SageMaker API")
    try:
        with LocalStudio(root) as studio:
            screen.step("Starting JupyterLab with the extension auto_shutdown")
            config = {**CONFIG, "metadata_path": str(studio.metadata_path)}
            server = studio.start_server({"AutoShutdown": config})
            set_the_scene(studio, server, screen.step, cell_seconds=CELL_MINUTES * 60)
            address = f"{server.url}lab/tree/{LEFT}?token={server.token}"
            screen.say("\nOpen this address in a browser:")
            # soft_wrap keeps the address on one line, so that it can be copied from a narrow
            # terminal.
            screen.console.print(f"  {address}\n", soft_wrap=True, highlight=False, markup=False)
            screen.say(
                f"The limits are short here: idle for {IDLE_MINUTES} minutes means removed, with "
                f"a notice {WARN_MINUTES} minutes before. Change them in the panel Auto Shutdown "
                f"in the left side bar. The cell of training.ipynb runs for {CELL_MINUTES} "
                "minutes. Another notebook starts an app of its own.\n"
            )
            screen.say("Ctrl-C ends everything.")
            if sys.platform == "darwin" or os.environ.get("DISPLAY"):
                webbrowser.open(address)
            threading.Event().wait()
    except KeyboardInterrupt:
        screen.say("\nEnded: servers, apps and kernels of this Studio.")
    return 0

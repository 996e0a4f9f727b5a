"""``python -m auto_shutdown.local_studio demo | lab``."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType

from .demo import run
from .studio import LocalStudio


def lab() -> int:
    """The Studio, left open until Ctrl-C."""
    with tempfile.TemporaryDirectory() as root, LocalStudio(Path(root)) as studio:
        limits = {"min_idle_timeout_minutes": 1, "metadata_path": str(studio.metadata_path)}
        server = studio.start_server({"AutoShutdown": limits})
        print(f"JupyterLab of this Studio: {server.url}lab?token={server.token}")
        print("Open a notebook: its app is started for it. Ctrl-C ends everything.", flush=True)
        threading.Event().wait()
    return 0


def demo() -> int:
    with tempfile.TemporaryDirectory() as root:
        return run(Path(root))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # SIGTERM cleans up as Ctrl-C does


def main(arguments: list[str]) -> int:
    commands = {"demo": demo, "lab": lab}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return commands[arguments[0]]()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

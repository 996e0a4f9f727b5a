"""``python -m auto_shutdown.local_studio demo | lab``."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

COMMANDS = ("demo", "lab")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # SIGTERM cleans up as Ctrl-C does


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    # The imports below take seconds on a cold disk.
    print("Loading the local Studio …", flush=True)
    try:
        from . import demo, lab

        run = demo.run if arguments[0] == "demo" else lab.run
        with tempfile.TemporaryDirectory() as root:
            return run(Path(root))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

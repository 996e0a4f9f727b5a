"""``python -m auto_shutdown.local_studio demo | lab | domain-demo | account``."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

COMMANDS = ("demo", "lab", "domain-demo", "account")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # SIGTERM cleans up as Ctrl-C does


def _program(name: str) -> Callable[[Path], int]:
    if name == "domain-demo":
        from . import domain_demo

        return domain_demo.run
    if name == "account":
        from . import large_account

        return large_account.serve
    from . import demo, lab

    return lab.run if name == "lab" else demo.run


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    # The imports below take seconds on a cold disk.
    print("Loading the local Studio …", flush=True)
    try:
        run = _program(arguments[0])
        with tempfile.TemporaryDirectory() as root:
            return run(Path(root))
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

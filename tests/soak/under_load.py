"""Run tests beside busy loops on every core:

    python tests/soak/under_load.py tests/core tests/world …

A test that depends on a fast machine fails here. Arguments go to pytest. The exit code is pytest's.
"""

from __future__ import annotations

import os
import subprocess
import sys

#: With two loops on each core, a test gets about a third of a core.
LOOPS_PER_CORE = 2


def main(arguments: list[str]) -> int:
    # A loop ends when this process does, even by SIGKILL: its standard input is then closed.
    loop = (
        "import os, sys, threading\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n"
        "while True: pass\n"
    )
    loops = [
        subprocess.Popen([sys.executable, "-c", loop], stdin=subprocess.PIPE)
        for _ in range(LOOPS_PER_CORE * (os.cpu_count() or 1))
    ]
    try:
        print(f"Beside {len(loops)} busy loops:", flush=True)
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    finally:
        for process in loops:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

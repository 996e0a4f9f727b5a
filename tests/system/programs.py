"""Code for kernels on this host and behind a gateway."""

from __future__ import annotations

from pathlib import Path


def silent_cell(flag: Path) -> str:
    """A cell without output that runs until the file ``flag`` is deleted. This function makes the
    file."""
    flag.touch()
    return f"import os, time\nwhile os.path.exists({str(flag)!r}): time.sleep(0.2)"


def computing_while(flag: Path) -> str:
    """A silent thread at full load that runs until the file ``flag`` is deleted. This function
    makes the file."""
    flag.touch()
    return f"""
import os, threading
def compute():
    while os.path.exists({str(flag)!r}):
        sum(range(1000))
threading.Thread(target=compute, daemon=True).start()
"""

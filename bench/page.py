"""The page of results: the tables, the machine and the command."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from .tables import Table

PACKAGES = ("jupyter_server", "tornado", "boto3")

HEAD = """# Performance, measured

`make bench` prints these tables, and `make bench WRITE=1` writes them to this page. Each table
compares two programs or situations in one run on one machine. Expect similar ratios on another
machine, but other milliseconds. The targets are our own. A line that begins with *Note* was added
by hand; the next `make bench WRITE=1` removes it.

Measured {when} on {machine}.

{tables}"""


def page(tables: Sequence[Table]) -> str:
    return HEAD.format(
        when=datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        machine=machine(),
        tables="\n".join(table.as_markdown() for table in tables),
    )


def machine() -> str:
    """The processor, the memory and the versions of packages, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

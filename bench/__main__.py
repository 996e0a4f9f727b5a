"""``python -m bench [--write PAGE] [NAME …]``: runs the benchmarks and prints one table each."""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path

from .page import page
from .tables import Table

NAMES = ("passes", "growth", "blocking", "startup", "promptness", "liveness", "calls", "domain")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the results as a page")
    parser.add_argument("names", nargs="*", help="benchmarks to run; all without a name")
    given = parser.parse_args()
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="auto-shutdown-bench-") as root:
        for name in given.names or NAMES:
            begin = time.monotonic()
            table = importlib.import_module(f"bench.{name}").measure(Path(root))
            print(f"{table.as_text()}\n  ({time.monotonic() - begin:.0f} s)\n", flush=True)
            tables.append(table)
    if given.write is not None:
        given.write.write_text(page(tables))


if __name__ == "__main__":
    main()

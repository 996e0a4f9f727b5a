"""Runs benchmarks, and prints a table and the duration of each."""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path

from .page import page
from .tables import Table

#: The benchmarks in the order in which they run, and what each one measures.
BENCHMARKS = {
    "passes": "a full pass, compared with reading the same over HTTP",
    "growth": "how the time of a pass grows with the number of kernels (simulated)",
    "blocking": "how long passes and calls to SageMaker block the server's event loop",
    "startup": "the time and memory that the extension adds to the start of a server",
    "promptness": "the time from the moment when an app is due to its DeleteApp",
    "liveness": "the time from a change to the row in the panel (needs chromium)",
    "calls": "how often one user's server calls SageMaker (simulated)",
    "domain": "'domain report' on 10,000 apps, compared with boto3's default retries",
}

DESCRIPTION = """\
Runs benchmarks, and prints a table and the duration of each. Without a name all of them run, one
after another. Other work on the machine makes the times longer, so run nothing beside them. The
simulated benchmarks are the quickest."""


def make_parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<11} {text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=DESCRIPTION,
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="PAGE",
        help="also write the tables to this Markdown page, and replace what it contains",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a benchmark to run")
    return parser


def main() -> None:
    parser = make_parser()
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}. See --help for the names.")
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="auto-shutdown-bench-") as root:
        for name in arguments.names or BENCHMARKS:
            print(f"{name}: {BENCHMARKS[name]} …", flush=True)
            begin = time.monotonic()
            table = importlib.import_module(f"bench.{name}").measure(Path(root))
            seconds = time.monotonic() - begin
            print(f"{table.as_text()}\n  (measured in {seconds:.0f} s)\n", flush=True)
            tables.append(table)
    if arguments.write is not None:
        arguments.write.write_text(page(tables))


if __name__ == "__main__":
    main()

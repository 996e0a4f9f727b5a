"""Simulates many servers for weeks, and prints the tables of docs/reliability.md.

    python tests/weeks/soak.py [SERVERS [WEEKS [FIRST_SEED]]]

Exits with 1 if anything was removed wrongly or twice. Prints the seed of each thing that stayed too
long and of each server with a change that no change signal reported, so that somebody can find out
why.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cycle")]

from simulation import Report, Simulation  # noqa: E402
from truth import DAY  # noqa: E402

KINDS = ("kernel", "terminal", "app")
ACCIDENTS = (
    "clean restarts",
    "kills",
    "pauses",
    "steps of the clock",
    "passes that failed",
    "temporary failures",
    "permanent failures",
    "calls that raised",
    "done, but reported as failed",
    "used at the last moment",
)
#: Activity that no observation can see (docs/decisions/006 and 001).
UNSEEN = ("work between two measurements", "used and closed between two passes")


def simulate(seed: int, weeks: float) -> Report:
    """Simulate one server."""
    with tempfile.TemporaryDirectory() as path:
        return Simulation(seed, Path(path)).run(weeks * 7 * DAY)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def at_quantile(sorted_values: Sequence[float], q: float) -> float:
    return sorted_values[int(q * (len(sorted_values) - 1))]


def by_kind(reports: Sequence[Report]) -> str:
    rows = []
    for kind in KINDS:
        removals = [r for report in reports for r in report.removals if r.kind == kind]
        late = sorted(r.late for r in removals)
        if late:
            quantiles = [f"{at_quantile(late, q):.0f} s" for q in (0.5, 0.9, 0.99, 1)]
            rows.append(
                [kind, len(removals), sum(bool(r.objections) for r in removals), *quantiles]
            )
    return table(["kind", "removals", "wrongly", "late: median", "90 %", "99 %", "most"], rows)


def main(servers: int = 20, weeks: float = 4, first: int = 0) -> int:
    logging.getLogger("auto_shutdown").setLevel(logging.CRITICAL)
    reports = []
    for seed in range(first, first + servers):
        report = simulate(seed, weeks)
        reports.append(report)
        if report.counts.get("unsignalled changes"):
            print(f"seed {seed}: CHANGES WITHOUT A SIGNAL", flush=True)
        for line in report.wrong:
            print(f"seed {seed}: WRONG: {line}", flush=True)
        for name, late in report.overstayed.items():
            print(f"seed {seed}: OVERSTAYED: {name} by {late:.0f} s", flush=True)
    counts = Counter[str]()
    for report in reports:
        counts.update(report.counts)
    wrong = sum(len(report.wrong) for report in reports)
    overstayed = sum(len(report.overstayed) for report in reports)
    days, passes = sum(r.days for r in reports), sum(r.passes for r in reports)
    platforms = Counter(report.platform for report in reports)
    seeds = f"seeds {first} to {first + servers - 1}"
    print(f"{servers} simulated servers ({seeds}), {days:.0f} simulated days:", end="")
    print(f" {', '.join(f'{n} {kind}' for kind, n in sorted(platforms.items()))}.\n")
    print(by_kind(reports))
    print(
        table(
            ["wrongly removed", "removed twice", "overstayed", "unsignalled changes", "passes"],
            [[wrong, counts["removed twice"], overstayed, counts["unsignalled changes"], passes]],
        )
    )
    print(table(["event", "times"], [[n, counts[n]] for n in ACCIDENTS]))
    print(table(["invisible activity", "times"], [[n, counts[n]] for n in UNSEEN]))
    return int(bool(wrong or counts["removed twice"]))


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:]]
    servers, weeks, first = [*numbers, *(20.0, 4.0, 0.0)[len(numbers) :]]
    sys.exit(main(int(servers), weeks, int(first)))

"""Try all faults, and make the table of docs/reliability.md from the verdicts.

python tests/faults/table.py            # prints it (about 15 minutes)
python tests/faults/table.py --write    # and puts it into the page
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "cycle")]

import rows_of_api  # noqa: E402
import rows_of_files  # noqa: E402
import rows_of_kills  # noqa: E402
import rows_of_processes  # noqa: E402
import rows_of_state  # noqa: E402
from morning import BareStudio, Morning, Verdict  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- the table of tests/faults/table.py begins -->", "<!-- and ends -->"
HEAD = (
    "| fault | tries | wrongly removed | settings and audit lines lost | "
    "recovered without a restart |\n|---|---|---|---|---|"
)
KILLS = "The server killed by SIGKILL at each write, and before and after each call (restarted)"


def row(title: str, verdicts: list[Verdict]) -> str:
    wrong, lost = (sum(v.wrongly_removed for v in verdicts), sum(v.lost for v in verdicts))
    recovered = sum(v.recovered for v in verdicts)
    return f"| {title} | {len(verdicts)} | {wrong} | {lost} | {recovered} |"


async def _bare(root: Path) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    with BareStudio(root / "studio") as studio:
        for title, tries in rows_of_api.ROWS.items():
            for name, begins, ends in tries:
                morning = Morning(root / name, studio, name)
                _add_verdict(found, title, name, await rows_of_api.run(begins, ends, morning))
        for title, functions in rows_of_state.ROWS.items():
            for function in functions:
                name = function.__name__.replace("_", "-")
                _add_verdict(found, title, name, await function(root, studio, name))
        for place, kind in rows_of_files.TRIES:
            verdict = await rows_of_files.spoilt(root, studio, place, kind)
            _add_verdict(found, rows_of_files.TITLE, rows_of_files.name_of(place, kind), verdict)
        name = "directory-deleted"
        verdict = await rows_of_files.directory_deleted(root, studio, name)
        _add_verdict(found, "The state directory is deleted while the server runs", name, verdict)
        for at in range(1, rows_of_kills.steps(root, studio) + 1):
            verdict = await rows_of_kills.killed_at(root, studio, at)
            _add_verdict(found, KILLS, f"step {at}", verdict)
    return found


def _add_verdict(found: dict[str, list[Verdict]], title: str, name: str, verdict: Verdict) -> None:
    found.setdefault(title, []).append(verdict)
    mark = "ok  " if verdict.good else "FAIL"
    print(f"{mark} {title}: {name} {'' if verdict.good else verdict}", flush=True)


def _whole(root: Path) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for title, functions in rows_of_processes.ROWS.items():
        for function in functions:
            name = function.__name__
            _add_verdict(found, title, name, function(root / name))
    return found


def _lines(found: dict[str, list[Verdict]]) -> Iterator[str]:
    yield HEAD
    yield from (row(title, verdicts) for title, verdicts in found.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"the table into {PAGE.name}")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        found = {**asyncio.run(_bare(root)), **_whole(root)}
    table = "\n".join(_lines(found))
    print("\n" + table)
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        day = time.strftime("%Y-%m-%d", time.gmtime())
        PAGE.write_text(f"{before}{BEGIN}\nMade on {day}.\n\n{table}\n{END}{after}")
    return 0 if all(v.good for verdicts in found.values() for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Run all faults, and make the table of docs/reliability.md from the verdicts.

python tests/faults/table.py            # prints it (about 15 minutes)
python tests/faults/table.py --write    # and writes it into the page
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "cycle")]

import rows_of_api  # noqa: E402
import rows_of_files  # noqa: E402
import rows_of_jupyter  # noqa: E402
import rows_of_kills  # noqa: E402
import rows_of_processes  # noqa: E402
import rows_of_state  # noqa: E402
from morning import BareStudio, Verdict  # noqa: E402

PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- the table of tests/faults/table.py begins -->", "<!-- and ends -->"
HEAD = (
    "| fault | tries | wrongly removed | settings and audit lines lost | "
    "recovered without a restart |\n|---|---|---|---|---|"
)
DELETED = "The state directory is deleted while the server runs"
KILLS = "The server killed by SIGKILL at each write, and before and after each call (restarted)"


class Results:
    """The verdicts of all tries, by the title of their row of the table."""

    def __init__(self) -> None:
        self.verdicts: dict[str, list[Verdict]] = {}

    async def add(self, title: str, name: str, run: Callable[[], Awaitable[Verdict]]) -> None:
        """Run one try. An error in it counts as a try that has not recovered; the others go on."""
        started = time.monotonic()
        try:
            verdict = await run()
        except Exception:
            traceback.print_exc()
            verdict = Verdict(0, 0, recovered=False, note="an error, see above")
        self.verdicts.setdefault(title, []).append(verdict)
        mark = "ok  " if verdict.good else "FAIL"
        seconds = time.monotonic() - started
        what = "" if verdict.good else verdict
        print(f"{mark} {seconds:5.1f} s  {title}: {name} {what}", flush=True)

    def rows(self) -> Iterator[str]:
        """The table in Markdown."""
        yield HEAD
        for title, verdicts in self.verdicts.items():
            wrong, lost = sum(v.wrongly_removed for v in verdicts), sum(v.lost for v in verdicts)
            recovered = sum(v.recovered for v in verdicts)
            yield f"| {title} | {len(verdicts)} | {wrong} | {lost} | {recovered} |"

    @property
    def good(self) -> bool:
        return all(v.good for verdicts in self.verdicts.values() for v in verdicts)


async def _simulated_mornings(root: Path, results: Results) -> None:
    with BareStudio(root / "studio") as studio:
        for title, tries in rows_of_api.ROWS.items():
            for try_ in tries:
                await results.add(title, try_[0], partial(rows_of_api.run, try_, root, studio))
        for title, faults in rows_of_jupyter.ROWS.items():
            for fault in faults:
                await results.add(
                    title, fault[0], partial(rows_of_jupyter.run, fault, root, studio)
                )
        for title, functions in rows_of_state.ROWS.items():
            for function in functions:
                name = function.__name__.replace("_", "-")
                await results.add(title, name, partial(function, root, studio, name))
        for place, kind in rows_of_files.TRIES:
            name = rows_of_files.name_of(place, kind)
            run = partial(rows_of_files.replaced, root, studio, place, kind)
            await results.add(rows_of_files.TITLE, name, run)
        run = partial(rows_of_files.directory_deleted, root, studio, "deleted")
        await results.add(DELETED, "deleted", run)
        for at in range(1, rows_of_kills.steps(root, studio) + 1):
            run = partial(rows_of_kills.killed_at, root, studio, at)
            await results.add(KILLS, f"step {at}", run)


async def _real_processes(root: Path, results: Results) -> None:
    for title, functions in rows_of_processes.ROWS.items():
        for function in functions:
            name = function.__name__
            await results.add(title, name, partial(asyncio.to_thread, function, root / name))


async def _all_tries() -> Results:
    results = Results()
    with tempfile.TemporaryDirectory() as path:
        await _simulated_mornings(Path(path), results)
        await _real_processes(Path(path), results)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"the table into {PAGE.name}")
    write = parser.parse_args().write
    results = asyncio.run(_all_tries())
    table = "\n".join(results.rows())
    print("\n" + table)
    if write:
        before, _, rest = PAGE.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        day = time.strftime("%Y-%m-%d", time.gmtime())
        PAGE.write_text(f"{before}{BEGIN}\nMade on {day}.\n\n{table}\n{END}{after}")
    return 0 if results.good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Counts the calls to SageMaker for one user in an hour."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from .simulated import Bench
from .tables import Table

MINUTE = timedelta(minutes=1)
HOURS = 8

#: Requests an hour of a front end that asks /sagemaker/api/apps every ten seconds.
POLLS_AN_HOUR = 360


def user_with_two_apps(root: Path, name: str) -> Bench:
    """The controller of a user who has two apps and one notebook in each."""
    bench = Bench(root / f"calls-{name}")
    for number in (1, 2):
        bench.world.kernel(f"k{number}", bench.world.app(f"app-{number}"))
    return bench


async def idle(bench: Bench) -> None:
    """Nothing is due and no panel is open. A keep-alive of a day keeps the apps, which would
    otherwise be removed."""
    await bench.controller.run_pass()
    for app in bench.world.apps.values():
        await bench.controller.requests.keep_alive(app.ref, 24 * 60)
    await bench.live(HOURS * 60 * MINUTE)


async def busy(bench: Bench) -> None:
    """Both kernels run long cells and no panel is open."""
    bench.world.kernels["k1"] = replace(bench.world.kernels["k1"], state="busy")
    bench.world.kernels["k2"] = replace(bench.world.kernels["k2"], state="busy")
    await bench.live(HOURS * 60 * MINUTE)


async def working(bench: Bench) -> None:
    """Each kernel runs a cell every five minutes; a notebook is opened or closed every half
    hour."""
    for minute in range(0, HOURS * 60, 5):
        for number in (1, 2):
            kernel = bench.world.kernels[f"k{number}"]
            bench.world.kernels[kernel.id] = replace(kernel, last_activity=bench.clock.now)
        if minute % 60 == 0:
            bench.world.kernel("extra", bench.world.apps["KernelGateway/app-1"])
        elif minute % 60 == 30:
            bench.world.kernels.pop("extra", None)
        await bench.live(5 * MINUTE)


async def working_with_panel(bench: Bench) -> None:
    """The same as ``working``, with an open panel, which asks every ten seconds."""
    span = timedelta(seconds=10)
    for step in range(HOURS * 360):
        if step % 30 == 0:
            for number in (1, 2):
                kernel = bench.world.kernels[f"k{number}"]
                bench.world.kernels[kernel.id] = replace(kernel, last_activity=bench.clock.now)
        bench.controller.panel_asked()
        await bench.live(span)


async def left_alone(bench: Bench) -> None:
    """Nobody uses the apps any more. The extension removes them, and these calls count, too."""
    await bench.live(HOURS * 60 * MINUTE)


ROWS = (
    (idle, "apps kept by a keep-alive, no panel open", 6.0),
    (busy, "long cells, no panel open", 6.0),
    (working, "short cells, notebooks opened and closed, no panel open", None),
    (working_with_panel, "the same, panel open", 60.0),
    (left_alone, "nobody uses the apps; both are removed", None),
)


def measure(root: Path) -> Table:
    table = Table(
        "Calls to SageMaker by one user's server",
        f"The real controller runs through {HOURS} simulated hours, and the benchmark counts its "
        "calls. The ratio compares them with a front end that reads the list of apps every ten "
        f"seconds ({POLLS_AN_HOUR} calls an hour).",
        ("situation", "ListApps an hour", f"DeleteApp in {HOURS} hours", "ratio"),
    )
    for live, title, target in ROWS:
        bench = user_with_two_apps(root, live.__name__)
        asyncio.run(_load_and(live, bench))
        hourly = bench.world.listings / HOURS
        deleted = sum(name.startswith("KernelGateway/") for name in bench.world.removed)
        ratio = f"{POLLS_AN_HOUR / hourly:.0f}x" if hourly else "-"
        table.rows.append((title, f"{hourly:.1f}", str(deleted), ratio))
        if target is not None:
            table.judge(f"ListApps an hour ({title})", hourly, target, "calls")
    return table


async def _load_and(live: object, bench: Bench) -> None:
    await bench.controller.load()
    await live(bench)  # type: ignore[operator]

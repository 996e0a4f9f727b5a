"""Measures how the time of a pass grows with the number of kernels, up to ten thousand."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from .simulated import Bench
from .tables import Table, ms, slope

SIZES = (1, 10, 100, 1_000, 10_000)


def user_with_kernels(root: Path, kernels: int) -> Bench:
    bench = Bench(root / f"growth-{kernels}")
    app = bench.world.app("everything")
    for index in range(kernels):
        bench.world.kernel(
            f"kernel-{index:06d}", app, instance_type="ml.t3.medium", paths=(f"{index}.ipynb",)
        )
    return bench


async def one_pass(bench: Bench, kernels: int) -> float:
    """The processor time of a pass in seconds: the least of several measurements, because the rest
    is noise of the machine."""
    await bench.controller.load()
    await bench.controller.run_pass()
    count = max(3, min(200, 20_000 // kernels))
    best = float("inf")
    for _ in range(5):
        begin = time.process_time()
        for _ in range(max(1, count // 5)):
            bench.clock.advance(timedelta(seconds=1))
            await bench.controller.run_pass()
        best = min(best, (time.process_time() - begin) / max(1, count // 5))
    return best


def measure(root: Path) -> Table:
    table = Table(
        "Growth with kernels",
        "Processor time of a full pass over simulated kernels: all work of the extension except "
        "reading the server. If the time grows in proportion, the time per kernel stays the same.",
        ("kernels", "time of a pass", "time per kernel", "compared with ten times fewer"),
    )
    points: list[tuple[float, float]] = []
    for kernels in SIZES:
        spent = asyncio.run(one_pass(user_with_kernels(root, kernels), kernels))
        grown = f"{spent / points[-1][1]:.3g}x" if points else "-"
        points.append((float(kernels), spent))
        table.rows.append((f"{kernels:,}", ms(spent), f"{spent / kernels * 1e6:.1f} us", grown))
    base, per_kernel = slope(points)
    table.judge("time of a pass without kernels", base * 1000, 0.5, "ms")
    table.judge("time of each further kernel", per_kernel * 1e6, 5, "us")
    ratio = points[-1][1] / points[-2][1]
    table.judge("10,000 kernels compared with 1,000", ratio, 12, "times the time")
    return table

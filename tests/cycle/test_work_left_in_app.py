"""Work that runs on in an app after the cell that started it (``nohup``): only a kernel of the app
can report it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from value_world import MINUTE, Bench

HOUR = timedelta(hours=1)


async def test_job_that_a_cell_left_in_its_app_keeps_the_app_and_a_kernel(bench: Bench) -> None:
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.at_work.add(app.id)
    await bench.live(5 * HOUR)
    assert bench.world.removed == []
    assert bench.resource(app.id)["reason"] == "background-work"
    bench.world.at_work.clear()
    await bench.live(118 * MINUTE)
    assert app.id not in bench.world.removed
    await bench.live(10 * MINUTE)
    assert bench.world.removed == ["k", app.id]


@pytest.mark.parametrize("works", [False, True])
async def test_app_is_queried_before_its_kernel_with_a_shorter_limit_is_removed(
    bench: Bench, works: bool
) -> None:
    """Only the kernel can report a job that it left, so the app is queried before. Afterwards the
    app must not wait for an answer that no kernel can give."""
    await bench.controller.load()
    await bench.controller.requests.patch_settings({"kernel_idle_timeout_minutes": 30})
    app = bench.world.app("a")
    bench.world.kernel("k", app)
    bench.world.at_work.update({app.id} if works else ())
    await bench.live(29 * MINUTE)
    assert bench.world.removed == []
    await bench.live(3 * MINUTE)
    assert bench.world.removed == ([] if works else ["k"])
    asked = [app.ref in questions for questions in bench.world.asked]
    assert any(asked)
    await bench.live(2 * HOUR)
    assert bench.world.removed == ([] if works else ["k", app.id])
    assert works or len(bench.world.asked) == len(asked), "no kernel is left that could answer"

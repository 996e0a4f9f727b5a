"""What ends or begins while a pass, a removal or a user's request waits. Each test forces the order
with events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from value_world import Bench, until

from auto_shutdown.core.model import Kind, Ref
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle import one_pass, requested_removal

PAST_THE_TIMEOUT = timedelta(minutes=2)

K = Ref(Kind.KERNEL, "k")


class Gate:
    """Stops one method of ``owner`` before (or after) each call, until the test opens the gate."""

    def __init__(self, owner: Any, name: str, after: bool = False) -> None:
        self._method: Callable[..., Awaitable[Any]] = getattr(owner, name)
        self._after = after
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        setattr(owner, name, self._call)

    async def _call(self, *arguments: Any, **more: Any) -> Any:
        result = await self._method(*arguments, **more) if self._after else None
        self.reached.set()
        await self.opened.wait()
        return result if self._after else await self._method(*arguments, **more)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pass and no request waits for a removal."""
    monkeypatch.setattr(one_pass, "REMOVAL_SECONDS", 0.0)
    monkeypatch.setattr(requested_removal, "REQUEST_SECONDS", 0.0)


def outcomes(bench: Bench) -> list[tuple[str, str]]:
    return [(o["id"], o["outcome"]) for o in bench.controller.report()["outcomes"]]


@pytest.mark.parametrize("result", [Result.REMOVED, Result.TEMPORARY])
@pytest.mark.parametrize("kind", ["kernel", "app"])
@pytest.mark.usefixtures("hurried")
async def test_a_removal_that_ends_while_a_pass_observes_is_not_tried_again_by_that_pass(
    bench: Bench, kind: str, result: Result
) -> None:
    """The pass has an old list, which still has the resource."""
    app = bench.world.app("a")
    if kind == "kernel":
        bench.world.kernel("k")
        del bench.world.apps[app.id]
    name = "k" if kind == "kernel" else app.id
    bench.world.answers[name] = [Outcome(result, "It ended.", "Code")]
    await bench.controller.load()
    await bench.controller.requests.patch_settings({"warn_minutes": 0})
    await bench.live(timedelta(minutes=119, seconds=59))
    removal = Gate(bench.world, "remove")
    bench.clock.advance(PAST_THE_TIMEOUT)
    await bench.controller.run_pass()
    await removal.reached.wait()
    observation = Gate(bench.world, "observe", after=True)
    next_pass = asyncio.ensure_future(bench.controller.run_pass())
    await observation.reached.wait()
    removal.opened.set()
    await until(lambda: not bench.controller._tasks._tasks)
    observation.opened.set()
    await next_pass
    assert outcomes(bench) == [(name, result.value)]
    assert bench.world.removed == [name]
    assert bench.controller._changes.take() is None, "a full pass follows, and may try again"


@pytest.mark.usefixtures("hurried")
async def test_a_pass_follows_a_requested_removal_that_outlasts_its_request(bench: Bench) -> None:
    """Otherwise the report would show it as in progress until the next poll."""
    bench.world.kernel("k")
    await bench.controller.run_pass()
    removal = Gate(bench.world, "remove")
    answer = await bench.controller.requests.remove(K)
    assert answer["outcome"] == "temporary"
    bench.controller._changes.take()
    await removal.reached.wait()
    removal.opened.set()
    await until(lambda: bench.world.removed)
    assert await bench.controller._changes.wait(5.0)

"""Users get one notice of a removal, also if it is unknown for hours whether background work
runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from value_world import MINUTE, START, Bench

from auto_shutdown.core.model import Answer, Kind, Ref

HOUR = timedelta(hours=1)

Answering = Callable[[Ref, datetime], Answer]


def nothing(ref: Ref, _now: datetime) -> Answer:
    return Answer(ref, conclusive=True, cores=0.0)


def working(ref: Ref, _now: datetime) -> Answer:
    return Answer(ref, conclusive=True, working=True, detail="its host uses 1.00 cores")


def unread(ref: Ref, _now: datetime) -> Answer:
    return Answer(ref, conclusive=True, unread=True, detail="a server does not answer")


def inconclusive(ref: Ref, _now: datetime) -> Answer:
    return Answer(ref, conclusive=False)


def alternating(ref: Ref, now: datetime) -> Answer:
    odd = (now - START) // MINUTE % 2
    return unread(ref, now) if odd else inconclusive(ref, now)


NEVER_RULED_OUT = {
    "works": working,
    "cannot be read": unread,
    "inconclusive": inconclusive,
    "in turn": alternating,
}


class Life:
    """A shared app with one idle kernel or without a kernel. ``answering`` makes the answers to the
    queries about the app. ``notices`` has the time and the resource of each notice."""

    def __init__(self, path: Path, answering: Answering, with_kernel: bool) -> None:
        self.bench, self.answering = Bench(path), answering
        self.notices: list[tuple[datetime, str]] = []
        world = self.bench.world
        app = world.app("a", shared=True)
        if with_kernel:
            world.kernel("k", app)
        world.ask = self._ask  # type: ignore[method-assign]
        self.bench.controller.announcer.add(self)

    async def _ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        now = self.bench.clock.now
        return tuple(
            (self.answering if ref.kind is Kind.APP else nothing)(ref, now) for ref in questions
        )

    def notice(self, notice: Mapping[str, Any]) -> None:
        assert notice["due_at"] is not None
        self.notices.append((self.bench.clock.now, str(notice["id"])))

    def changed(self, _sequence: int) -> None: ...

    def removal(self, _outcome: Mapping[str, Any]) -> None: ...

    def fault(self, _fault: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize("with_kernel", [True, False], ids=["with a kernel", "an app alone"])
@pytest.mark.parametrize("name", NEVER_RULED_OUT)
async def test_people_get_one_notice_while_work_cannot_be_ruled_out(
    name: str, with_kernel: bool, tmp_path: Path
) -> None:
    life = Life(tmp_path, NEVER_RULED_OUT[name], with_kernel)
    await life.bench.controller.load()
    await life.bench.live(6 * HOUR)
    told = [who for _, who in life.notices]
    assert len(told) == len(set(told)), life.notices
    assert not life.bench.world.removed
    if name in ("works", "cannot be read"):
        assert all(r["due_at"] is None for r in life.bench.controller.report()["resources"])


@pytest.mark.parametrize("with_kernel", [True, False], ids=["with a kernel", "an app alone"])
async def test_a_removal_after_hours_of_unread_work_gets_a_notice_of_its_own(
    with_kernel: bool, tmp_path: Path
) -> None:
    life = Life(tmp_path, unread, with_kernel)
    await life.bench.controller.load()
    await life.bench.live(6 * HOUR)
    life.notices.clear()
    life.answering = nothing
    await life.bench.live(4 * MINUTE)
    assert not life.bench.world.removed
    assert life.notices
    await life.bench.live(HOUR)
    removed = life.bench.world.removed
    assert sorted(removed) == sorted(who for _, who in life.notices)
    assert len(removed) == 1 + with_kernel


async def test_a_notice_still_counts_after_a_short_time_of_unread_work(tmp_path: Path) -> None:
    life = Life(tmp_path, unread, True)
    await life.bench.controller.load()
    await life.bench.live(2 * HOUR + MINUTE)
    life.answering = nothing
    await life.bench.live(3 * MINUTE)
    assert len(life.bench.world.removed) == len(life.notices) == 2

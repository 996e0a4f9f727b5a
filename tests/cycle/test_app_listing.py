"""When the extension calls ListApps: rarely without an open panel, and within a minute with one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from value_world import Bench
from waiting import eventually

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.model import App, Snapshot, Unread
from auto_shutdown.cycle.app_listing import AT_MOST_EVERY, EVERY, PANEL_SECONDS
from auto_shutdown.cycle.pass_clock import PAUSE_SECONDS

HOUR = 3600.0


class Timeline:
    """A controller on a simulated clock, whose passes begin when the loop would begin them."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.bench = Bench(path, limits or Limits())
        self.bench.world.kernel("k", self.bench.world.app("a"), state="busy")
        #: When ListApps was called, and when full passes began, in seconds since the start.
        self.listed_at: list[float] = []
        self.passes = 0
        self._start = self.bench.clock.monotonic
        self._observe, self._list_apps = self.bench.world.observe, self.bench.world.list_apps
        self.bench.world.observe = self._observe_slowly  # type: ignore[method-assign]
        self.bench.world.list_apps = self._count  # type: ignore[method-assign]
        self.pass_seconds = 0.0

    @property
    def now(self) -> float:
        return self.bench.clock.monotonic - self._start

    async def _count(self) -> tuple[App, ...]:
        self.listed_at.append(self.now)
        return await self._list_apps()

    async def _observe_slowly(self, list_apps: bool, last_look: bool = False) -> Snapshot:
        snapshot = await self._observe(list_apps, last_look)
        self.bench.clock.advance(timedelta(seconds=self.pass_seconds))
        return snapshot

    @property
    def list_age(self) -> float:
        return self.now - self.listed_at[-1]

    async def full_pass(self) -> None:
        self.passes += 1
        await self.bench.controller.run_pass()

    async def run_until(self, then: float) -> None:
        """Begin each full pass when it is due, up to ``then``."""
        clock = self.bench.controller._clock
        while (left := max(clock.seconds_left(), 0.0)) + self.now <= then:
            self.bench.clock.advance(timedelta(seconds=left))
            await self.full_pass()
            assert self.passes <= 60 + 4 * self.now, "passes follow each other without a break"
        self.bench.clock.advance(timedelta(seconds=max(then - self.now, 0.0)))

    async def run_with_panel(self, seconds: float, ask_every: float = 90.0) -> None:
        begin = self.now
        for number in range(int(seconds / ask_every)):
            self.bench.controller.panel_asked()
            await self.run_until(begin + (number + 1) * ask_every)


@pytest.fixture
def timeline(tmp_path: Path) -> Timeline:
    return Timeline(tmp_path)


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip(times, times[1:])]


@pytest.mark.parametrize(("age", "calls"), [(50.0, 1), (70.0, 2)])
async def test_a_new_kernel_in_an_app_causes_a_call_if_the_list_is_a_minute_old(
    timeline: Timeline, age: float, calls: int
) -> None:
    """Somebody may have created an app, too."""
    world = timeline.bench.world
    await timeline.full_pass()
    await timeline.run_until(age)
    assert len(timeline.listed_at) == 1
    world.kernel("new", world.app("a"))
    await timeline.full_pass()
    assert len(timeline.listed_at) == calls


class TestOpenPanel:
    async def test_the_list_is_as_old_as_allowed_and_no_older(self, timeline: Timeline) -> None:
        await timeline.run_with_panel(HOUR)
        assert min(gaps(timeline.listed_at)) >= AT_MOST_EVERY
        assert max(gaps(timeline.listed_at)) <= AT_MOST_EVERY + 0.01
        assert timeline.passes == len(timeline.listed_at)

    @pytest.mark.parametrize("second", [1.0, 59.0, 59.99, 60.0, 60.0005])
    async def test_a_pass_shortly_before_the_list_is_due_does_not_delay_it(
        self, second: float, timeline: Timeline
    ) -> None:
        await timeline.full_pass()
        timeline.bench.controller.panel_asked()
        await timeline.run_until(second)
        await timeline.full_pass()  # a signal caused it
        await timeline.run_until(AT_MOST_EVERY + 1.0)
        assert len(timeline.listed_at) == 2
        assert timeline.listed_at[1] <= AT_MOST_EVERY + PAUSE_SECONDS + 0.01

    async def test_a_panel_that_opens_late_has_a_new_list_at_once(self, timeline: Timeline) -> None:
        await timeline.full_pass()
        await timeline.run_until(400.0)
        assert timeline.listed_at == [0.0]
        timeline.bench.controller.panel_asked()
        assert timeline.bench.controller._clock.seconds_left() <= 0.001 + 1e-6
        await timeline.run_until(401.0)
        assert timeline.listed_at == [0.0, pytest.approx(400.0, abs=0.01)]

    async def test_a_second_request_of_the_panel_starts_no_second_call(
        self, timeline: Timeline
    ) -> None:
        await timeline.full_pass()
        await timeline.run_until(400.0)
        for _ in range(5):
            timeline.bench.controller.panel_asked()
            await timeline.run_until(timeline.now + 1.0)
        assert len(timeline.listed_at) == 2

    async def test_a_closed_panel_makes_no_calls(self, timeline: Timeline) -> None:
        await timeline.run_with_panel(10.0, ask_every=10.0)
        await timeline.run_until(10.0 + PANEL_SECONDS)
        calls = len(timeline.listed_at)
        assert calls <= 1 + PANEL_SECONDS / AT_MOST_EVERY
        await timeline.run_until(10.0 + PANEL_SECONDS + EVERY / 2)
        assert len(timeline.listed_at) == calls

    async def test_an_open_panel_makes_the_next_pass_in_the_report_earlier(
        self, timeline: Timeline
    ) -> None:
        await timeline.full_pass()
        bench = timeline.bench
        await timeline.run_until(30.0)
        await timeline.full_pass()  # a signal caused it; it calls no ListApps
        polled = bench.controller.report()["health"]["next_pass"]
        bench.controller.panel_asked()
        assert bench.controller.report()["health"]["next_pass"] < polled

    async def test_the_next_pass_in_the_report_is_never_in_the_past(
        self, timeline: Timeline
    ) -> None:
        await timeline.full_pass()
        bench = timeline.bench
        await timeline.run_until(400.0)
        bench.clock.advance(timedelta(seconds=5))  # an open panel has needed a new list for long
        bench.controller.panel_asked()
        report = bench.controller.report()
        assert report["health"]["next_pass"] >= report["now"]

    async def test_a_failing_list_is_called_ever_more_rarely(self, timeline: Timeline) -> None:
        timeline.bench.world.unread["apps"] = Unread("apps", "Throttling", "Too many.", "Wait.")
        await timeline.run_with_panel(HOUR)
        assert [round(gap / AT_MOST_EVERY) for gap in gaps(timeline.listed_at)][:4] == [1, 2, 4, 8]
        assert max(gaps(timeline.listed_at)) <= 16 * 60 + 1
        assert timeline.passes <= 2 * HOUR / 60

    async def test_a_pass_that_fails_is_not_repeated_at_once(self, timeline: Timeline) -> None:
        await timeline.full_pass()
        await timeline.run_until(400.0)

        async def broken(list_apps: bool, last_look: bool = False) -> Snapshot:
            raise RuntimeError("broken")

        timeline.bench.world.observe = broken  # type: ignore[method-assign]
        for _ in range(20):
            timeline.bench.controller.panel_asked()
            if timeline.bench.controller._clock.seconds_left() <= 0.5:
                timeline.bench.clock.advance(timedelta(seconds=0.5))
                with pytest.raises(RuntimeError):
                    await timeline.full_pass()
        assert timeline.passes <= 9  # one of them since the panel is open

    async def test_an_interval_of_minutes_makes_the_calls_as_rare(self, tmp_path: Path) -> None:
        timeline = Timeline(tmp_path, replace(Limits(), poll_interval_seconds=300))
        await timeline.run_with_panel(HOUR)
        assert min(gaps(timeline.listed_at)) >= 300

    async def test_where_there_is_no_list_the_panel_starts_no_pass(
        self, timeline: Timeline
    ) -> None:
        timeline.bench.world.has_apps = False
        await timeline.run_with_panel(HOUR, ask_every=1.0)
        assert timeline.listed_at == []
        assert timeline.passes <= HOUR / 60 + 1


async def test_the_loop_does_not_wait_for_the_poll_when_a_panel_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real loop on the real clock. A poll would call ListApps only after an hour."""
    bench = Bench(tmp_path, replace(Limits(), poll_interval_seconds=HOUR))
    bench.use_real_clock()
    monkeypatch.setattr(bench.controller._runner._app_listing, "_panel_wait", 0.5)
    await bench.controller.start()
    try:
        await eventually(lambda: bench.controller._clock.next_at, "the first pass")
        assert bench.world.listings == 1
        bench.controller.panel_asked()
        await eventually(lambda: bench.world.listings >= 3, "two more lists")
    finally:
        await bench.controller.stop()


#: What happens on a server, after a pause of so many milliseconds. The simulated clock counts
#: microseconds, so the pauses are whole numbers.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 70_000), st.sampled_from(["panel", "signal", "cell", "check", "slow"])
    ),
    max_size=40,
)


@given(events=EVENTS)
@settings(deadline=None)
def test_with_an_open_panel_the_list_is_never_older_than_its_limit_and_one_pass(
    events: list[tuple[int, str]], tmp_path_factory: Any
) -> None:
    """Whatever passes signals and users cause in between, and however long the passes take."""
    asyncio.run(_check_ages(events, tmp_path_factory.mktemp("listing")))


async def _check_ages(events: list[tuple[int, str]], path: Path) -> None:
    timeline = Timeline(path)
    controller, longest_pass = timeline.bench.controller, 0.0
    await timeline.full_pass()
    for milliseconds, event in events:
        # The panel asks at least every 90 s, and no pause is longer than 70 s.
        controller.panel_asked()
        await timeline.run_until(timeline.now + milliseconds / 1000)
        # The list may be due while another pass runs, so its own pass is the second one.
        assert timeline.list_age <= AT_MOST_EVERY + PAUSE_SECONDS + 0.01 + 2 * longest_pass
        if event == "signal":
            await timeline.full_pass()
        elif event == "cell":
            await controller.run_pass(kernels={"k"})
        elif event == "check":
            await controller.check(list_apps=True)
        elif event == "slow":
            timeline.pass_seconds = longest_pass = 4.0
    checks = sum(event == "check" for _, event in events)
    assert len(timeline.listed_at) <= 1 + checks + timeline.now / AT_MOST_EVERY

"""The pace of calls in virtual time, against the token buckets of the local API."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from auto_shutdown.domain.errors import CallError, OutOfTimeError
from auto_shutdown.domain.pace import BACK_OFF, Aws, Pace
from auto_shutdown.local_studio.rates import Rates
from auto_shutdown.local_studio.resources import ApiError

LIST = ("sagemaker", "list_apps")


@dataclass
class VirtualAccount:
    """An account with its rate, and the time. ``late``: a wake-up comes so many seconds late on the
    average; ``latency``: an answer takes so many; ``others``: calls a second of other people."""

    late: float = 0.0
    latency: float = 0.0
    others: float = 0.0
    saved_seconds: float = 1.0
    now: float = 1_000.0
    refused: int = 0
    starts: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(7)
        self._at = self._next_other = self.now
        self._rates = Rates(saved_seconds=self.saved_seconds, clock=lambda: self._at)
        self.pace = Pace(monotonic=lambda: self.now, sleep=self._sleep)

    def _some(self, mean: float) -> float:
        return self._random.expovariate(1 / mean) if mean else 0.0

    def _sleep(self, seconds: float) -> None:
        self.now += seconds + self._some(self.late)

    def _answer(self) -> bool:
        latency = self._some(self.latency)
        arrival = self.now + latency / 2
        while self.others and self._next_other < arrival:
            self._at = self._next_other
            self._is_answered()
            self._next_other += self._some(1 / self.others)
        self._at = max(arrival, self._at)
        self.now += latency
        return self._is_answered()

    def _is_answered(self) -> bool:
        try:
            self._rates.check("ListApps")
        except ApiError:
            return False
        return True

    def call(self) -> None:
        """One call as ``Aws.call`` makes it. Fails where it is refused for good."""
        for attempt in range(len(BACK_OFF) + 1):
            self.pace.wait(*LIST, again=attempt > 0)
            self.starts.append(self.now)
            if self._answer():
                self.pace.answered(*LIST)
                return
            self.refused += 1
            assert attempt < len(BACK_OFF), "refused for good"
            self.pace.back_off(*LIST, attempt + 1)

    def seconds(self, calls: int) -> float:
        begin = self.now
        for _ in range(calls):
            self.call()
        return self.now - begin


@pytest.mark.parametrize("calls", [124, 1_240])
@pytest.mark.parametrize(
    ("late", "latency"), [(0.0, 0.0), (0.001, 0.03), (0.02, 0.06), (0.05, 0.1)]
)
def test_calls_take_as_long_as_the_rate_allows(late: float, latency: float, calls: int) -> None:
    account = VirtualAccount(late, latency)
    assert account.seconds(calls) <= 1.05 * calls / 2
    assert account.refused <= calls / 50


def test_calls_without_burst_take_little_longer() -> None:
    account = VirtualAccount(0.001, 0.03, saved_seconds=0.0)
    assert account.seconds(124) <= 1.1 * 124 / 2


@pytest.mark.parametrize("others", [0.5, 1.0, 1.5])
def test_calls_slow_down_when_others_use_the_same_rate(others: float) -> None:
    """Nothing is refused for good, and the time is what the others leave."""
    account = VirtualAccount(0.02, 0.06, others)
    assert account.seconds(500) <= 1.1 * 500 / (2 - others)


def test_pace_recovers_when_others_stop_calling() -> None:
    account = VirtualAccount(others=4.0)
    account.seconds(50)
    account.others = 0.0
    account.seconds(100)
    assert account.seconds(100) <= 1.05 * 50


def test_no_burst_follows_a_pause() -> None:
    account = VirtualAccount()
    account.seconds(2)
    account.now += 600
    account.starts.clear()
    account.seconds(20)
    assert account.refused == 0
    assert sum(at < account.starts[0] + 0.5 for at in account.starts) <= 5


def test_no_wait_passes_the_end_of_the_run() -> None:
    account = VirtualAccount()
    account.pace.until = account.now + 3
    with pytest.raises(OutOfTimeError):
        account.seconds(100)
    assert account.now <= account.pace.until
    account.pace.until = None
    account.pace.stop()
    with pytest.raises(OutOfTimeError):
        account.call()


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_share_the_rate(threads: int) -> None:
    planned: list[float] = []
    pace = Pace(monotonic=lambda: 100.0, sleep=planned.append)

    def work() -> None:
        for _ in range(100 // threads):
            pace.wait(*LIST)

    run_all([work] * threads)
    # The clock stands still, so the waits are the instants of the calls.
    assert sorted(planned) == pytest.approx([0.51 * n for n in range(1, 100)])


def run_all(works: list[Callable[[], None]]) -> None:
    running = [threading.Thread(target=work) for work in works]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]])
def test_a_repeated_token_ends_the_pages_of_every_service(
    tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{"Subscriptions": [], "NextToken": token} for token in tokens])
    monkeypatch.setattr(Aws, "call", lambda *_words, **_request: next(answers))
    with pytest.raises(CallError) as caught:
        for _ in Aws("us-west-2").answers("sns", "list_subscriptions_by_topic"):
            pass
    assert caught.value.code == "RepeatedToken"

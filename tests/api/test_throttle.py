"""The limits of a client: a burst, a rate, a number at once. And the memory for clients, which does
not grow."""

from __future__ import annotations

import contextlib

import pytest

from auto_shutdown.api import throttle as module
from auto_shutdown.api.throttle import CHECK, RATES, WRITE, Throttle, TooManyRequestsError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def allowed(throttle: Throttle, client: str, kind: str) -> bool:
    try:
        with throttle.request(client, kind):
            return True
    except TooManyRequestsError:
        return False


@pytest.mark.parametrize("kind", RATES)
def test_client_may_send_a_burst_and_then_a_steady_rate(kind: str) -> None:
    clock = Clock()
    throttle = Throttle(clock)
    most, each_second = RATES[kind]
    assert sum(allowed(throttle, "a", kind) for _ in range(1000)) == most
    clock.now += 10
    assert sum(allowed(throttle, "a", kind) for _ in range(1000)) == 10 * each_second
    clock.now += 1e6
    assert sum(allowed(throttle, "a", kind) for _ in range(1000)) == most


def test_each_client_and_kind_of_request_has_its_own_allowance() -> None:
    throttle = Throttle(Clock())
    while allowed(throttle, "a", CHECK):
        pass
    assert allowed(throttle, "a", WRITE)
    assert allowed(throttle, "b", CHECK)


def test_a_refusal_says_when_to_ask_again() -> None:
    throttle = Throttle(Clock())
    while allowed(throttle, "a", CHECK):
        pass
    with pytest.raises(TooManyRequestsError) as caught, throttle.request("a", CHECK):
        pass
    assert caught.value.seconds == 2
    assert caught.value.remedy == "Ask again in 2 s, and less often."


def test_requests_of_a_client_at_the_same_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 3)
    throttle = Throttle(Clock())
    with contextlib.ExitStack() as waiting:
        for _ in range(3):
            waiting.enter_context(throttle.request("a", WRITE))
        assert not allowed(throttle, "a", WRITE)
        assert allowed(throttle, "b", WRITE)
    assert allowed(throttle, "a", WRITE)


def test_memory_for_clients_is_bounded() -> None:
    throttle = Throttle(Clock())
    for number in range(module.MOST_CLIENTS * 2):
        assert allowed(throttle, str(number), WRITE)
    assert len(throttle._buckets) == module.MOST_CLIENTS
    assert not throttle._running

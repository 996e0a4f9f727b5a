"""The request rates of an account: how many calls a second the API answers without throttling.

For notebook instances and lifecycle configurations the SageMaker documentation gives these rates
for a whole account and region: 2 a second for lists, 5 for descriptions and 1 for changes. It gives
no rates for Studio. This module assumes the same numbers for Studio, and that all operations of one
kind share one rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .resources import ApiError

#: Calls a second, by the first word of the operation.
SAGEMAKER: Mapping[str, float] = {
    "List": 2.0,
    "Describe": 5.0,
    "Create": 1.0,
    "Update": 1.0,
    "Delete": 1.0,
}
#: Calls of CloudTrail's LookupEvents a second.
LOOK_UP = 2.0


@dataclass
class Bucket:
    """A token bucket that is full at first. ``rate`` tokens a second refill it up to ``burst``."""

    rate: float
    burst: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        """Whether one more call is answered. A refused call takes no token."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        # The tolerance is for rounding: a caller that is exactly on time must not be refused.
        if self.tokens < 1.0 - 1e-9:
            return False
        self.tokens -= 1.0
        return True


@dataclass
class Rates:
    """The rates of one account and region. ``times`` multiplies all of them. After a pause, the
    calls of ``saved_seconds`` (at least one call) are answered without delay."""

    times: float = 1.0
    saved_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    #: How many calls were refused, by operation.
    refused: dict[str, int] = field(default_factory=dict)
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, operation: str) -> None:
        """Count a call of ``operation``. Raises ApiError (ThrottlingException) above the rate."""
        word = next((word for word in SAGEMAKER if operation.startswith(word)), "")
        rate = LOOK_UP if operation == "LookupEvents" else SAGEMAKER.get(word)
        if rate is None:
            return
        with self._lock:
            now = self.clock()
            name = word or operation
            if name not in self._buckets:
                burst = max(1.0, rate * self.times * self.saved_seconds)
                self._buckets[name] = Bucket(rate * self.times, burst, burst, now)
            if self._buckets[name].take(now):
                return
            self.refused[operation] = self.refused.get(operation, 0) + 1
        raise ApiError("ThrottlingException", "Rate exceeded")

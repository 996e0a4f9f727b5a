"""Limits the requests of each client: the number in a row, the number a second, and the number at
once.

A page or a script that sends requests in a loop must not slow down a server on which others work.
The limits are far above the needs of people and of the panel. The method is a token bucket for each
client and kind of request."""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..core.translatable import sentence

CHECK, WRITE, READ = "check", "write", "read"

#: For each kind of request: the size of the bucket (requests in a row), and how many requests a
#: second refill it.
RATES = {CHECK: (20.0, 0.5), WRITE: (300.0, 20.0), READ: (300.0, 20.0)}

#: How many requests of one client may wait for their answers at the same time.
MOST_AT_ONCE = 50

#: How many clients are remembered. The throttle first forgets the client that has been silent
#: longest. The bucket of that client is full again by then, unless this many clients send requests
#: at the same time.
MOST_CLIENTS = 1000


class TooManyRequestsError(Exception):
    """A request above the limit (status 429). The client may ask again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(sentence("Too many requests from this client."))
        self.seconds = max(1, int(seconds + 0.999))
        self.remedy = sentence("Ask again in %1, and less often.", timedelta(seconds=self.seconds))


@dataclass
class _Bucket:
    """``left`` requests were allowed at the time ``at`` (monotonic seconds)."""

    left: float
    at: float


class Throttle:
    """The buckets of all clients of one server. Not thread-safe: use it on the event loop only."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._running: Counter[str] = Counter()

    @contextlib.contextmanager
    def request(self, client: str, kind: str) -> Iterator[None]:
        """Count one request of ``client`` (its address) for as long as the ``with`` block runs.
        ``kind`` is a key of RATES. Raises TooManyRequestsError."""
        self._take(client, kind)
        if self._running[client] >= MOST_AT_ONCE:
            raise TooManyRequestsError(1)
        self._running[client] += 1
        try:
            yield
        finally:
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]

    def _take(self, client: str, kind: str) -> None:
        most, each_second = RATES[kind]
        now = self._now()
        bucket = self._buckets.pop((client, kind), None) or _Bucket(most, now)
        bucket.left = min(most, bucket.left + (now - bucket.at) * each_second)
        bucket.at = now
        self._buckets[client, kind] = bucket
        while len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.left < 1:
            raise TooManyRequestsError((1 - bucket.left) / each_second)
        bucket.left -= 1

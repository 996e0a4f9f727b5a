"""How much one client may ask of this server: a rate for each kind, and a number at once.

A page in a loop, or a script, must not keep a server busy on which others work. The rates are far
above what people and the panel need.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHECK, WRITE, READ = "check", "write", "read"

#: For each kind: how many requests at once, and how many a second after that.
RATES = {CHECK: (20.0, 0.5), WRITE: (300.0, 20.0), READ: (300.0, 20.0)}

#: Requests of one client that may wait for an answer at the same time.
MOST_AT_ONCE = 50

#: Clients that are remembered. The one that was quiet for longest is forgotten first: by then its
#: allowance is full again, unless this many clients ask at once.
MOST_CLIENTS = 1000


class TooManyRequestsError(Exception):
    """A request that is refused (429); ``seconds`` is when the next is allowed."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many requests from this client.")
        self.seconds = max(1, int(seconds + 0.999))
        self.remedy = f"Ask again in {self.seconds} s, and less often."


@dataclass
class _Allowance:
    left: float
    at: float


class Throttle:
    """The allowances of all clients of one server. Belongs to the event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._allowances: OrderedDict[tuple[str, str], _Allowance] = OrderedDict()
        self._at_once: Counter[str] = Counter()

    @contextlib.contextmanager
    def request(self, client: str, kind: str) -> Iterator[None]:
        """Count a request of ``client`` while the body runs. Raises TooManyRequestsError."""
        self._take(client, kind)
        if self._at_once[client] >= MOST_AT_ONCE:
            raise TooManyRequestsError(1)
        self._at_once[client] += 1
        try:
            yield
        finally:
            self._at_once[client] -= 1
            if not self._at_once[client]:
                del self._at_once[client]

    def _take(self, client: str, kind: str) -> None:
        most, each_second = RATES[kind]
        now = self._now()
        found = self._allowances.pop((client, kind), None) or _Allowance(most, now)
        found.left = min(most, found.left + (now - found.at) * each_second)
        found.at = now
        self._allowances[client, kind] = found
        while len(self._allowances) > MOST_CLIENTS:
            self._allowances.popitem(last=False)
        if found.left < 1:
            raise TooManyRequestsError((1 - found.left) / each_second)
        found.left -= 1

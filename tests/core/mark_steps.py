"""Steps that the tests of marks share: one kernel is seen at one time."""

from __future__ import annotations

from datetime import datetime, timedelta

from scene import ago

from auto_shutdown.core.advance import advance
from auto_shutdown.core.ledger import Ledger
from auto_shutdown.core.model import Kernel, Snapshot

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EMPTY = Ledger(quiet_until=ago(days=1))


def look(ledger: Ledger, kernel: Kernel, at: datetime) -> Ledger:
    return advance(ledger, Snapshot((kernel,)), at)

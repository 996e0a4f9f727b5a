"""When anything on this server last worked, for other tools that stop idle servers (SageMaker's own
idle shutdown, JupyterHub's culler) and cannot see that themselves."""

from __future__ import annotations

from datetime import datetime

from .ledger import Ledger
from .marks import BUSY
from .model import Snapshot
from .signals import Signal


def last_at_work(snapshot: Snapshot, ledger: Ledger, now: datetime) -> datetime | None:
    """When something on this server last worked or was kept on request.

    The result is ``now`` while a kernel is busy, a terminal command or background work runs, or a
    keep-alive or a veto is in force. Otherwise it is the last heartbeat, or None without one.

    The setting ``enabled`` plays no part: work is work even where this extension removes nothing.
    """
    at_work = (
        any(kernel.state == BUSY and not kernel.waits_alone for kernel in snapshot.kernels)
        or any(terminal.running_job for terminal in snapshot.terminals)
        or any(m.work.result == "working" for m in ledger.marks.values())
        or any(hold.until > now for hold in ledger.holds.values())
        or any(veto.until > now for veto in ledger.vetoes.values())
    )
    if at_work:
        return now
    heartbeats = [m.active_at for m in ledger.marks.values() if m.signal == Signal.HEARTBEAT]
    return max(heartbeats, default=None)

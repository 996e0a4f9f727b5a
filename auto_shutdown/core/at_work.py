"""When something here was last at work: for other tools that stop idle servers (SageMaker's own
idle shutdown, JupyterHub's culler), which cannot see that themselves."""

from __future__ import annotations

from datetime import datetime

from .ledger import Ledger
from .marks import BUSY
from .model import Snapshot
from .signals import Signal


def last_at_work(snapshot: Snapshot, ledger: Ledger, now: datetime) -> datetime | None:
    """When something here was last at work, or kept on request: now, while a kernel is busy, a
    command or a job in the background runs, or a keep-alive or an objection is in force; the last
    heartbeat otherwise. None: nothing is known to have been.

    Whatever the setting ``enabled``: that we do not judge it makes it no less at work.
    """
    at_work = (
        any(kernel.state == BUSY and not kernel.waits_alone for kernel in snapshot.kernels)
        or any(terminal.running_job for terminal in snapshot.terminals)
        or any(m.work.found == "working" for m in ledger.marks.values())
        or any(hold.until > now for hold in ledger.holds.values())
        or any(veto.until > now for veto in ledger.vetoes.values())
    )
    if at_work:
        return now
    beats = [m.active_at for m in ledger.marks.values() if m.signal == Signal.HEARTBEAT]
    return max(beats, default=None)

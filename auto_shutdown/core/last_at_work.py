"""Find out when something on this server last worked. The extension reports this to other tools
that stop idle servers (SageMaker's own idle shutdown, JupyterHub's culler), because these tools
cannot observe it themselves."""

from __future__ import annotations

from datetime import datetime

from .ledger import Ledger
from .marks import BUSY, COMING_UP, DEAD, IDLE
from .model import Kernel, Snapshot
from .signals import Signal


def last_at_work(snapshot: Snapshot, ledger: Ledger, now: datetime) -> datetime | None:
    """When something on this server last worked or was kept on request.

    The result is ``now`` while a kernel is busy, a terminal command or background work runs, or a
    keep-alive or a veto is in force. Otherwise it is the last heartbeat, or None without one.

    A resource that cannot be read counts as at work, as long as this extension keeps it for that
    reason.

    The setting ``enabled`` does not change the result: other tools stop idle servers also while
    this extension is switched off. So questions.py goes on to ask whether work has ended.
    """
    at_work = (
        not snapshot.unread.keys().isdisjoint((Snapshot.KERNELS, Snapshot.TERMINALS))
        or any(map(_may_work, snapshot.kernels))
        or any(terminal.running_job or terminal.unreadable for terminal in snapshot.terminals)
        or any(m.work.result in ("working", "unread") for m in ledger.marks.values())
        or any(hold.until > now for hold in ledger.holds.values())
        or any(veto.until > now for veto in ledger.vetoes.values())
    )
    if at_work:
        return now
    heartbeats = [m.active_at for m in ledger.marks.values() if m.signal == Signal.HEARTBEAT]
    return max(heartbeats, default=None)


def _may_work(kernel: Kernel) -> bool:
    """Whether the kernel is busy, or its state is unknown. A dead kernel does not work, and neither
    does a kernel that is still starting or that waits for a person who has left."""
    if kernel.unreadable:
        return True
    if kernel.state == BUSY:
        return not kernel.waits_alone
    if kernel.state in DEAD or kernel.state in COMING_UP:
        return False
    return bool(kernel.refused) or kernel.state != IDLE

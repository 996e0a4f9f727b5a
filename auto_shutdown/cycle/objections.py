"""Who may object to a removal at the last moment: the administrator's switch, and veto hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ..core.ledger import Veto
from ..core.model import Ref
from ..core.verdict import Decision, Fault
from .emergency_stop import EmergencyStop
from .veto import VetoHooks


class Objections:
    """The switch and the hooks of one server."""

    def __init__(self, emergency_stop: EmergencyStop, hooks: VetoHooks) -> None:
        self.emergency_stop = emergency_stop
        self.hooks = hooks

    async def ask(
        self, removals: Sequence[Decision], now: datetime, step: Callable[[str], None]
    ) -> dict[Ref, Veto]:
        """The objections to ``removals``. The hooks are not asked what the switch has stopped.
        ``step`` is told what is waited for. Never raises."""
        step("asking whether an administrator has stopped removals")
        vetoes = await self.emergency_stop.objections(removals, now)
        if removals and not vetoes:
            step("asking the veto hooks")
            vetoes = await self.hooks.ask(removals, now)
        return vetoes

    def faults(self, now: datetime) -> list[Fault]:
        return [*self.hooks.faults(now), *self.emergency_stop.faults(now)]

    def close(self) -> None:
        self.hooks.close()

"""Ask for objections before a removal: the administrator's stop switch, and the veto hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ..core.decision import Decision
from ..core.faults import Fault
from ..core.ledger import Veto
from ..core.model import Ref
from .emergency_stop import EmergencyStop
from .veto import VetoHooks


class Objections:
    """The stop switch and the veto hooks of one server."""

    def __init__(self, emergency_stop: EmergencyStop, hooks: VetoHooks) -> None:
        self.emergency_stop = emergency_stop
        self.hooks = hooks

    async def ask(
        self, removals: Sequence[Decision], now: datetime, step: Callable[[str], None]
    ) -> dict[Ref, Veto]:
        """The objections to ``removals``. While the switch stops removals, no hook is called.
        ``step`` is called with a description of each step. Never raises."""
        step("asking whether an administrator has stopped removals")
        vetoes = await self.emergency_stop.objections(removals, now)
        if removals and not vetoes:
            step("asking the veto hooks")
            vetoes = await self.hooks.ask(removals, now)
        return vetoes

    def faults(self, now: datetime) -> list[Fault]:
        """The faults of the hooks, and of a switch that is set or cannot be read."""
        return [*self.hooks.faults(now), *self.emergency_stop.faults(now)]

    def close(self) -> None:
        """Call no hook any more. Does not wait for a hook that hangs."""
        self.hooks.close()

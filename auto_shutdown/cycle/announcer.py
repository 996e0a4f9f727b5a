"""Tell observers that the report changed, that a removal was announced or has ended, and that a
fault began or is over.

The observers are the events and the metrics of the HTTP contract (``api``). An observer that fails
is logged, and never disturbs a pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from ..core.decision import Decision, Plan
from ..core.faults import Fault
from ..core.formatting import iso
from ..core.model import Ref, Resource
from ..core.policy import Policy
from ..core.programs import describe_all
from .situation import Situation


class Observer(Protocol):
    """All methods are called on the server's event loop, and must not block."""

    def changed(self, sequence: int) -> None:
        """The report has changed; ``sequence`` counts the changes since the server started."""

    def notice(self, notice: Mapping[str, Any]) -> None:
        """A removal was announced: kind, id, name, paths, app, reason, due_at."""

    def removal(self, outcome: Mapping[str, Any]) -> None:
        """A removal has ended: an entry of the report's ``outcomes``."""

    def fault(self, fault: Mapping[str, Any]) -> None:
        """A fault began or is over: source, code, message, remedy, since, state."""


class Announcer:
    """The observers of one server."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._observers: list[Observer] = []
        self._sequence = 0
        self._rows: dict[Ref, tuple[object, ...]] = {}
        self._other_content: tuple[object, ...] = ()

    def add(self, observer: Observer) -> None:
        """Notify ``observer`` from now on."""
        self._observers.append(observer)

    def report_may_have_changed(
        self,
        situation: Situation,
        policy: Policy,
        faults: Iterable[Fault],
        outcomes: int,
        now: datetime,
    ) -> None:
        """Announce ``changed`` if the report differs from the report at the last announcement. Ages
        and the instants of passes do not count. ``outcomes`` is the number of outcomes so far."""
        decisions = {decision.ref: decision for decision in situation.plan.decisions}
        rows = {
            resource.ref: _row(resource, decisions[resource.ref])
            for resource in situation.snapshot.resources
            if resource.ref in decisions
        }
        programs = [
            (program.id, program.state, state[:2])
            for program, state in describe_all(situation.snapshot, situation.ledger, policy, now)
        ]
        other_content = (
            programs,
            {ref: hold.until for ref, hold in situation.ledger.holds.items()},
            policy,
            [(fault.source, fault.code) for fault in faults],
            outcomes,
        )
        if rows != self._rows or other_content != self._other_content:
            self._rows, self._other_content = rows, other_content
            self._changed()

    def rows_may_have_changed(self, resources: Iterable[Resource], plan: Plan) -> None:
        """Announce ``changed`` if the row of one of ``resources`` differs. ``plan`` has the
        decision on each of them, in their order."""
        rows = {r.ref: _row(r, decision) for r, decision in zip(resources, plan.decisions)}
        if any(self._rows.get(ref) != row for ref, row in rows.items()):
            self._rows.update(rows)
            self._changed()

    def _changed(self) -> None:
        self._sequence += 1
        self._notify(lambda observer: observer.changed(self._sequence))

    def notice(self, decision: Decision, resource: Resource) -> None:
        """Announce that ``resource`` will be removed at ``decision.due_at``."""
        notice = {
            "kind": decision.ref.kind.value,
            "id": decision.ref.id,
            "name": resource.name,
            "paths": list(getattr(resource, "paths", ())),
            "app": getattr(resource, "app", None),
            "reason": decision.reason.value,
            "idle_since": iso(decision.idle_since),
            "due_at": iso(decision.due_at),
        }
        self._notify(lambda observer: observer.notice(notice))

    def removal(self, outcome: Mapping[str, Any]) -> None:
        """Announce the outcome of a removal, an entry of the report's ``outcomes``."""
        self._notify(lambda observer: observer.removal(outcome))

    def fault(self, fault: Fault, over: bool) -> None:
        """Announce that ``fault`` has begun, or is ``over``."""
        described = {
            "source": fault.source,
            "code": fault.code,
            "message": fault.message,
            "remedy": fault.remedy,
            "since": iso(fault.since),
            "state": "over" if over else "started",
        }
        self._notify(lambda observer: observer.fault(described))

    def _notify(self, call: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:
                self._log.error("auto_shutdown: an observer failed", exc_info=error)


def _row(resource: Resource, decision: Decision) -> tuple[object, ...]:
    """The fields of a resource's row in the report, without the sentence, which contains ages."""
    return (
        decision.ref,
        getattr(resource, "state", None) or getattr(resource, "status", None),
        getattr(resource, "paths", None),
        resource.instance_type,
        decision.reason,
        decision.signal,
        decision.idle_since,
        decision.warn_at,
        decision.due_at,
        decision.kept_until,
    )

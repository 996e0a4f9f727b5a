"""The truth of the simulation: when each thing was last active, and whether it may be removed. It
shares no code with the product.

Times are seconds since the simulation began. A step of a clock does not change them. What the
product observes (stamps by wrong clocks, states, answers) comes from ``simulated_things`` and
``simulated_observation``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NEVER = float("-inf")


@dataclass
class Cell:
    """A cell that runs. ``cores`` is the processor time it uses; ``waits`` is ``input`` while it
    waits for a person. ``parent`` is the header of the request that runs now."""

    began: float
    ends: float
    prints: bool
    cores: float
    waits: str | None = None
    in_subshell: bool = False
    parent: dict[str, Any] = field(default_factory=dict)


@dataclass
class Thing:
    """A kernel, terminal or app; ``strong`` and ``weak`` are its last activity of each kind.

    ``work`` maps the names of background work to the instants at which it began. ``reported`` has
    the names that an answer has reported. ``excused``: until when a reason other than the idle
    clock kept it. ``gone``: when it ended.
    """

    kind: str
    id: str
    born: float
    app: str | None = None
    instance_type: str | None = None
    name: str = ""
    strong: float = NEVER
    weak: dict[str, float] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    kept_until: float = NEVER
    failed: float = NEVER
    excused: float = NEVER
    gone: float | None = None
    # Kernels
    state: str = "idle"
    cell: Cell | None = None
    connections: int = 0
    own_limit: float | None = None
    unreadable: bool = False
    up_at: float = 0.0
    # Terminals
    job: str | None = None
    sign_at: float = NEVER  # the last key, the last output, or the beginning of the job
    in_image: bool = False
    # Apps
    status: str = ""
    in_service: float = NEVER
    own: bool = False

    def mark_used(self, at: float) -> None:
        self.strong = max(self.strong, at)

    def add_weak(self, signal: str, at: float) -> None:
        self.weak[signal] = max(self.weak.get(signal, NEVER), at)

    def is_visibly_busy(self) -> bool:
        """Whether it works in a way that an observer can see."""
        cell = self.cell
        if cell is not None and not (cell.waits and not self.connections):
            return True
        return self.job is not None


@dataclass
class Rules:
    """The rules that the documentation promises to users. In minutes."""

    settings: dict[str, Any]
    shortest: float
    longest: float
    grace: float
    startup_grace: float
    caps: dict[str, float]
    max_busy: float | None

    def limit(self, thing: Thing) -> float:
        """Its idle limit in seconds."""
        if thing.own_limit is not None:
            return min(max(thing.own_limit, self.shortest * MINUTE), self.longest * MINUTE)
        for rule in self.settings["rules"]:
            pairs = [
                (rule.get("instance_type"), thing.instance_type),
                (rule.get("kernel_name"), thing.name if thing.kind == "kernel" else None),
            ]
            if all(v is not None and fnmatchcase(v, g) for g, v in pairs if g is not None):
                return float(rule["idle_timeout_minutes"]) * MINUTE
        own = self.settings[f"{thing.kind}_idle_timeout_minutes"]
        minutes = own if own is not None else self.settings["idle_timeout_minutes"]
        return float(minutes) * MINUTE

    def window(self, thing: Thing) -> float:
        """The seconds over which background work is measured. Younger work is not detected."""
        return min(MINUTE, self.limit(thing) / 4)

    def active_until(self, thing: Thing) -> float:
        """When it was last active. Weak evidence counts until its cap after strong evidence."""
        counted = [
            min(at, thing.strong + self.caps[signal] * MINUTE) for signal, at in thing.weak.items()
        ]
        return max([thing.strong, *counted])


@dataclass
class Host:
    """The condition of the server. ``unread``: the sources that cannot be read. ``vetoing``: a veto
    hook vetoes. ``broken``: each observation fails."""

    unread: set[str] = field(default_factory=set)
    grace_began_at: float = (
        NEVER  # a start, a step of the clock or a pause, as far as it was noticed
    )
    vetoing: bool = False
    broken: bool = False
    everything_kept_until: float = NEVER


class Oracle:
    """Judges each removal, and each thing that stays too long."""

    def __init__(self, rules: Rules, host: Host, things: dict[str, Thing]) -> None:
        self.rules, self.host, self.things = rules, host, things

    def tenants(self, app: Thing) -> list[Thing]:
        return [t for t in self.things.values() if t.app == app.id and t.gone is None]

    def app_of(self, thing: Thing) -> Thing | None:
        return self.things.get(thing.app) if thing.app else None

    # -- wrongly removed ---------------------------------------------------------------------

    def objections(self, thing: Thing, now: float) -> list[str]:
        """Every reason against removing ``thing`` now; empty if the removal is right."""
        found = [*self._host_objections(now), *self._own_objections(thing, now)]
        if thing.kind == "app":
            if thing.status != "InService":
                found.append(f"it is {thing.status}")
            if now < thing.in_service + self.rules.grace * MINUTE - 5e-3:
                found.append("it has just come in service")
            if self.host.unread:
                found.append("a source cannot be read")
            for tenant in self.tenants(thing):
                if not self._stuck(tenant, now) or self._is_kept(tenant, now):
                    found += [f"{tenant.id}: {why}" for why in self._own_objections(tenant, now)]
        return found

    def _host_objections(self, now: float) -> list[str]:
        settings = self.rules.settings
        found = []
        if not settings["enabled"] or settings["dry_run"]:
            found.append("removals are off")
        if now < self.host.grace_began_at + self.rules.grace * MINUTE - 5e-3:
            found.append("the server's grace runs")
        if self.host.vetoing:
            found.append("a veto hook vetoes")
        return found

    def _own_objections(self, thing: Thing, now: float) -> list[str]:
        found = []
        if self._is_kept(thing, now):
            found.append("it is kept alive")
        if thing.unreadable or f"{thing.kind}s" in self.host.unread:
            found.append("it cannot be read")
        if thing.is_visibly_busy() and not self._stuck_busy(thing, now):
            found.append("it is at work")
        for what, began in thing.work.items():
            if now - began >= self.rules.window(thing) + 1:
                found.append(f"{what} works in it")
        if self._stuck(thing, now) and self._is_removed_with_its_app(thing, now):
            return found
        settings = self.rules.settings
        protected = settings["protect_connected"] and thing.kind == "kernel" and thing.connections
        if protected and not self._stuck_busy(thing, now):  # max_busy comes first
            found.append("a client is connected")
        if settings["keep_terminals"] and thing.kind == "terminal":
            found.append("keep_terminals is on")
        if thing.in_image or self._stuck_busy(thing, now):
            return found  # the clock of its app, or that of max_busy, applies
        early = self.rules.active_until(thing) + self.rules.limit(thing) - now
        if early > 5e-3:
            found.append(f"used within its limit ({early:.3f} s early)")
        return found

    def _is_kept(self, thing: Thing, now: float) -> bool:
        app = self.app_of(thing)
        ends = [thing.kept_until, self.host.everything_kept_until]
        ends += [app.kept_until] if app is not None else []
        if thing.kind == "app":
            ends += [t.kept_until for t in self.tenants(thing) if t.kind == "terminal"]
        return max(ends) > now + 5e-3

    def _stuck(self, thing: Thing, now: float) -> bool:
        if thing.state == "dead":
            return True
        return thing.state == "starting" and now - thing.born >= self.rules.startup_grace * MINUTE

    def _stuck_busy(self, thing: Thing, now: float) -> bool:
        """Whether a cell or command in it has run without output, a key or processor time for
        ``max_busy`` minutes."""
        cell, most = thing.cell, self.rules.max_busy
        if most is None:
            return False
        if thing.job is not None and not thing.work:
            return now - thing.sign_at >= most * MINUTE
        if cell is None or cell.prints or cell.cores or cell.waits:
            return False
        return now - max(cell.began, thing.weak.get("output", NEVER)) >= most * MINUTE

    def _is_removed_with_its_app(self, thing: Thing, now: float) -> bool:
        """Whether its app may be removed now. A dead or stuck kernel does not keep its app."""
        app = self.app_of(thing)
        return app is not None and not self.objections(app, now)

    # -- overstayed --------------------------------------------------------------------------

    def ready(self, thing: Thing) -> float:
        """Since when nothing prevents the removal of ``thing``."""
        ready = max(self.rules.active_until(thing) + self.rules.limit(thing), thing.excused)
        if thing.kind == "app":
            ready = max([ready, *(self.ready(t) for t in self.tenants(thing) if not t.in_image)])
        return ready

    def excuse(self, thing: Thing, now: float) -> bool:
        """Whether something other than its idle clock keeps ``thing`` now."""
        settings = self.rules.settings
        if not settings["enabled"] or settings["dry_run"]:
            return True
        if self.host.vetoing or self.host.broken:
            return True
        if now < self.host.grace_began_at + self.rules.grace * MINUTE or self._is_kept(thing, now):
            return True
        if thing.unreadable or self.host.unread or thing.is_visibly_busy() or thing.work:
            return True
        if settings["protect_connected"] and thing.connections:
            return True
        if settings["keep_terminals"] and thing.kind == "terminal":
            return True
        if thing.state == "starting" and not self._stuck(thing, now):
            return True
        if now < thing.failed + HOUR:
            return True
        if thing.kind == "app":
            if thing.status != "InService" or self._may_hold_an_unreadable_kernel(thing):
                return True
            return any(
                self.excuse(t, now) and (not self._stuck(t, now) or self._is_kept(t, now))
                for t in self.tenants(thing)
            )
        return False

    def _may_hold_an_unreadable_kernel(self, app: Thing) -> bool:
        """Whether a kernel cannot be read that, for all the product knows, runs in ``app``."""
        kernels = (t for t in self.things.values() if t.kind == "kernel" and t.gone is None)
        return not app.own and any(t.unreadable and t.app is None for t in kernels)

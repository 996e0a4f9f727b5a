"""What the actions of all simulated users share."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from studio import Studio
from truth import Thing

from auto_shutdown.core.model import Kind, Ref

if TYPE_CHECKING:
    from simulated_server import SimulatedServer


class UserBase:
    """The users of one simulated server. Every random choice comes from ``rng``."""

    def __init__(self, simulation: SimulatedServer) -> None:
        self.simulation = simulation
        self.studio: Studio = simulation.studio
        self.rng: random.Random = simulation.rng
        self.present = False
        self._number = 0

    def choose(self, kind: str, **wanted: Any) -> Thing | None:
        found = [
            t
            for t in self.studio.of_kind(kind)
            if all(getattr(t, name) == value for name, value in wanted.items())
        ]
        return self.rng.choice(found) if found else None

    def _work(self, thing: Thing, what: str, seconds: float) -> None:
        self.studio.spend(thing)
        thing.work[what] = self.studio.t
        self.simulation.after(seconds, lambda: self.end_work(thing, what))

    def end_work(self, thing: Thing, what: str) -> None:
        if what in thing.work and thing.gone is None:
            self.studio.work_ends(thing, what)

    def _any(self) -> Thing | None:
        known = [t for t in self.studio.alive() if t.status in ("", "InService")]
        known = [t for t in known if self.simulation.knows(t)]
        return self.rng.choice(known) if known else None


def readable(kernel: Thing) -> None:
    kernel.unreadable = False


def ref_of(thing: Thing) -> Ref:
    return Ref(Kind(thing.kind), thing.id)

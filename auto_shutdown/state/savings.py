"""The savings, stored on disk. If the file cannot be read or written, the sums are too low; no
removal depends on them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..core import savings
from ..core.ledger import Ledger
from ..core.model import IN_SERVICE, App, Resource, Snapshot
from ..core.prices import usd_per_hour
from ..core.savings import Freed, Savings
from .document import StoreError
from .store import Store


class SavedSavings:
    """The instance hours and US dollars that the removals of one server have saved, in its file.
    ``prices`` are the administrator's own, in US dollars an hour by instance type; ``region`` is
    the AWS region for the built-in prices."""

    def __init__(self, store: Store, region: str | None, prices: Mapping[str, float]) -> None:
        self._store = store
        self._region = region
        self._prices = prices
        self._savings = Savings()
        self._billed_types: tuple[str, ...] = ()

    async def load(self, own_app: bool, now: datetime) -> None:
        """Load the sums of earlier runs. ``own_app`` is true when this server runs in an app that
        it may delete. The deletion of that app saved money until somebody started the app again,
        so the start of this server ends that saving."""
        try:
            self._savings = savings.from_json(await self._store.run(self._store.load_savings))
        except StoreError:
            return
        if own_app:
            self._savings = savings.all_settled(self._savings, now)

    def would_free(
        self, resource: Resource, snapshot: Snapshot, ledger: Ledger, now: datetime
    ) -> Freed | None:
        """The instance that is no longer billed once ``resource`` is removed; None when the removal
        saves nothing."""
        if not isinstance(resource, App) or not savings.frees_its_instance(
            resource, snapshot, ledger
        ):
            return None
        rate = usd_per_hour(resource.instance_type, self._region, self._prices)
        return Freed(resource.instance_type, now, rate)

    async def add(self, freed: Freed) -> None:
        """Count the saving of a removal from now on."""
        self._savings = replace(self._savings, freed=(*self._savings.freed, freed))
        await self._save()

    async def look(self, snapshot: Snapshot, now: datetime) -> None:
        """End the saving of each instance type that is in service again. ``snapshot`` has the apps
        that a pass observed, which began at ``now``."""
        self._billed_types = tuple(
            sorted({a.instance_type for a in snapshot.apps if a.billing and a.instance_type})
        )
        if not self._savings.freed:
            return
        seen = {a.instance_type for a in snapshot.apps if a.status == IN_SERVICE and not a.own}
        settled = savings.settled(self._savings, seen, now, seen_at=now)
        if settled != self._savings:
            self._savings = settled
            await self._save()

    async def _save(self) -> None:
        with contextlib.suppress(StoreError):  # the audit log reports the same problem
            await self._store.run(self._store.save_savings, savings.to_json(self._savings))

    def view(self, now: datetime) -> dict[str, Any]:
        """The savings up to ``now``, and the price of each instance type that is billed now."""
        prices = {
            name: usd_per_hour(name, self._region, self._prices) for name in self._billed_types
        }
        return {**savings.view(self._savings, now), "usd_per_hour": prices}

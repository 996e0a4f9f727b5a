"""The savings, stored on disk. While the file cannot be read, the sums are too low, and nothing is
written over it. No removal depends on the savings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
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
        #: Whether ``_savings`` includes those of earlier runs.
        self._has_loaded = False
        self._loading = asyncio.Lock()
        self._started_in_own_app_at: datetime | None = None
        #: When each instance type was first billed since the start, until ``_has_loaded``.
        self._first_billed: dict[str | None, datetime] = {}
        self._billed_types: tuple[str, ...] = ()

    async def load(self, own_app: bool, now: datetime) -> None:
        """Load the sums of earlier runs. ``own_app`` is true when this server runs in an app that
        it may delete. The deletion of that app saved money until somebody started the app again,
        so the start of this server ends that saving."""
        self._started_in_own_app_at = now if own_app else None
        await self._load()

    async def _load(self) -> None:
        """Load the sums of earlier runs, unless they are loaded. After an error, the next change
        loads them."""
        async with self._loading:
            if self._has_loaded:
                return
            try:
                earlier = await self._store.run(self._store.load_savings)
            except StoreError:
                return
            self._has_loaded = True
            if self._started_in_own_app_at is not None:
                earlier = savings.all_settled(earlier, self._started_in_own_app_at)
            self._savings = savings.combined(earlier, self._savings, self._first_billed)

    def freed_by(
        self, resource: Resource, snapshot: Snapshot, ledger: Ledger, now: datetime
    ) -> Freed | None:
        """The instance that is not billed any more since ``now``, when the removal of ``resource``
        ended; None if that removal saves nothing."""
        if not isinstance(resource, App) or not savings.frees_its_instance(
            resource, snapshot, ledger
        ):
            return None
        rate = usd_per_hour(resource.instance_type, self._region, self._prices)
        return Freed(resource.instance_type, now, rate)

    async def add(self, freed: Freed) -> None:
        """Count the saving of a removal from now on."""
        self._note_billed({freed.instance_type}, freed.at)
        self._savings = replace(self._savings, freed=(*self._savings.freed, freed))
        await self._save()

    def _note_billed(self, instance_types: Collection[str | None], at: datetime) -> None:
        """Note that these instance types were billed at ``at``."""
        if not self._has_loaded:
            for name in instance_types:
                self._first_billed.setdefault(name, at)

    async def look(self, snapshot: Snapshot, now: datetime) -> None:
        """End the saving of each instance type that is in service again. ``snapshot`` has the apps
        that a pass observed, which began at ``now``."""
        self._billed_types = tuple(
            sorted({a.instance_type for a in snapshot.apps if a.billing and a.instance_type})
        )
        seen = {a.instance_type for a in snapshot.apps if a.status == IN_SERVICE and not a.own}
        self._note_billed(seen, now)
        await self._load()
        if not self._savings.freed:
            return
        settled = savings.settled(self._savings, seen, now, seen_at=now)
        if settled != self._savings:
            self._savings = settled
            await self._save()

    async def _save(self) -> None:
        await self._load()
        if not self._has_loaded:
            return  # a write would destroy the sums of earlier runs
        with contextlib.suppress(StoreError):  # the audit log reports the same problem
            await self._store.run(self._store.save_savings, self._savings)

    def view(self, now: datetime) -> dict[str, Any]:
        """The savings up to ``now``, and the price of each instance type that is billed now."""
        prices = {
            name: usd_per_hour(name, self._region, self._prices) for name in self._billed_types
        }
        return {**savings.view(self._savings, now), "usd_per_hour": prices}

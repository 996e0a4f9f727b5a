"""What people want: their settings within the administrator's limits, merged into the policy in
force, and kept on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..config.settings import Limits, cautious, merge, validate_patch
from ..core.model import Unread
from ..core.policy import Policy
from ..core.verdict import Fault
from .store import Store, StoreError

_SOURCE = "settings"


class Preferences:
    """The settings of one server's user. ``policy`` is always valid and within the limits."""

    def __init__(self, limits: Limits, store: Store) -> None:
        self._limits = limits
        self._store = store
        self._user: dict[str, Any] = {}
        self._known = False
        self._disk: Fault | None = None
        #: Of two that read or write the file, the later one's values must be in force.
        self._lock = asyncio.Lock()
        self.policy, self._problems = merge(limits, {})

    async def load(self, now: datetime) -> None:
        """Read the user's settings. Where that fails the last good ones stay, with a fault; with
        none, nothing that they could forbid is done until they can be read."""
        async with self._lock:
            await self._load(now)

    async def _load(self, now: datetime) -> None:
        try:
            user, problem = await asyncio.to_thread(self._store.load_settings)
        except StoreError as error:
            self._not_read(str(error), error.remedy, now)
            return
        if problem is None:
            self._take(user)
        else:
            self._not_read(problem.message, problem.remedy, now)

    def _not_read(self, why: str, remedy: str, now: datetime) -> None:
        if self._known:
            message = f"{why} What was set before holds."
            self._disk = Fault(_SOURCE, "StateFile", message, remedy, now)
            return
        limits = self._limits
        message = f"{why} What its user wants is not known: nothing is removed by itself."
        self.policy, self._problems = merge(limits, cautious(limits))
        if "enabled" not in limits.locked:
            self.policy = replace(self.policy, unread=Unread(_SOURCE, "StateFile", message, remedy))
        else:  # and what its administrator wants, is
            message = f"{why} The most careful that the administrator allows is in force."
        self._disk = Fault(_SOURCE, "StateFile", message, remedy, now, blocking=True)

    async def refresh(self, now: datetime) -> None:
        """Take over what another server of the same home has changed."""
        async with self._lock:
            if await asyncio.to_thread(self._store.settings_changed):
                await self._load(now)

    async def patch(self, patch: Any) -> None:
        """Validate and store a change. Raises SettingError (nothing has changed then) or
        StoreError (the change is not in force either)."""
        changes = validate_patch(patch, self._limits)
        async with self._lock:
            self._take(
                await asyncio.to_thread(self._store.patch_settings, changes, dict(self._user))
            )

    def _take(self, user: Mapping[str, Any]) -> None:
        self._user, self._known, self._disk = dict(user), True, None
        self.policy, self._problems = merge(self._limits, self._user)

    def faults(self, now: datetime) -> list[Fault]:
        """Stored values that are not in force, and trouble with the file itself."""
        found = [
            Fault(f"setting {p.field}", "NotInForce", p.message, "Set it again.", now)
            for p in self._problems
        ]
        return found if self._disk is None else [*found, self._disk]

    def view(self) -> dict[str, Any]:
        """The answer to ``GET settings``."""
        return {
            "settings": dict(self.policy.settings),
            "user": {name: v for name, v in self._user.items() if name in self.policy.settings},
            "defaults": dict(self._limits.defaults),
            **self.bounds(),
        }

    def bounds(self) -> dict[str, Any]:
        limits = self._limits
        return {
            "limits": {
                "min_idle_timeout_minutes": limits.min_idle_timeout_minutes,
                "max_idle_timeout_minutes": limits.max_idle_timeout_minutes,
                "max_keep_alive_minutes": limits.max_keep_alive_minutes,
            },
            "locked": sorted(limits.locked),
            "sources": dict(limits.sources),
        }

    def policy_for(self, dry_run: bool) -> Policy:
        """The policy of one pass; ``dry_run`` makes it a rehearsal, never the other way round."""
        return replace(self.policy, dry_run=True) if dry_run else self.policy

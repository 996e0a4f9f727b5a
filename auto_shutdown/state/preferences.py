"""The user's settings: read from disk, merged with the administrator's limits, changed on request.

A change that prevents removals takes effect before it is written to disk: a pass may be about to
remove something, and a network file system can take seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..config.settings import Limits, careful_part, cautious, merge, validate_patch
from ..core.model import Unread
from ..core.policy import Policy
from ..core.verdict import Fault
from .document import StoreError
from .store import Store

_SOURCE = "settings"


class Preferences:
    """The settings of one server's user. ``policy`` is always valid and within the limits."""

    def __init__(self, limits: Limits, store: Store) -> None:
        self._limits = limits
        self._store = store
        #: The content of the file.
        self._user: dict[str, Any] = {}
        #: Changes that are in force and not on disk.
        self._unsaved: dict[str, Any] = {}
        self._known = False
        self._file_fault: Fault | None = None
        self._write_error: StoreError | None = None
        #: Reads and writes of the file are in order: the values of the last one are in force.
        self._lock = asyncio.Lock()
        self.policy, self._problems = merge(limits, {})

    async def load(self, now: datetime) -> None:
        """Read the user's settings. If that fails, the previous settings stay in force, with a
        fault. Without previous settings, the most careful allowed settings apply."""
        async with self._lock:
            await self._load(now)

    async def _load(self, now: datetime) -> None:
        try:
            user, problem = await self._store.run(self._store.load_settings)
        except StoreError as error:
            self._not_read(str(error), error.remedy, now)
            return
        if problem is None:
            self._take(user)
        else:
            self._not_read(problem.message, problem.remedy, now)

    def _not_read(self, why: str, remedy: str, now: datetime) -> None:
        if self._known:
            message = f"{why} The previous settings stay in force."
            self._file_fault = Fault(_SOURCE, "StateFile", message, remedy, now)
            return
        limits = self._limits
        message = f"{why} The user's settings are unknown, so nothing is removed automatically."
        self.policy, self._problems = merge(limits, cautious(limits))
        if "enabled" not in limits.locked:
            self.policy = replace(self.policy, unread=Unread(_SOURCE, "StateFile", message, remedy))
        else:  # the administrator's decision to remove stands
            message = f"{why} The most careful settings that the administrator allows are in force."
        self._file_fault = Fault(_SOURCE, "StateFile", message, remedy, now, blocking=True)

    async def refresh(self, now: datetime) -> None:
        """Take over what another server of the same home has changed, and write what could not be
        written so far."""
        async with self._lock:
            if self._unsaved:
                with contextlib.suppress(StoreError):
                    await self._write(self._unsaved)
            try:
                changed = await self._store.run(self._store.settings_changed)
            except StoreError as error:
                self._not_read(str(error), error.remedy, now)
                return
            if changed:
                await self._load(now)

    async def patch(self, patch: Any) -> None:
        """Validate a change, put it in force and store it.

        Raises SettingError, and then nothing has changed; or StoreError, and then only the part
        that forbids removals is in force, until it can be written or the server restarts.
        """
        changes = validate_patch(patch, self._limits)
        careful = careful_part(changes, {**self._user, **self._unsaved}, self._limits)
        if self._known and careful:
            self._unsaved.update(careful)
            self._merge()
        async with self._lock:
            try:
                await self._write(changes)
            except StoreError as error:
                if not (self._known and careful):
                    raise
                kept = f" Until then {', '.join(sorted(careful))} holds in this server only."
                raise StoreError(f"{error}{kept}", error.remedy) from error

    async def _write(self, changes: Mapping[str, Any]) -> None:
        """Store ``changes`` and put all of them in force. Raises StoreError."""
        written = dict(changes)
        store = self._store
        try:
            user = await store.run(store.patch_settings, written, dict(self._user))
        except StoreError as error:
            self._write_error = error
            raise
        self._write_error = None
        # A newer change of the same name may have come meanwhile; it waits for the lock.
        for name, value in written.items():
            if name in self._unsaved and self._unsaved[name] == value:
                del self._unsaved[name]
        self._take(user)

    def _take(self, user: Mapping[str, Any]) -> None:
        self._user, self._known, self._file_fault = dict(user), True, None
        self._merge()

    def _merge(self) -> None:
        self.policy, self._problems = merge(self._limits, self._wanted())

    def _wanted(self) -> dict[str, Any]:
        """The user's settings, including changes that are not yet on disk."""
        both = {**self._user, **self._unsaved}
        return {name: value for name, value in both.items() if value is not None}

    def faults(self, now: datetime) -> list[Fault]:
        """Stored values that are not in force, and trouble with the file itself."""
        found = [
            Fault(f"setting {p.field}", "NotInForce", p.message, "Set it again.", now)
            for p in self._problems
        ]
        if self._file_fault is not None:
            found.append(self._file_fault)
        elif self._write_error is not None and self._unsaved:
            names = ", ".join(sorted(self._unsaved))
            message = f"{self._write_error} Until then {names} holds in this server only."
            found.append(Fault(_SOURCE, "StateFile", message, self._write_error.remedy, now))
        return found

    def view(self) -> dict[str, Any]:
        """The answer to ``GET settings``."""
        return {
            "settings": dict(self.policy.settings),
            "user": {n: v for n, v in self._wanted().items() if n in self.policy.settings},
            "defaults": dict(self._limits.defaults),
            **self.bounds(),
        }

    def bounds(self) -> dict[str, Any]:
        """What the administrator allows, for the panel and the report."""
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
        """The policy of one pass. ``dry_run`` makes it a rehearsal, never the other way round."""
        return replace(self.policy, dry_run=True) if dry_run else self.policy

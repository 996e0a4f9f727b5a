"""The user's settings: read from disk, merged with the administrator's limits, changed on request.

A change that prevents removals takes effect before it is written to disk, because a pass may be
about to remove a resource, and a network file system can take seconds to write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..config.effective import merge, most_careful_settings, part_that_keeps_more
from ..config.settings import Limits, validate_patch
from ..core.faults import Fault
from ..core.model import Unread
from ..core.policy import Policy
from ..core.translatable import joined, sentence
from .document import StoreError
from .store import NEVER_READ, SettingsFile, Store

_SOURCE = "settings"


@dataclass(frozen=True)
class _Change:
    """The new value of one setting. ``number`` counts the requests to change settings, so the
    change with the highest number is the newest."""

    number: int
    value: Any


class Preferences:
    """The settings of one server's user. ``policy`` is always valid and within the limits."""

    def __init__(self, limits: Limits, store: Store) -> None:
        self._limits = limits
        self._store = store
        #: The content of the file.
        self._user: dict[str, Any] = {}
        #: The signature of the file when ``_user`` was read from it or written to it.
        self._signature = NEVER_READ
        #: Changes that already apply but are not yet on disk.
        self._unsaved: dict[str, _Change] = {}
        #: The number of requests to change settings so far.
        self._requests = 0
        self._known = False
        self._file_fault: Fault | None = None
        self._write_error: StoreError | None = None
        #: Serialises reads and writes of the file, so that the values of the last call apply.
        self._lock = asyncio.Lock()
        self.policy, self._problems = merge(limits, {})

    async def load(self, now: datetime) -> None:
        """Read the user's settings. If this fails, the report has a fault, and the settings that
        were read before still apply. If none were read before, the extension removes nothing. Only
        if the administrator locked ``enabled`` does it go on, with the most careful settings that
        the administrator allows."""
        async with self._lock:
            await self._load(now)

    async def _load(self, now: datetime) -> None:
        try:
            loaded = await self._store.run(self._store.load_settings)
        except StoreError as error:
            self._not_read(str(error), error.remedy, now)
            return
        if loaded.problem is None:
            self._take(loaded)
        else:
            self._not_read(loaded.problem.message, loaded.problem.remedy, now)

    def _not_read(self, problem: str, remedy: str, now: datetime) -> None:
        self._signature = NEVER_READ  # read it again also if it does not change
        if self._known:
            message = joined(problem, sentence("The previous settings still apply."))
            self._file_fault = Fault(_SOURCE, "StateFile", message, remedy, now)
            return
        limits = self._limits
        message = joined(
            problem,
            sentence("The user's settings are unknown, so nothing is removed automatically."),
        )
        self.policy, self._problems = merge(limits, most_careful_settings(limits))
        if "enabled" not in limits.locked:
            self.policy = replace(self.policy, unread=Unread(_SOURCE, "StateFile", message, remedy))
        else:  # the administrator's decision to remove stands
            message = joined(
                problem,
                sentence("The most careful settings that the administrator allows apply."),
            )
        self._file_fault = Fault(_SOURCE, "StateFile", message, remedy, now, blocking=True)

    async def refresh(self, now: datetime) -> None:
        """Read the file again if another server with the same home has changed it, and try again to
        write the changes that are not yet on disk."""
        async with self._lock:
            if self._unsaved:
                with contextlib.suppress(StoreError):
                    await self._write(dict(self._unsaved))
            await self._read_again(now)

    async def read_again(self, now: datetime) -> None:
        """Read the file again if another server with the same home has changed it."""
        async with self._lock:
            await self._read_again(now)

    async def _read_again(self, now: datetime) -> None:
        try:
            changed = await self._store.run(self._store.settings_changed, self._signature)
        except StoreError as error:
            self._not_read(str(error), error.remedy, now)
            return
        if changed:
            await self._load(now)

    async def patch(self, patch: Any) -> None:
        """Validate a change, apply it and store it.

        Raises SettingError for an invalid change; nothing has changed then. Raises StoreError when
        the file cannot be written; then only the part of the change that forbids removals applies,
        until it can be written or the server restarts.
        """
        changes = validate_patch(patch, self._limits)
        in_force = self._in_force()
        careful = part_that_keeps_more(changes, in_force, self._limits)
        # A value that is in force already stays in force, also if an older change of this setting
        # is being written at this moment.
        for name, value in changes.items():
            if in_force.get(name) == value and (self._lock.locked() or name in self._unsaved):
                careful[name] = value
        self._requests += 1
        numbered = {name: _Change(self._requests, value) for name, value in changes.items()}
        if self._known and careful:
            self._unsaved.update({name: numbered[name] for name in careful})
            self._merge()
        async with self._lock:
            try:
                await self._write(numbered)
            except StoreError as error:
                if not (self._known and careful):
                    raise
                raise StoreError(joined(str(error), _only_here(careful)), error.remedy) from error

    async def _write(self, changes: Mapping[str, _Change]) -> None:
        """Store ``changes`` and apply all of them. Raises StoreError."""
        written = {name: change.value for name, change in changes.items()}
        store = self._store
        try:
            stored = await store.run(store.patch_settings, written, dict(self._user))
        except StoreError as error:
            self._write_error = error
            self._signature = NEVER_READ
            raise
        self._write_error = None
        # A newer change of the same setting may wait for the lock. It stays unsaved. An older
        # change that could not be written must not come back.
        self._unsaved = {
            name: unsaved
            for name, unsaved in self._unsaved.items()
            if name not in changes or unsaved.number > changes[name].number
        }
        self._take(stored)

    def _take(self, file: SettingsFile) -> None:
        self._user, self._known, self._file_fault = dict(file.settings), True, None
        self._merge()
        self._signature = file.signature

    def _merge(self) -> None:
        self.policy, self._problems = merge(self._limits, self._wanted())

    def _in_force(self) -> dict[str, Any]:
        """The user's settings, including changes that are not yet on disk. The value None removes a
        setting."""
        return {**self._user, **{name: change.value for name, change in self._unsaved.items()}}

    def _wanted(self) -> dict[str, Any]:
        """The user's settings in force, without those that were reset."""
        return {name: value for name, value in self._in_force().items() if value is not None}

    def faults(self, now: datetime) -> list[Fault]:
        """A fault for each stored value that does not apply, and for a file that cannot be read or
        written."""
        faults = [
            Fault(f"setting {p.field}", "NotInForce", p.message, sentence("Set it again."), now)
            for p in self._problems
        ]
        if self._file_fault is not None:
            faults.append(self._file_fault)
        elif self._write_error is not None and self._unsaved:
            message = joined(str(self._write_error), _only_here(self._unsaved))
            faults.append(Fault(_SOURCE, "StateFile", message, self._write_error.remedy, now))
        return faults

    def view(self) -> dict[str, Any]:
        """The answer to ``GET settings``."""
        return {
            "settings": dict(self.policy.settings),
            "user": {n: v for n, v in self._wanted().items() if n in self.policy.settings},
            "defaults": dict(self._limits.defaults),
            **self.bounds(),
        }

    def bounds(self) -> dict[str, Any]:
        """The administrator's limits, locks and their sources, for the panel and the report."""
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
        """The policy for one pass. ``dry_run`` makes the pass a dry run; without it the user's own
        setting ``dry_run`` still applies."""
        return replace(self.policy, dry_run=True) if dry_run else self.policy


def _only_here(names: Iterable[str]) -> str:
    return sentence(
        "Until it can be written, %1 applies on this server only.", ", ".join(sorted(names))
    )

"""What outlives a server: the marks of activity and the keep-alives, on disk as far as that works.

What cannot be read or written is tried again at every pass, and is a fault until it works: nobody
has to restart anything. Until the keep-alives are known everything is kept, for as long as the
longest of them could last.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..config.settings import Limits
from ..core import ledger_json as archive
from ..core.ledger import Hold, Ledger, hold
from ..core.model import EVERYTHING
from ..core.verdict import Fault
from ..world.clock import Moment
from .store import FileProblem, Store, StoreError, boot_identity


class LedgerOwner(Protocol):
    """Whoever has the ledger in force. It may change during any ``await``."""

    ledger: Ledger


@dataclass
class _Loaded:
    ledger: Ledger


class SavedLedger:
    """Loads and saves the ledger of one server."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._grace = timedelta(minutes=limits.grace_minutes)
        self._longest = timedelta(minutes=limits.max_keep_alive_minutes)
        self._boot: str | None = None
        self._outdated: StoreError | None = None
        self._unread: StoreError | None = None
        self._unsaved: StoreError | None = None
        self._lost: FileProblem | None = None
        self._everything_until: datetime | None = None
        self._shifted = False
        #: Of two writes of the keep-alives the later one must win.
        self._writing_holds = asyncio.Lock()

    async def load(self, moment: Moment) -> Ledger:
        """The ledger to start with: of an earlier run, as far as that can be trusted."""
        self._boot = await asyncio.to_thread(boot_identity)
        marks: Any = None
        try:
            marks = await asyncio.to_thread(self._store.load_marks)
        except StoreError as error:
            self._outdated = error
        holds = await self._read_holds()
        ledger = self._restored(marks, holds, moment)
        if self._unread is not None or self._lost is not None:
            self._everything_until = moment.now + self._longest
            ledger = hold(ledger, EVERYTHING, self._everything_until)
        if self._lost is not None:
            with contextlib.suppress(StoreError):
                # Or the next start would find no file, and no reason to keep anything.
                await self._write_holds(_Loaded(ledger), moment)
        # From here on these marks are out of date; a crash must not leave them for the next run.
        await self.save_marks(ledger, moment, clean=False)
        return ledger

    def _restored(self, marks: Any, holds: Any, moment: Moment) -> Ledger:
        return archive.restore(
            marks=marks,
            holds=holds,
            boot=self._boot,
            quiet_until=moment.now + self._grace,
            latest_hold=moment.now + self._longest,
            now=moment.now,
            monotonic=moment.monotonic,
        )

    async def _read_holds(self) -> Any:
        try:
            holds, self._lost = await asyncio.to_thread(self._store.load_holds)
        except StoreError as error:
            self._unread = error
            return None
        self._unread = None
        return holds

    def clock_stepped(self, step: timedelta) -> None:
        """The wall clock was: of that, another boot could not know by what is on disk."""
        self._shifted = True
        if self._everything_until is not None:
            self._everything_until += step

    async def retry(self, owner: LedgerOwner, moment: Moment) -> None:
        """Try again to read and write what has failed so far."""
        if self._outdated is not None:
            await self.save_marks(owner.ledger, moment, clean=False)
        if self._unread is not None:
            await self._read_again(owner, moment)
        outdated = self._unsaved is not None or (self._shifted and owner.ledger.holds)
        if outdated and self._unread is None:
            with contextlib.suppress(StoreError):
                await self._write_holds(owner, moment)

    async def _read_again(self, owner: LedgerOwner, moment: Moment) -> None:
        holds = await self._read_holds()
        if self._unread is not None or self._lost is not None:
            return
        since = dict(owner.ledger.holds)
        if since.get(EVERYTHING) == Hold(self._everything_until or moment.now):
            del since[EVERYTHING]  # it stood in for those that are known now
        restored = self._restored(None, holds, moment).holds
        owner.ledger = replace(owner.ledger, holds={**restored, **since})

    async def save_marks(self, ledger: Ledger, moment: Moment, clean: bool) -> None:
        """Write the marks: as complete (``clean``) at the end, as worthless at the start."""
        marks = archive.marks_to_json(ledger) if clean else []
        document = {**self._anchor(moment), "clean": clean, "marks": marks}
        try:
            await asyncio.to_thread(self._store.save_marks, document)
        except StoreError as error:
            self._outdated = error
        else:
            self._outdated = None

    async def save_holds(self, owner: LedgerOwner, moment: Moment) -> None:
        """Write the keep-alives. Raises StoreError; the next pass tries again then."""
        if self._unread is not None:  # those of the file would be lost
            raise self._unread
        await self._write_holds(owner, moment)
        self._lost = None

    async def _write_holds(self, owner: LedgerOwner, moment: Moment) -> None:
        async with self._writing_holds:
            keep_alive = archive.holds_to_json(owner.ledger)
            document = {**self._anchor(moment), "keep_alive": keep_alive}
            try:
                await asyncio.to_thread(self._store.save_holds, document)
            except StoreError as error:
                self._unsaved = error
                raise
            self._unsaved, self._shifted = None, False

    def _anchor(self, moment: Moment) -> dict[str, Any]:
        return archive.anchor(self._boot, moment.now, moment.monotonic)

    def faults(self, now: datetime) -> list[Fault]:
        """What cannot be read or written at this time."""
        for error in (self._unread, self._unsaved, self._outdated):
            if error is not None:
                return [Fault("state", "StateFile", str(error), error.remedy, now)]
        if self._lost is not None and now < (self._everything_until or now):
            message = f"{self._lost.message} As long as a keep-alive can last, everything is kept."
            return [Fault("state", "KeepAlivesLost", message, self._lost.remedy, now)]
        return []

"""The activity marks and keep-alives of one server, loaded at its start and stored on disk.

If a file cannot be read or written, every pass tries again, and the report has a fault until a try
succeeds. While the keep-alives are unknown, every resource is kept, at most for the longest time
that a keep-alive can last.

Another server of the same identity has its own files. Its keep-alives count here, too, because both
servers can delete the same app.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..config.settings import Limits
from ..core import ledger_json
from ..core.faults import Fault
from ..core.ledger import Hold, Ledger, hold
from ..core.marks import Mark
from ..core.model import EVERYTHING, Ref
from ..core.translatable import joined, sentence
from ..world.clock import Moment
from .document import FileProblem, StoreError
from .identity import boot_identity
from .store import OtherHolds, Store


class LedgerOwner(Protocol):
    """An object that has the current ledger. Other tasks can replace ``ledger`` during any
    ``await``, so a caller must read it again after each ``await``."""

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
        #: The marks of the server that ran before, whether or not their times can be trusted. They
        #: say in which app a kernel runs: a kernel never moves to another app.
        self.earlier_marks: Mapping[Ref, Mark] = {}
        #: The error of the last write of the marks (None: it succeeded).
        self._marks_error: StoreError | None = None
        #: The errors of the last read and the last write of this server's own keep-alives.
        self._holds_read_error: StoreError | None = None
        self._holds_write_error: StoreError | None = None
        #: Why the file of the keep-alives could be read but not understood.
        self._lost_holds: FileProblem | None = None
        #: The refs whose keep-alives were set or released while the file was unread.
        self._changed_while_unread: set[Ref] = set()
        self._everything_until: datetime | None = None
        self._shifted = False
        #: Serialises the writes of the keep-alives, so that the newest keep-alives stay on disk.
        self._writing_holds = asyncio.Lock()
        #: The keep-alives of other servers, and those of this server's own keep-alives that another
        #: server's longer keep-alive replaces in the ledger.
        self._others_holds: dict[Ref, Hold] = {}
        self._own_shorter_holds: dict[Ref, Hold] = {}
        #: The files of other servers whose keep-alives are in the ledger.
        self._others_files = OtherHolds()

    async def load(self, moment: Moment) -> Ledger:
        """The ledger of an earlier run, reduced to the part that can be trusted now."""
        marks: Any = None
        try:
            self._boot = await self._store.run(boot_identity)
            marks = await self._store.run(self._store.load_marks)
        except StoreError as error:
            self._marks_error = error
        if isinstance(marks, Mapping):
            self.earlier_marks = ledger_json.marks_from_json(marks.get("marks"), moment.now)
        holds = await self._read_holds()
        ledger = self._restored(marks, holds, moment)
        if self._holds_read_error is not None or self._lost_holds is not None:
            self._everything_until = moment.now + self._longest
            ledger = hold(ledger, EVERYTHING, self._everything_until)
        if self._holds_read_error is None and self._lost_holds is not None:
            with contextlib.suppress(StoreError):
                # Otherwise the next start would find no file, and would keep nothing.
                await self._write_holds(_Loaded(ledger), moment)
        # These marks are out of date from now on. After a crash the next run must not use them.
        await self.save_marks(ledger, moment, clean=False)
        loaded = _Loaded(ledger)
        await self.read_others(loaded, moment)
        return loaded.ledger

    def _restored(self, marks: Any, holds: Any, moment: Moment) -> Ledger:
        return ledger_json.restore(
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
            holds, problem = await self._store.run(self._store.load_holds)
            # An earlier call may have renamed the file after its caller had stopped waiting. Then
            # there is no file now, and the keep-alives are still lost.
            if holds or problem is not None:
                self._lost_holds = problem
            if problem is not None:
                renamed = await self._store.run(self._store.set_aside_holds)
                self._lost_holds = renamed or problem
        except StoreError as error:
            self._holds_read_error = error
            return None
        self._holds_read_error = None
        return holds

    def clock_stepped(self, step: timedelta) -> None:
        """Adjust to a wall clock that somebody set forward or back by ``step``. The keep-alives are
        written again, because after a reboot a server could not recognise the step from the old
        file."""
        self._shifted = True
        self._others_holds = _shifted(self._others_holds, step)
        self._own_shorter_holds = _shifted(self._own_shorter_holds, step)
        if self._everything_until is not None:
            self._everything_until += step

    async def retry(self, owner: LedgerOwner, moment: Moment) -> None:
        """Try again each read and write that has failed so far, and read the keep-alives of other
        servers of this identity."""
        if self._marks_error is not None:
            await self.save_marks(owner.ledger, moment, clean=False)
        if self._holds_read_error is not None:
            await self._read_again(owner, moment)
        with contextlib.suppress(StoreError):
            if self._holds_read_error is None and await self._holds_outdated(owner):
                await self._write_holds(owner, moment)
        await self.read_others(owner, moment)

    async def _holds_outdated(self, owner: LedgerOwner) -> bool:
        """Whether the file with this server's keep-alives has to be written again. Raises
        StoreError."""
        if self._holds_write_error is not None or (self._shifted and owner.ledger.holds):
            return True
        # A file that somebody deletes while the server runs would be missed after a restart.
        missing = bool(self._own_holds(owner.ledger))
        return missing and await self._store.run(self._store.holds_missing)

    async def read_others(self, owner: LedgerOwner, moment: Moment) -> None:
        """Add the keep-alives of other servers of this identity to the ledger."""
        try:
            files = await self._store.run(self._store.load_other_holds, self._others_files)
        except StoreError:
            return  # the keep-alives that were read before still count
        if files is None:
            return
        others: dict[Ref, Hold] = {}
        for document in files.documents.values():
            for ref, each in self._restored(None, document, moment).holds.items():
                others[ref] = max(each, others.get(ref, each), key=lambda hold: hold.until)
        own = self._own_holds(owner.ledger)
        self._others_holds, self._own_shorter_holds = others, {}
        longest = dict(own)
        for ref, other in others.items():
            if ref not in own or own[ref].until < other.until:
                longest[ref] = other
                if ref in own:
                    self._own_shorter_holds[ref] = own[ref]
        owner.ledger = replace(owner.ledger, holds=longest)
        self._others_files = files

    def _own_holds(self, ledger: Ledger) -> dict[Ref, Hold]:
        """This server's own keep-alives, also those that another server's longer keep-alive
        replaces."""
        own = {ref: h for ref, h in ledger.holds.items() if self._others_holds.get(ref) != h}
        return {
            **{ref: h for ref, h in self._own_shorter_holds.items() if ref in ledger.holds},
            **own,
        }

    async def _read_again(self, owner: LedgerOwner, moment: Moment) -> None:
        holds = await self._read_holds()
        if self._holds_read_error is not None or self._lost_holds is not None:
            return
        changed, self._changed_while_unread = self._changed_while_unread, set()
        since = dict(owner.ledger.holds)
        if since.get(EVERYTHING) == Hold(self._everything_until or moment.now):
            del since[EVERYTHING]  # it stood in for the unknown keep-alives
        restored = {
            ref: each
            for ref, each in self._restored(None, holds, moment).holds.items()
            if ref not in changed
        }
        owner.ledger = replace(owner.ledger, holds={**restored, **since})

    async def save_marks(self, ledger: Ledger, moment: Moment, clean: bool) -> None:
        """Write the marks file: with all marks (``clean``) when the server stops, without marks
        while it runs. So after a crash the next run finds no marks that are out of date."""
        marks = ledger_json.marks_to_json(ledger) if clean else []
        document = {**self._anchor(moment), "clean": clean, "marks": marks}
        try:
            await self._store.run(self._store.save_marks, document)
        except StoreError as error:
            self._marks_error = error
        else:
            self._marks_error = None

    async def save_holds(
        self, owner: LedgerOwner, moment: Moment, changed: Ref | None = None
    ) -> None:
        """Write the keep-alives. ``changed`` is the resource whose keep-alive was set or released.
        Raises StoreError; the next pass then tries again."""
        if self._holds_read_error is not None:  # a write would lose the keep-alives in the file
            if changed is not None:
                self._changed_while_unread.add(changed)
            self._holds_write_error = self._holds_read_error
            raise self._holds_read_error
        await self._write_holds(owner, moment)
        self._lost_holds = None

    async def _write_holds(self, owner: LedgerOwner, moment: Moment) -> None:
        async with self._writing_holds:
            own = replace(owner.ledger, holds=self._own_holds(owner.ledger))
            keep_alive = ledger_json.holds_to_json(own)
            document = {**self._anchor(moment), "keep_alive": keep_alive}
            try:
                await self._store.run(self._store.save_holds, document)
            except StoreError as error:
                self._holds_write_error = error
                raise
            self._holds_write_error, self._shifted = None, False

    def _anchor(self, moment: Moment) -> dict[str, Any]:
        return ledger_json.anchor(self._boot, moment.now, moment.monotonic)

    def faults(self, now: datetime) -> list[Fault]:
        """A fault for the file that cannot be read or written at present, if any."""
        for error in (self._holds_read_error, self._holds_write_error, self._marks_error):
            if error is not None:
                return [Fault("state", "StateFile", str(error), error.remedy, now)]
        if self._lost_holds is not None and now < (self._everything_until or now):
            kept = sentence("Everything is kept for the longest time that a keep-alive can last.")
            message = joined(self._lost_holds.message, kept)
            return [Fault("state", "KeepAlivesLost", message, self._lost_holds.remedy, now)]
        return []


def _shifted(holds: Mapping[Ref, Hold], step: timedelta) -> dict[Ref, Hold]:
    return {ref: replace(each, until=each.until + step) for ref, each in holds.items()}

"""Read the kernels and terminals of this server, each with the app in which it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping

from ..core.model import App, Kernel, Snapshot, Terminal, Unread
from .kernel_models import Model
from .kernel_places import KernelPlaces
from .kernels import KernelSource
from .placement import completed
from .source_reader import SourceReader
from .terminals import TerminalSource

#: If a partial pass cannot read its kernels within this time (seconds), a full pass reads them.
REREAD_SECONDS = 2.0


class TenantReader:
    """Reads the kernels and terminals. ``has_apps``: they may run in apps that ListApps lists.
    ``last`` returns the last snapshot, whose values are repeated if a source cannot be read."""

    def __init__(
        self,
        kernels: KernelSource,
        terminals: TerminalSource,
        has_apps: bool,
        last: Callable[[], Snapshot],
        now: Callable[[], float],
    ) -> None:
        self._kernels = kernels
        self._terminals = terminals
        self._has_apps = has_apps
        self._last = last
        self._places = KernelPlaces(lambda kernel_id: kernels.pid_of(kernel_id) is not None)
        self._reader = SourceReader(now)
        self._rereading: asyncio.Future[tuple[Kernel, ...] | None] | None = None

    def recall(self, apps: Mapping[str, str]) -> None:
        """Learn from an earlier server in which app each kernel runs, by the id of the kernel."""
        self._places.recall(apps)

    async def read(
        self, unread: dict[str, Unread], apps: tuple[App, ...], again: bool = False
    ) -> tuple[tuple[Kernel, ...], tuple[Terminal, ...]]:
        """The kernels and terminals, each with its app, as far as that is known.

        The kernels are read last, because a cell may begin while the terminals are read. With
        ``again``, this is the second reading of one observation, and the sessions of the first
        reading are used. ``unread`` gets an entry for each source that cannot be read.
        """
        terminals = await self._reader.read(
            Snapshot.TERMINALS, self._terminals.read, self._last().terminals, unread
        )
        kernels = await self._read_kernels(unread, with_sessions=not again)
        if self._has_apps:
            all_listed = Snapshot.KERNELS not in unread
            kernels = self._places.fill_in(kernels, completed(apps, kernels), all_listed)
            self._kernels.place(kernels)
        return kernels, terminals

    async def _read_kernels(
        self, unread: dict[str, Unread], with_sessions: bool
    ) -> tuple[Kernel, ...]:
        source = self._kernels
        nothing: tuple[dict[str, Model], dict[str, str]] = ({}, {})
        models, unreadable = await self._reader.read(Snapshot.KERNELS, source.read, nothing, unread)
        # In gateway mode, reading the kernels also updates the sessions, so these are read after.
        sessions = source.last_sessions
        if with_sessions:
            sessions = await self._reader.read(
                Snapshot.SESSIONS, source.read_sessions, sessions, unread
            )
        if Snapshot.KERNELS in unread:
            return self._last().kernels
        return source.joined(models, unreadable, sessions)

    async def read_kernels_again(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        """These kernels, read again, without their apps. None if a full pass is needed: a kernel is
        new, has ended or cannot be read, or the kernel manager does not answer within
        ``REREAD_SECONDS``."""
        reading = self._rereading
        if reading is not None and not reading.done():
            return None
        reading = asyncio.ensure_future(self._kernels.read_again(kernel_ids))
        self._rereading = reading
        await asyncio.wait({reading}, timeout=REREAD_SECONDS)
        if not reading.done() or reading.exception() is not None:
            return None
        return reading.result() or None

    def place(self, kernel: Kernel, apps: tuple[App, ...]) -> Kernel:
        """A kernel that was read again, with the app in which it runs."""
        if not self._has_apps:
            return kernel
        (placed,) = self._places.fill_in([kernel], apps)
        return placed

"""The world outside: who we are, what runs, and the means to remove it.

Joins the sources into one :class:`~auto_shutdown.core.model.Snapshot`. Each source is read in its
own ``try``; one that fails is named in ``Snapshot.unread`` and keeps what it gave last, so that
people still see it, and nothing that depends on it is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from ..core.model import Answer, App, Kernel, Ref, Resource, Snapshot, Terminal, Unread
from ..core.signals import Signal
from ..core.verdict import Outcome, Result
from .beats import Beats, BeatSource
from .kernels import KernelSource, Model, join
from .platform import Platform, recognise
from .sagemaker import SageMaker, SourceError
from .terminals import TerminalSource, place
from .work import WorkSource

#: A source that has not answered by then counts as unread; the next pass asks again.
SOURCE_SECONDS = 45.0

T = TypeVar("T")

__all__ = ["Platform", "SageMaker", "World", "recognise"]


class Apps(Protocol):
    """What the world needs of SageMaker."""

    async def list_apps(self) -> tuple[App, ...]: ...

    async def delete_app(self, app: App) -> Outcome: ...


class World:
    """What one server can see and remove. ``apps`` is None where there are none to see."""

    def __init__(
        self,
        platform: Platform,
        kernels: KernelSource,
        terminals: TerminalSource,
        apps: Apps | None,
        server_url: str = "",
        beats: BeatSource | None = None,
    ) -> None:
        self.platform = platform
        self._kernel_source = kernels
        self._terminal_source = terminals
        self._app_source = apps
        self._beat_source = beats
        self._work = WorkSource(kernels, terminals, server_url)
        self._last = self._looked_at = Snapshot()
        self._apps_unread: Unread | None = None

    def close(self) -> None:
        """Let go of what is listened to."""
        self._kernel_source.close()

    @property
    def has_apps(self) -> bool:
        """Whether there is a list of apps to ask SageMaker for."""
        return self._app_source is not None and self.platform.own_app is None

    async def observe(self, list_apps: bool) -> Snapshot:
        """The world now. ``list_apps`` asks SageMaker again (a call to AWS); otherwise its last
        answer stands."""
        unread: dict[str, Unread] = {}
        if list_apps and self._app_source is not None and self.has_apps:
            await self._refresh_apps(self._app_source)
        if self._apps_unread is not None:
            unread[Snapshot.APPS] = self._apps_unread
        kernels = await self._read_kernels(unread)
        apps = _completed(self._last.apps, kernels)
        terminals = await _read(
            Snapshot.TERMINALS, self._terminal_source.read, self._last.terminals, unread
        )
        terminals = place(terminals, apps)
        beats = await self._beat_source.read() if self._beat_source is not None else Beats()
        own = self.platform.own_app
        if own is not None:
            # The server's own app: everything that is in no other is in it.
            apps = (replace(own, stamps=beats.server if own.own else {}),)
            kernels = tuple(replace(k, app=own.id) if k.app is None else k for k in kernels)
            terminals = tuple(replace(t, app=own.id) if t.app is None else t for t in terminals)
        self._last = _with_beats(Snapshot(kernels, terminals, apps, unread), beats)
        return self._last

    async def _read_kernels(self, unread: dict[str, Unread]) -> tuple[Kernel, ...]:
        source = self._kernel_source
        nothing: tuple[dict[str, Model], dict[str, str]] = ({}, {})
        models, unreadable = await _read(Snapshot.KERNELS, source.read, nothing, unread)
        # After the kernels: in gateway mode the sessions are stale before (toolchain.md).
        no_sessions: list[Model] = []
        sessions = await _read(Snapshot.SESSIONS, source.read_sessions, no_sessions, unread)
        if Snapshot.KERNELS in unread:
            return self._last.kernels
        return tuple(map(source.observed, join(models, unreadable, sessions)))

    async def _refresh_apps(self, source: Apps) -> None:
        try:
            apps = await source.list_apps()
        except SourceError as error:
            self._apps_unread = error.unread
            return
        self._apps_unread = None
        self._last = replace(self._last, apps=apps)

    async def ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        """Ask whether anything works in the background; each is judged over the window given."""
        return await self._work.ask(questions, self._last)

    async def look_again(self, ref: Ref) -> Snapshot:
        """What bears on ``ref``, read anew at the last moment. The list of apps is not asked
        for again: its owner does that once for all removals of a pass."""
        self._looked_at = (await self.observe(list_apps=False)).bearing_on(ref)
        return self._looked_at

    async def remove(self, resource: Resource) -> Outcome:
        """Remove one thing; never raises, never touches anything else.

        What ``look_again`` gave is to go because it is idle: if it has moved since, it stays, and
        is STALE. Anything else somebody has asked for, and it goes however it is."""
        only_unmoved = any(resource is seen for seen in self._looked_at.resources)
        if isinstance(resource, Kernel):
            return await self._kernel_source.remove(resource, only_unmoved)
        if isinstance(resource, Terminal):
            return await self._terminal_source.remove(resource, only_unmoved)
        if self._app_source is None:
            return Outcome(Result.PERMANENT, "There is no SageMaker here to ask.", "NoPlatform")
        return await self._app_source.delete_app(resource)


def _with_beats(snapshot: Snapshot, beats: Beats) -> Snapshot:
    """The heartbeats, with what they cover: an app's covers what runs in it."""
    if beats.everything is None and not beats.apps:
        return snapshot

    def beat(app_id: str | None) -> datetime | None:
        return beats.of(app_id.partition("/")[2] if app_id else None)

    def with_beat(app: App) -> App:
        at = beat(app.id)
        return app if at is None else replace(app, stamps={**app.stamps, Signal.HEARTBEAT: at})

    return replace(
        snapshot,
        kernels=tuple(replace(k, beat_at=beat(k.app)) for k in snapshot.kernels),
        terminals=tuple(replace(t, beat_at=beat(t.app)) for t in snapshot.terminals),
        apps=tuple(map(with_beat, snapshot.apps)),
    )


def _completed(apps: tuple[App, ...], kernels: tuple[Kernel, ...]) -> tuple[App, ...]:
    """Apps with the instance type that their kernels know: boto3 before 1.27 drops the
    ResourceSpec of ListApps, and rules by instance type would then never match an app."""
    if all(app.instance_type for app in apps):
        return apps
    known = {k.app: k.instance_type for k in kernels if k.app and k.instance_type}
    return tuple(
        app if app.instance_type else replace(app, instance_type=known.get(app.id)) for app in apps
    )


async def _read(
    source: str, read: Callable[[], Awaitable[T]], last: T, unread: dict[str, Unread]
) -> T:
    try:
        return await asyncio.wait_for(read(), SOURCE_SECONDS)
    except Exception as error:
        unread[source] = Unread(
            source,
            type(error).__name__,
            f"Cannot list the {source}: {type(error).__name__}.",
            "The next pass tries again. If it stays, the server's log says what its managers do.",
        )
        return last

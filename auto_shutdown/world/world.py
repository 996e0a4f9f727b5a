"""Observe everything outside this package, and remove resources.

Joins the sources into one :class:`~auto_shutdown.core.model.Snapshot`. Each source is read in its
own ``try``. ``Snapshot.unread`` names a source that fails. The snapshot then has its last values,
so that the report still shows them, and nothing that depends on it is removed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..core.marks import BUSY, Mark
from ..core.model import Answer, App, Kernel, Kind, Ref, Resource, Snapshot, Terminal, Unread
from ..core.signals import Signal
from ..core.texts import sentence
from ..core.verdict import Fault, Outcome, Result
from .background_work import WorkSource
from .heartbeats import Heartbeats, HeartbeatSource
from .host_activity import HostActivity
from .kernel_usage import Usage
from .kernels import KernelSource, Model
from .own_description import Description
from .platform import NOTEBOOK_INSTANCE, Platform, recognise
from .proc_files import working_directory
from .sagemaker import SageMaker, SourceError
from .shell_probe import ShellAnswer
from .terminals import TerminalSource, place
from .websocket_handlers import WebsocketHandlers

#: A source that has not answered after this time counts as unread. The next pass asks again.
SOURCE_SECONDS = 45.0

#: A kernel that is read again alone, and has not answered by then, is left to a full look.
REREAD_SECONDS = 2.0

#: SageMaker's description of the own app is read at the start and again after this time. It is read
#: sooner while the instance type is unknown, because rules may depend on it.
DESCRIBE_SECONDS = 6 * 3600.0
DESCRIBE_AGAIN_SECONDS = 3600.0

#: An app that SageMaker is deleting can take 20 minutes to end. One that is
#: still there after that was not ended, and is judged again, by a new clock.
ENDING_SECONDS = 20 * 60.0

#: The finding about a kernel whose shell is silent.
NO_ANSWER = "its shell does not answer, so it may run a cell"
#: The finding about a kernel that is stuck in starting.
NEVER_ANSWERED = "it has been starting all the time, and its shell does not answer"

#: Seconds that a manager has to forget a kernel or terminal after its end.
UNLISTED_SECONDS = 5.0

_UNREAD_REMEDY = sentence(
    "The next pass tries again. If it stays, the server's log says what its managers do."
)


@dataclass(frozen=True)
class Session:
    """The session of a kernel or terminal: the code of the cells that the kernel has run (None: it
    does not say), and the working directory of its process on this host (None: not known)."""

    cells: tuple[str, ...] | None = None
    directory: str | None = None


T = TypeVar("T")
Tenant = TypeVar("Tenant", Kernel, Terminal)

__all__ = ["Platform", "SageMaker", "World", "recognise"]


class Apps(Protocol):
    """The interface to SageMaker."""

    async def list_apps(self) -> tuple[App, ...]: ...

    async def delete_app(self, app: App) -> Outcome: ...

    async def describe_own(self) -> Description: ...


class World:
    """Everything that one server can observe and remove. ``apps`` is None outside SageMaker,
    ``host_activity`` is None without ``protect_from_native``. ``runtime_directory`` has the runtime
    files of this server and of others."""

    def __init__(
        self,
        platform: Platform,
        kernels: KernelSource,
        terminals: TerminalSource,
        apps: Apps | None,
        server_url: str = "",
        heartbeats: HeartbeatSource | None = None,
        host_activity: HostActivity | None = None,
        now: Callable[[], float] = time.monotonic,
        runtime_directory: Path | None = None,
        websockets: WebsocketHandlers | None = None,
    ) -> None:
        self.platform = platform
        self._websockets = websockets
        self._kernel_source = kernels
        self._terminal_source = terminals
        self._app_source = apps
        self._heartbeat_source = heartbeats
        self._work = WorkSource(kernels, terminals, server_url, runtime_directory=runtime_directory)
        self._last = Snapshot()
        self._pending: dict[str, asyncio.Future[Any]] = {}
        self._rereading: asyncio.Future[tuple[Kernel, ...] | None] | None = None
        self._apps_unread: Unread | None = None
        self._now = now
        self._host_activity = host_activity
        self._ended_at: float | None = None
        self._describing: asyncio.Task[None] | None = None
        self._described_at: float | None = None
        self.description = Description()

    def close(self) -> None:
        """Stop listening to all sources."""
        self._kernel_source.close()
        for part in (self._heartbeat_source, self._host_activity):
            if part is not None:
                part.close()
        if self._describing is not None:
            self._describing.cancel()

    def recall(self, marks: Mapping[Ref, Mark]) -> None:
        """Take over what ``marks``, of an earlier server, tell of kernels that still exist."""
        self._kernel_source.had_come_up(
            ref.id for ref, mark in marks.items() if ref.kind is Kind.KERNEL and mark.had_come_up
        )

    @property
    def has_apps(self) -> bool:
        """Whether there is a list of apps to ask SageMaker for."""
        return self._app_source is not None and self.platform.own_app is None

    async def observe(self, list_apps: bool) -> Snapshot:
        """Observe everything. With ``list_apps`` this calls ListApps, otherwise it uses the last
        list of apps."""
        unread: dict[str, Unread] = {}
        if list_apps and self._app_source is not None and self.has_apps:
            await self._refresh_apps(self._app_source)
        if self._apps_unread is not None:
            unread[Snapshot.APPS] = self._apps_unread
        kernels = await self._read_kernels(unread)
        apps = _completed(self._last.apps, kernels)
        terminals = await self._read(
            Snapshot.TERMINALS, self._terminal_source.read, self._last.terminals, unread
        )
        own_app = self.platform.own_app
        judges_own_app = own_app is not None and own_app.own
        if apps or judges_own_app:
            await self._work.look_around(kernels, terminals, judges_own_app)
            if self._work.is_beside_other_servers:
                apps = tuple(replace(app, shared=True) for app in apps)
        terminals = place(terminals, apps)
        departures = (*self._kernel_source.departures, *self._terminal_source.departures)
        heartbeats = await self._read_heartbeats(unread)
        own = self._own_app(heartbeats)
        if own is not None:
            # Everything that is in no other app is in it.
            apps = (own,)
            kernels = tuple(_within(own, kernel) for kernel in kernels)
            terminals = tuple(_within(own, terminal) for terminal in terminals)
            departures = tuple(replace(d, app=d.app or own.id) for d in departures)
        programs = self._work.programs if judges_own_app else ()
        seen = Snapshot(kernels, terminals, apps, unread, departures, programs)
        self._last = _with_heartbeats(seen, heartbeats)
        return self._last

    async def observe_kernels(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        """These kernels as they are now. None where only a full look can tell: one came, left or
        cannot be read, or its manager does not answer soon."""
        reading = self._rereading
        if reading is not None and not reading.done():
            return None
        reading = asyncio.ensure_future(self._kernel_source.read_again(kernel_ids))
        self._rereading = reading
        await asyncio.wait({reading}, timeout=REREAD_SECONDS)
        if not reading.done() or reading.exception() is not None:
            return None
        kernels = tuple(map(self._placed, reading.result() or ()))
        # A removal beside the pass may have looked at everything meanwhile.
        self._last = self._last.with_kernels(kernels) or self._last
        return kernels or None

    def _placed(self, kernel: Kernel) -> Kernel:
        """A kernel that was read again, with what the last full look found out beside its model."""
        own = self.platform.own_app
        if own is not None:
            own = next((app for app in self._last.apps if app.id == own.id), own)
            kernel = _within(own, kernel)
        before = self._last.find(kernel.ref)
        heartbeat_at = before.heartbeat_at if isinstance(before, Kernel) else None
        return replace(kernel, heartbeat_at=heartbeat_at)

    async def _read_heartbeats(self, unread: dict[str, Unread]) -> Heartbeats:
        """The activity that other programs report. While it cannot be read, activity is
        unknown."""
        if self._heartbeat_source is None:
            return Heartbeats()
        try:
            return await self._heartbeat_source.read()
        except OSError as error:
            why = error.strerror or type(error).__name__
            message = sentence(
                "The heartbeat files cannot be read: %1. Nothing is removed meanwhile.", why
            )
            remedy = sentence(
                "Make the state directory readable, or set AutoShutdown.state_dir to another."
            )
            found = Unread("heartbeats", type(error).__name__, message, remedy)
            unread.setdefault(Snapshot.KERNELS, found)
            unread.setdefault(Snapshot.TERMINALS, found)
            return Heartbeats()

    def _own_app(self, heartbeats: Heartbeats) -> App | None:
        """The app that this server runs in, with what is reported for the server as a whole."""
        own = self.platform.own_app
        if own is None:
            return None
        self._describe_when_due()
        if self._ended_at is not None and self._now() - self._ended_at < ENDING_SECONDS:
            ending = "Stopping" if self.platform.kind == NOTEBOOK_INSTANCE else "Deleting"
            own = replace(own, status=ending)
        own = replace(own, instance_type=self.description.instance_type)
        return replace(own, stamps=heartbeats.server) if own.own else own

    async def _read(
        self, source: str, read: Callable[[], Awaitable[T]], last: T, unread: dict[str, Unread]
    ) -> T:
        """The result of ``read``. When it fails or takes too long: ``last``, and an entry in
        ``unread``. A late call is not cancelled, because it may ignore this, and no second call
        begins before it ends."""
        pending = self._pending.pop(source, None)
        if pending is None or pending.done():
            pending = asyncio.ensure_future(read())
        await asyncio.wait({pending}, timeout=SOURCE_SECONDS)
        try:
            if pending.done():
                found: T = pending.result()
                return found
            self._pending[source] = pending
            limit = f"{SOURCE_SECONDS:g}"
            text = sentence("The %1 have not been listed within %2 s.", source, limit)
            code = "TimedOut"
        except Exception as error:
            code = type(error).__name__
            text = sentence("Cannot list the %1: %2.", source, code)
        unread[source] = Unread(source, code, text, _UNREAD_REMEDY)
        return last

    def _describe_when_due(self) -> None:
        """In the background: no pass waits for it."""
        source, at = self._app_source, self._now()
        known = self.description.instance_type
        patience = DESCRIBE_SECONDS if known else DESCRIBE_AGAIN_SECONDS
        if source is None or (
            self._described_at is not None and at - self._described_at < patience
        ):
            return

        async def work() -> None:
            found = await source.describe_own()
            # A missing answer must not change the idle timeout, which may depend on it.
            self.description = replace(found, instance_type=found.instance_type or known)

        self._described_at = at
        self._describing = asyncio.ensure_future(work())

    async def _read_kernels(self, unread: dict[str, Unread]) -> tuple[Kernel, ...]:
        source = self._kernel_source
        nothing: tuple[dict[str, Model], dict[str, str]] = ({}, {})
        models, unreadable = await self._read(Snapshot.KERNELS, source.read, nothing, unread)
        # After the kernels: in gateway mode the sessions are stale before.
        no_sessions: list[Model] = []
        sessions = await self._read(Snapshot.SESSIONS, source.read_sessions, no_sessions, unread)
        if Snapshot.KERNELS in unread:
            return self._last.kernels
        return source.joined(models, unreadable, sessions)

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
        answers = await self._work.ask(questions, self._last)
        kernels = {k.id: k for k in self._last.kernels if k.ref in questions}
        source = self._kernel_source
        shells = await self._work.answered(kernels.values(), source.ask_shells(kernels))
        return tuple(
            with_shell(
                _with_stamps(answer, shells[kernel.id]),
                kernel,
                shells[kernel.id].shell,
                source.is_starting(kernel),
            )
            if answer.ref.kind is Kind.KERNEL and (kernel := kernels.get(answer.ref.id))
            else answer
            for answer in answers
        )

    async def look_again(self, ref: Ref) -> Snapshot:
        """Observe everything that matters for ``ref`` again, right before its removal. This does
        not call ListApps: the controller does that once for all removals of a pass."""
        return (await self.observe(list_apps=False)).bearing_on(ref)

    async def session_of(self, resource: Resource) -> tuple[Resource, Session]:
        """Everything that is needed to bring ``resource`` back, and the resource as it is after
        this question. Takes at most a few seconds. Never raises."""
        if isinstance(resource, Kernel):
            kernel, cells = await self._kernel_source.session_history(resource)
            pid = self._kernel_source.pid_of(resource.id)
            return kernel, Session(cells, working_directory(pid))
        if isinstance(resource, Terminal):
            pid = self._terminal_source.pid_of(resource.id)
            return resource, Session(None, working_directory(pid))
        return resource, Session()

    async def remove(self, resource: Resource, only_unmoved: bool) -> Outcome:
        """Remove one thing; never raises, never touches anything else. With ``only_unmoved`` a
        kernel or terminal that has moved since it was seen as ``resource`` stays, and is STALE."""
        if isinstance(resource, Kernel):
            return await self._kernel_source.remove(resource, only_unmoved)
        if isinstance(resource, Terminal):
            return await self._terminal_source.remove(resource, only_unmoved)
        if self._app_source is None:
            return Outcome(Result.PERMANENT, "There is no SageMaker here to ask.", "NoPlatform")
        outcome = await self._app_source.delete_app(resource)
        if resource.own and outcome.ended:
            self._ended_at = self._now()
        return outcome

    async def is_gone(self, resource: Resource) -> bool:
        """Whether a kernel or terminal that was shut down is no longer listed, after some seconds
        for its manager to notice. An app is deleted by SageMaker, which takes minutes: True."""
        if isinstance(resource, App):
            return True
        source = self._kernel_source if isinstance(resource, Kernel) else self._terminal_source
        deadline = self._now() + UNLISTED_SECONDS
        while source.is_listed(resource.id):
            if self._now() >= deadline:
                return False
            await asyncio.sleep(0.05)  # the managers tell nobody when they forget one
        return True

    async def report_at_work(self, at: datetime) -> None:
        """Report activity at ``at`` to the host's other tools, with ``protect_from_native``."""
        if self._host_activity is not None:
            await self._host_activity.report(at)

    def faults(self, now: datetime) -> list[Fault]:
        """Faults of background work, of heartbeat files, of reports to the host's other tools, and
        of the websockets."""
        problems = self._heartbeat_source.problems if self._heartbeat_source is not None else ()
        left_out = [Fault(p.source, p.code, p.message, p.remedy, now) for p in problems[:1]]
        host = self._host_activity.faults(now) if self._host_activity is not None else []
        unobserved = self._websockets.faults(now) if self._websockets is not None else []
        return [*self._work.faults(now), *left_out, *host, *unobserved]


def _with_stamps(answer: Answer, usage: Usage) -> Answer:
    """The answer with the stamps that the question to the shell has moved."""
    other_client_seen = answer.other_client_seen or usage.other_client_seen
    stamps = {**answer.stamps, **usage.stamps}
    return replace(answer, stamps=stamps, other_client_seen=other_client_seen)


def with_shell(
    answer: Answer, kernel: Kernel, shell: ShellAnswer, is_starting: bool = False
) -> Answer:
    """The answer about work in the background, corrected by the shell of an idle kernel.

    ``is_starting``: nothing shows that the kernel ever came up. Then a silent shell is no sign of
    work.
    """
    if shell.free or kernel.state == BUSY:
        return answer
    if shell.failure:
        detail = f"its shell cannot be asked whether a cell runs ({shell.failure})"
        return replace(answer, conclusive=True, working=False, unread=True, detail=detail)
    if is_starting:
        stuck = replace(answer, conclusive=True, working=False, answered=False, unread=False)
        return replace(stuck, detail=NEVER_ANSWERED)
    return replace(
        answer, conclusive=True, working=True, answered=True, unread=False, detail=NO_ANSWER
    )


def _within(own: App, tenant: Tenant) -> Tenant:
    """The resource, in the server's own app if it has no other."""
    if tenant.app is not None:
        return tenant
    instance_type = tenant.instance_type or own.instance_type
    return replace(tenant, app=own.id, instance_type=instance_type)


def _with_heartbeats(snapshot: Snapshot, heartbeats: Heartbeats) -> Snapshot:
    """Add the heartbeats to the resources. An app's heartbeat counts for everything in it."""
    if heartbeats.everything is None and not heartbeats.apps:
        return snapshot

    def beat(app_id: str | None) -> datetime | None:
        return heartbeats.of(app_id.partition("/")[2] if app_id else None)

    def with_beat(app: App) -> App:
        at = beat(app.id)
        return app if at is None else replace(app, stamps={**app.stamps, Signal.HEARTBEAT: at})

    return replace(
        snapshot,
        kernels=tuple(replace(k, heartbeat_at=beat(k.app)) for k in snapshot.kernels),
        terminals=tuple(replace(t, heartbeat_at=beat(t.app)) for t in snapshot.terminals),
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

"""Observe all resources of one server, and remove single resources.

:class:`World` joins the sources (kernels, terminals, apps, …) into one
:class:`~auto_shutdown.core.model.Snapshot`. Each source is read on its own. If one fails,
``Snapshot.unread`` names it, and the snapshot repeats its last values: the report still shows them,
and nothing that depends on them is removed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..core.faults import Fault
from ..core.marks import Mark
from ..core.model import Answer, App, Kernel, Kind, Ref, Resource, Snapshot, Terminal, Unread
from ..core.outcome import Outcome, Result
from .activity_reporter import ActivityReporter
from .app_list import AppList, Apps
from .background_work import WorkSource
from .changes_since_observation import started_kernel, updated_apps, updated_terminals
from .final_check import FinalCheck, always
from .kernels import KernelSource
from .own_app_status import OwnAppStatus
from .own_description import Description
from .placement import completed, place, within
from .platform import Platform, recognise
from .reported_activity import ReportedActivitySource, read_reported_activity, with_heartbeats
from .sagemaker import SageMaker
from .session_facts import Session, read_session
from .tenant_reader import TenantReader
from .terminals import TerminalSource
from .websocket_handlers import WebsocketHandlers
from .work_answers import with_shell, with_stamps

#: The time (seconds) that a manager has to forget a kernel or terminal after its end.
UNLISTED_SECONDS = 5.0

__all__ = ["Platform", "SageMaker", "World", "recognise"]


class World:
    """Everything that one server can observe and remove.

    - ``apps``: None outside SageMaker.
    - ``activity_reporter``: None without the setting ``protect_from_native``.
    - ``runtime_directory``: holds the runtime files of this server and of other Jupyter servers.
    """

    def __init__(
        self,
        platform: Platform,
        kernels: KernelSource,
        terminals: TerminalSource,
        apps: Apps | None,
        server_url: str = "",
        reported_activity: ReportedActivitySource | None = None,
        activity_reporter: ActivityReporter | None = None,
        now: Callable[[], float] = time.monotonic,
        runtime_directory: Path | None = None,
        websockets: WebsocketHandlers | None = None,
    ) -> None:
        self.platform = platform
        self._websockets = websockets
        self._kernel_source = kernels
        self._terminal_source = terminals
        self._app_source = apps
        self._reported_activity = reported_activity
        self._work = WorkSource(kernels, terminals, server_url, runtime_directory=runtime_directory)
        self._last = Snapshot()
        self._app_list = AppList(platform, apps, now)
        self._tenants = TenantReader(
            kernels, terminals, self._app_list.exists, lambda: self._last, now
        )
        self._now = now
        self._activity_reporter = activity_reporter
        self._own_app = OwnAppStatus(platform, apps, now)

    def close(self) -> None:
        """Stop listening to all sources."""
        self._kernel_source.close()
        for part in (self._reported_activity, self._activity_reporter):
            if part is not None:
                part.close()
        self._own_app.close()
        self._app_list.close()

    def recall(self, marks: Mapping[Ref, Mark]) -> None:
        """Learn from the ``marks`` of an earlier server which kernels it saw running, and in which
        apps they run."""
        kernels = {ref.id: mark for ref, mark in marks.items() if ref.kind is Kind.KERNEL}
        self._tenants.recall({i: mark.app for i, mark in kernels.items() if mark.app is not None})
        self._kernel_source.had_come_up(
            kernel_id for kernel_id, mark in kernels.items() if mark.had_come_up
        )

    @property
    def description(self) -> Description:
        """SageMaker's description of the app in which this server runs."""
        return self._own_app.description

    @property
    def has_apps(self) -> bool:
        """Whether this server calls ListApps."""
        return self._app_list.exists

    @property
    def app_list(self) -> AppList:
        """The list of apps, and the call of ListApps in progress."""
        return self._app_list

    async def observe(self, list_apps: bool, last_look: bool = False) -> Snapshot:
        """Observe everything. The apps are those of the newest list that has arrived. With
        ``list_apps`` this calls ListApps before, but does not wait long for it
        (:meth:`AppList.refresh`).

        With ``last_look`` this reads the kernels and terminals a second time at the end: a cell may
        begin while the processes and heartbeat files are read, which can take many seconds.
        """
        unread: dict[str, Unread] = {}
        if list_apps:
            await self._app_list.refresh()
        if self._app_list.unread is not None:
            unread[Snapshot.APPS] = self._app_list.unread
        listed, listed_at = self._app_list.apps, self._app_list.listed_at
        kernels, terminals = await self._tenants.read(unread, listed)
        apps = completed(listed, kernels)
        own_app = self.platform.own_app
        judges_own_app = own_app is not None and own_app.own
        if apps or judges_own_app:
            await self._work.look_around(kernels, terminals, judges_own_app)
            if self._work.is_beside_other_servers:
                apps = tuple(replace(app, shared=True) for app in apps)
        names = {app.name for app in (*apps, *([own_app] if own_app is not None else ()))}
        reported = await read_reported_activity(self._reported_activity, unread, names)
        if last_look:
            kernels, terminals = await self._tenants.read(unread, apps, again=True)
        terminals = place(terminals, apps)
        departures = (*self._kernel_source.departures, *self._terminal_source.departures)
        own = self._own_app.app(reported.server)
        if own is not None:
            # A server that may remove its own app sees no other app: everything runs in its own.
            apps = (own,)
            kernels = tuple(within(own, kernel) for kernel in kernels)
            terminals = tuple(within(own, terminal) for terminal in terminals)
            departures = tuple(replace(d, app=d.app or own.id) for d in departures)
        programs = self._work.programs if judges_own_app else ()
        seen = Snapshot(kernels, terminals, apps, unread, departures, programs, listed_at)
        self._last = with_heartbeats(seen, reported)
        return self._last

    async def observe_kernels(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        """As :meth:`TenantReader.read_kernels_again`."""
        again = await self._tenants.read_kernels_again(kernel_ids)
        if again is None:
            return None
        kernels = tuple(map(self._placed, again))
        # A removal that runs at the same time may have observed everything since the await.
        self._last = self._last.with_kernels(kernels) or self._last
        return kernels

    def _placed(self, kernel: Kernel) -> Kernel:
        """A kernel that was read again, with the app and the heartbeat of the last full pass."""
        own = self.platform.own_app
        if own is not None:
            own = next((app for app in self._last.apps if app.id == own.id), own)
            kernel = within(own, kernel)
        else:
            kernel = self._tenants.place(kernel, self._last.apps)
        before = self._last.find(kernel.ref)
        heartbeat_at = before.heartbeat_at if isinstance(before, Kernel) else None
        return replace(kernel, heartbeat_at=heartbeat_at)

    def asking(self, refs: Collection[Ref]) -> AbstractContextManager[None]:
        """Query these resources (``ask``), and record the answers, in the body. Until its end, no
        observation shows what the queries change in the models of kernels: whoever observes
        meanwhile would take it for activity."""
        apps = {ref.id for ref in refs if ref.kind is Kind.APP}
        asked = (k for k in self._last.kernels if k.ref in refs or k.app in apps)
        return self._kernel_source.own_questions.to(asked)

    async def ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        """Query these resources for background work. ``questions`` holds the window over which to
        measure each resource."""
        answers = await self._work.ask(questions, self._last)
        kernels = {k.id: k for k in self._last.kernels if k.ref in questions}
        source = self._kernel_source
        shells = await self._work.answered(kernels.values(), source.ask_shells(kernels))
        return tuple(
            with_shell(
                with_stamps(answer, shells[kernel.id]),
                kernel,
                shells[kernel.id].shell,
                source.is_starting(kernel),
            )
            if answer.ref.kind is Kind.KERNEL and (kernel := kernels.get(answer.ref.id))
            else answer
            for answer in answers
        )

    async def look_again(self, ref: Ref) -> Snapshot:
        """Observe again everything on which the decision on ``ref`` depends, right before its
        removal. This does not call ListApps: the controller does that once for all removals of a
        pass."""
        snapshot = await self.observe(list_apps=False, last_look=ref.kind is Kind.APP)
        return snapshot.bearing_on(ref)

    def updated(self, snapshot: Snapshot, looked_at: float) -> Snapshot:
        """``snapshot``, which was begun at ``looked_at`` (monotonic), with everything that this
        server process has learned since then. The same object if it has learned nothing. Sends no
        request, does not wait, and may be called in any thread."""
        kernels = tuple(map(self._kernel_source.updated, snapshot.kernels))
        if not snapshot.apps:
            return snapshot if kernels == snapshot.kernels else replace(snapshot, kernels=kernels)
        terminals, apps = snapshot.terminals, snapshot.apps
        terminals = updated_terminals(terminals, self._terminal_source.current(looked_at), apps)
        if self._reported_activity is not None:
            apps = updated_apps(apps, self._reported_activity.reported_in_this_server())
        departures = snapshot.departures
        if self._kernel_source.was_started_since(looked_at):
            departures = (*departures, started_kernel(datetime.now(timezone.utc)))
        updated = replace(
            snapshot, kernels=kernels, terminals=terminals, apps=apps, departures=departures
        )
        return snapshot if updated == snapshot else updated

    async def session_of(self, resource: Resource) -> tuple[Resource, Session]:
        """What a user needs to bring ``resource`` back after its removal; see
        :func:`~auto_shutdown.world.session_facts.read_session`."""
        return await read_session(resource, self._kernel_source, self._terminal_source)

    async def remove(
        self, resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        """Remove this resource and nothing else. Never raises.

        The resource is kept, and the result is STALE, in two cases: with ``only_unmoved``, if a
        kernel or terminal became active since it was observed as ``resource``; and if
        ``still_removable`` returns False. ``still_removable`` is called right before the manager or
        SageMaker is asked to end the resource; for an app, in the thread of the SageMaker calls.
        """
        if isinstance(resource, Kernel):
            return await self._kernel_source.remove(resource, only_unmoved, still_removable)
        if isinstance(resource, Terminal):
            return await self._terminal_source.remove(resource, only_unmoved, still_removable)
        if self._app_source is None:
            detail = "This server does not run in SageMaker, so it cannot delete an app."
            return Outcome(Result.PERMANENT, detail, "NoPlatform")
        outcome = await self._app_source.delete_app(resource, still_removable)
        if outcome.ended:
            if resource.own:
                self._own_app.has_ended()
            self._app_list.app_was_deleted(resource.id)
        return outcome

    async def is_gone(self, resource: Resource) -> bool:
        """Whether the manager of a kernel or terminal that was shut down no longer lists it. This
        waits for at most ``UNLISTED_SECONDS``. True for an app, which SageMaker deletes within
        minutes."""
        if isinstance(resource, App):
            return True
        source = self._kernel_source if isinstance(resource, Kernel) else self._terminal_source
        deadline = self._now() + UNLISTED_SECONDS
        while source.is_listed(resource.id):
            if self._now() >= deadline:
                return False
            await asyncio.sleep(0.05)  # no manager signals that it has forgotten a resource
        return True

    async def report_at_work(self, at: datetime) -> None:
        """Report activity at ``at`` to the other tools of this host that stop idle servers, if the
        setting ``protect_from_native`` is on."""
        if self._activity_reporter is not None:
            await self._activity_reporter.report(at)

    def faults(self, now: datetime) -> list[Fault]:
        """The faults of background work, of heartbeat files, of the reports to other tools of this
        host, and of the websockets."""
        problems = self._reported_activity.problems if self._reported_activity is not None else ()
        left_out = [Fault(p.source, p.code, p.message, p.remedy, now) for p in problems[:1]]
        reporter = self._activity_reporter
        unreported = reporter.faults(now) if reporter is not None else []
        unobserved = self._websockets.faults(now) if self._websockets is not None else []
        return [*self._work.faults(now), *left_out, *unreported, *unobserved]

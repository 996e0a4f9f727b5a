"""A world made of values, a clock that the test sets, and a bench that runs passes over simulated
time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

from auto_shutdown.config.settings import Limits
from auto_shutdown.core.faults import Fault
from auto_shutdown.core.marks import Mark
from auto_shutdown.core.model import Answer, App, Kernel, Ref, Resource, Snapshot, Terminal, Unread
from auto_shutdown.core.outcome import Outcome, Result
from auto_shutdown.cycle.controller import Controller
from auto_shutdown.state.history import Attempt, History
from auto_shutdown.state.stopped import StoppedSessions
from auto_shutdown.state.store import Store
from auto_shutdown.world.app_list import AppList, Apps
from auto_shutdown.world.clock import Clock, Moment
from auto_shutdown.world.final_check import FinalCheck, always, kept
from auto_shutdown.world.own_description import Description
from auto_shutdown.world.platform import Platform
from auto_shutdown.world.sagemaker import SourceError
from auto_shutdown.world.session_facts import Session

START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
ADA = Platform("studio-classic", "d-1", "ada", region_name="us-west-2")


class HandClock:
    """A clock that the test sets. ``step`` sets only the wall clock."""

    def __init__(self) -> None:
        self.now = START
        self.monotonic = 1000.0

    def read(self) -> Moment:
        return Moment(self.now, self.monotonic)

    def advance(self, span: timedelta) -> None:
        self.now += span
        self.monotonic += span.total_seconds()

    def step(self, span: timedelta) -> None:
        self.now += span


@dataclass
class ValueWorld:
    """A world made of values. ``answers`` are the outcomes of removals. ``before_look`` runs before
    each second look, to change something at the last moment."""

    kernels: dict[str, Kernel] = field(default_factory=dict)
    terminals: dict[str, Terminal] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    unread: dict[str, Unread] = field(default_factory=dict)
    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    only_unmoved: list[bool] = field(default_factory=list)
    listings: int = 0
    full_looks: int = 0
    partial_looks: int = 0
    at_work: set[str] = field(default_factory=set)
    asked: list[dict[Ref, timedelta]] = field(default_factory=list)
    before_look: Callable[[Ref], None] = lambda _ref: None
    #: The events in the server's process since the look that made a snapshot.
    since_look: Callable[[Snapshot], Snapshot] = lambda snapshot: snapshot
    before_remove: Callable[[Resource], None] = lambda _resource: None
    #: The ids of the resources that stay listed after their removal.
    still_listed: set[str] = field(default_factory=set)
    #: The session of a kernel or terminal, or the error of the query for it.
    sessions: dict[str, Session | Exception] = field(default_factory=dict)
    platform: Platform = ADA
    description: Description = field(default_factory=Description)
    reported_at_work: list[datetime] = field(default_factory=list)
    #: The marks of an earlier server, which the controller passes to the world at its start.
    recalled: list[Mapping[Ref, Mark]] = field(default_factory=list)
    has_apps: bool = True
    #: Monotonic seconds.
    now: Callable[[], float] = time.monotonic
    #: ListApps does not end before this event (None: it ends at once).
    list_goes_on: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.server_restarts()

    def server_restarts(self) -> None:
        """A new server has no list of apps."""
        self.app_list = AppList(ADA, cast(Apps, self), lambda: self.now())

    async def list_apps(self) -> tuple[App, ...]:
        self.listings += 1
        if self.list_goes_on is not None:
            await self.list_goes_on.wait()
        if Snapshot.APPS in self.unread:
            raise SourceError(self.unread[Snapshot.APPS])
        return tuple(self.apps.values())

    async def observe(self, list_apps: bool, last_look: bool = False) -> Snapshot:
        self.full_looks += 1
        if list_apps:
            await self.app_list.refresh()
        unread, listed = dict(self.unread), self.app_list
        if self.has_apps and listed.unread is not None:
            unread[Snapshot.APPS] = listed.unread
        kernels, terminals = tuple(self.kernels.values()), tuple(self.terminals.values())
        at = listed.listed_at
        return Snapshot(kernels, terminals, listed.apps, unread, apps_listed_at=at)

    async def observe_kernels(self, kernel_ids: Collection[str]) -> tuple[Kernel, ...] | None:
        self.partial_looks += 1
        if not all(kernel_id in self.kernels for kernel_id in kernel_ids):
            return None
        return tuple(self.kernels[kernel_id] for kernel_id in kernel_ids)

    def recall(self, marks: Mapping[Ref, Mark]) -> None:
        self.recalled.append(marks)

    async def report_at_work(self, at: datetime) -> None:
        self.reported_at_work.append(at)

    def faults(self, now: datetime) -> list[Fault]:
        return []

    def asking(self, refs: Collection[Ref]) -> AbstractContextManager[None]:
        return nullcontext()

    async def ask(self, questions: Mapping[Ref, timedelta]) -> tuple[Answer, ...]:
        """The answers about background work: only the resources in ``at_work`` do any."""
        self.asked.append(dict(questions))
        return tuple(
            Answer(ref, True, working=ref.id in self.at_work, cores=0.0) for ref in questions
        )

    async def look_again(self, ref: Ref) -> Snapshot:
        self.before_look(ref)
        return (await self.observe(list_apps=False)).bearing_on(ref)

    def updated(self, snapshot: Snapshot, looked_at: float) -> Snapshot:
        return self.since_look(snapshot)

    async def session_of(self, resource: Resource) -> tuple[Resource, Session]:
        found = self.sessions.get(resource.ref.id, Session())
        if isinstance(found, Exception):
            raise found
        return resource, found

    async def is_gone(self, resource: Resource) -> bool:
        return resource.ref.id not in self.still_listed

    async def remove(
        self, resource: Resource, only_unmoved: bool, still_removable: FinalCheck = always
    ) -> Outcome:
        self.before_remove(resource)
        if not still_removable():
            return kept()
        queue = self.answers.get(resource.ref.id, [])
        outcome = queue.pop(0) if queue else Outcome(Result.REMOVED, "Gone.")
        self.removed.append(resource.ref.id)
        self.only_unmoved.append(only_unmoved)
        if outcome.ended:
            self.kernels.pop(resource.ref.id, None)
            self.terminals.pop(resource.ref.id, None)
            app = self.apps.get(resource.ref.id)
            if app is not None:
                self.apps[app.id] = replace(app, status="Deleting")
                self.app_list.app_was_deleted(app.id)
        return outcome

    def app(self, name: str, **more: Any) -> App:
        app = App("KernelGateway", name, "InService", "ml.t3.medium", created_at=START, **more)
        self.apps[app.id] = app
        return app

    def kernel(self, kernel_id: str, app: App | None = None, **more: Any) -> Kernel:
        more.setdefault("last_activity", START)
        kernel = Kernel(kernel_id, "python3", more.pop("state", "idle"), **more)
        self.kernels[kernel_id] = replace(kernel, app=app.id if app else None)
        return self.kernels[kernel_id]


@dataclass
class Bench:
    """A controller with its world and clock. ``live`` runs passes over simulated time."""

    path: Path
    limits: Limits = field(default_factory=Limits)
    world: ValueWorld = field(default_factory=ValueWorld)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.log = logging.getLogger("auto_shutdown.bench")
        self.world.now = lambda: self.clock.read().monotonic
        self.controller = self.make()

    def make(self) -> Controller:
        store, history = Store(self.path, "k"), History(self.path, "k")
        return Controller(
            self.world,  # type: ignore[arg-type]
            store,
            history,
            self.limits,
            self.clock,  # type: ignore[arg-type]
            self.log,
            stopped=StoppedSessions(self.path, "k"),
        )

    def use_real_clock(self) -> None:
        """Make the controller again, on the machine's clock: for tests of the real loop."""
        self.clock = Clock()  # type: ignore[assignment]
        self.controller = self.make()

    async def live(self, span: timedelta) -> None:
        """Run each pass when it is due, as the loop would."""
        end = self.clock.now + span
        while True:
            await self.controller.check()
            delay = timedelta(seconds=self.controller._clock.next_at - self.clock.monotonic)  # type: ignore[operator]
            delay = max(delay, timedelta(milliseconds=1))
            if self.clock.now + delay > end:
                self.clock.advance(end - self.clock.now)
                return
            self.clock.advance(delay)

    def resource(self, ref_id: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = self.controller.report()["resources"]
        return next(r for r in found if r["id"] == ref_id)


async def until(condition: Callable[[], Any]) -> None:
    """Wait for ``condition``. If it never becomes true, the time limit of the test ends the
    wait."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def before_each_audit_line(bench: Bench, happens: Callable[[], Awaitable[object]]) -> None:
    """Delay each audit line until ``happens`` has ended, as on a slow file system."""
    history: Any = bench.controller._history
    begin_line = history.begin_line

    async def begin_slowly(entry: Mapping[str, Any]) -> Attempt:
        await happens()
        attempt: Attempt = await begin_line(entry)
        return attempt

    history.begin_line = begin_slowly


def faults(bench: Bench) -> dict[str, str]:
    return {f["code"]: f["message"] for f in bench.controller.report()["health"]["faults"]}
